"""Landmark networks: a timm backbone, a small head, and their files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from landmark_kd.errors import UserError
from landmark_kd.faces import Faces
from landmark_kd.files import read_json, replaced_folder, write_json
from landmark_kd.heads import HEADS

# Pixel statistics, RGB, in units of 0..255. `symmetric` is x / 127.5 - 1.
NORMALIZATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "symmetric": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}

WEIGHTS_FILE = "weights.safetensors"
CONFIG_FILE = "network.json"


@dataclass(frozen=True)
class NetworkConfig:
    """All that is needed to build a network again, before its weights are loaded.

    Attributes:
        backbone: timm name.
        head: a name in heads.HEADS.
        points: landmarks a face, K.
        size: side of the square input in pixels.
        mean, std: RGB in units of 0..255; the input is (pixel - mean) / std.
        init: where the first weights came from.
    """

    backbone: str
    head: str
    points: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    init: str


class LandmarkNet(nn.Module):
    """A backbone without its classifier, and a head (`heads.HEADS`) that gives K landmarks."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        head = HEADS[config.head]
        self.backbone = timm.create_model(config.backbone, num_classes=0, global_pool="")
        self._taken = _take_maps(self.backbone, config.backbone, head.STRIDES)
        with torch.no_grad():
            was_training = self.backbone.training
            self.backbone.eval()
            probe = self._maps(torch.zeros(1, 3, config.size, config.size))
            self.backbone.train(was_training)
        unfit = [tuple(features.shape) for features in probe if features.ndim != 4]
        if unfit:
            raise UserError(
                f"backbone {config.backbone} gives features of shape {unfit[0]}; "
                "take one with feature maps (N, C, H, W), such as a convolutional network."
            )
        self.head = head(probe, config.points)
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)

    def normalize(self, images: Tensor) -> Tensor:
        """Turn pictures (N, S, S, 3) uint8 RGB into the network's input (N, 3, S, S) float."""
        # The permuted view is already in channels_last order; no copy but the conversion.
        return (images.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.std

    def forward(self, inputs: Tensor) -> Tensor:
        """Return landmarks (N, K, 2) in [-0.5, 0.5] of the crop for normalised (N, 3, S, S)."""
        return self.head(self._maps(inputs))

    def _maps(self, inputs: Tensor) -> list[Tensor]:
        """The feature maps that the head takes, from the finest to the coarsest."""
        if self._taken is None:
            return [self.backbone(inputs)]
        return self.backbone.forward_intermediates(
            inputs, indices=self._taken, intermediates_only=True
        )

    def start_at(self, shape: np.ndarray) -> None:
        """Let the untrained network predict `shape` (K, 2), network coordinates."""
        self.head.start_at(shape)


def _take_maps(
    backbone: nn.Module, name: str, strides: tuple[int, ...] | None
) -> list[int] | None:
    """Drop what lies behind the last of the feature maps of these strides; return their indices.

    None stands for the backbone's final features.

    Raises:
        UserError: the backbone has no such maps.
    """
    if strides is None:
        return None
    info = getattr(backbone, "feature_info", None)
    last = {entry["reduction"]: i for i, entry in enumerate(info or [])}
    if not hasattr(backbone, "forward_intermediates") or any(s not in last for s in strides):
        raise UserError(
            f"backbone {name} has no feature maps of strides {', '.join(map(str, strides))} "
            f"(it has {', '.join(map(str, last)) or 'none'}); take another one, or head: pool."
        )
    indices = [last[stride] for stride in strides]
    backbone.prune_intermediate_layers(indices, prune_head=True)
    return indices


def build_network(
    backbone: str, head: str, init: str, normalization: str, *, points: int, size: int
) -> LandmarkNet:
    """Build a network and give its backbone the weights that `init` names.

    Args:
        init: random, pretrained (timm's, downloaded) or a .safetensors file in timm's names.
        normalization: auto, or a key of NORMALIZATIONS.

    Raises:
        UserError: the weights cannot be had, do not fit, or do not say their normalisation.
    """
    state, found = _initial_weights(backbone, init)
    if normalization == "auto":
        if found is None:
            raise UserError(
                f"{init} does not say with which input normalisation it was trained; "
                "set normalization to symmetric or imagenet beside init."
            )
        mean, std = found
    else:
        mean, std = NORMALIZATIONS[normalization]
    net = LandmarkNet(NetworkConfig(backbone, head, points, size, mean, std, init))
    if state is not None:
        _load_backbone(net.backbone, state, init)
    return net.to(memory_format=torch.channels_last)


def save_network(net: LandmarkNet, folder: Path) -> None:
    """Write weights.safetensors and network.json to `folder`, both or none."""
    weights = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    with replaced_folder(folder) as temporary:
        # Written by Python, not by safetensors, so that a full disk is an OSError like any other.
        (temporary / WEIGHTS_FILE).write_bytes(safetensors.torch.save(weights))
        write_json(temporary / CONFIG_FILE, asdict(net.config))


def load_network(folder: Path, device: str | torch.device = "cpu") -> LandmarkNet:
    """Load a network that `save_network` wrote, ready to predict.

    Raises:
        UserError: a file is missing or damaged.
    """
    config = read_json(folder / CONFIG_FILE)
    config["mean"], config["std"] = tuple(config["mean"]), tuple(config["std"])
    net = LandmarkNet(NetworkConfig(**config))
    net.load_state_dict(_read_safetensors(folder / WEIGHTS_FILE))
    net = net.to(memory_format=torch.channels_last)
    return net.to(device).eval()


@torch.inference_mode()
def predict(net: LandmarkNet, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """Predict landmarks (N, K, 2) float64, network coordinates, of crops (N, S, S, 3) uint8 RGB."""
    device = net.mean.device
    batches = []
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size]))
        batches.append(net(net.normalize(batch.to(device))).cpu().numpy())
    if not batches:
        return np.empty((0, net.config.points, 2))
    return np.concatenate(batches).astype(np.float64)


def predict_faces(
    net: LandmarkNet, faces: Faces, rows: np.ndarray | None = None, batch_size: int = 64
) -> np.ndarray:
    """Predict landmarks (n, K, 2), network coordinates, on un-augmented crops; all by default."""
    rows = np.arange(len(faces)) if rows is None else rows
    chunks = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    found = [predict(net, faces.crops(chunk), batch_size) for chunk in chunks]
    return np.concatenate(found) if found else np.empty((0, net.config.points, 2))


def _initial_weights(
    backbone: str, init: str
) -> tuple[dict[str, Tensor] | None, tuple[tuple[float, ...], tuple[float, ...]] | None]:
    """Return the backbone's weights (None: as built) and the pixel statistics they expect."""
    if init == "random":
        return None, NORMALIZATIONS["symmetric"]
    if init == "pretrained":
        try:
            source = timm.create_model(backbone, pretrained=True, num_classes=0, global_pool="")
        except Exception as error:  # the hub raises many kinds: no network, no such file, …
            raise UserError(
                f"timm's weights for {backbone} could not be downloaded "
                f"({type(error).__name__}: {str(error).splitlines()[0]}); check the connection, "
                "or set init to random or to a local .safetensors file."
            ) from None
        statistics: dict[str, tuple[float, ...]] = source.pretrained_cfg  # type: ignore[assignment]
        mean = tuple(255 * v for v in statistics["mean"])
        std = tuple(255 * v for v in statistics["std"])
        return source.state_dict(), (mean, std)
    path = Path(init)
    return _read_safetensors(path), _file_normalization(path)


def _file_normalization(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Pixel statistics from the file's metadata, or from the network.json beside our own file."""
    beside = path.with_name(CONFIG_FILE)
    if path.name == WEIGHTS_FILE and beside.is_file():
        config = read_json(beside)
        return tuple(config["mean"]), tuple(config["std"])
    with safe_open(path, framework="pt") as opened:
        metadata = opened.metadata() or {}
    return NORMALIZATIONS.get(metadata.get("normalization", ""))


def _load_backbone(backbone: nn.Module, state: dict[str, Tensor], source: str) -> None:
    wanted = backbone.state_dict()
    # A file of ours holds the whole network; a file of timm's may hold a classifier.
    prefix = "backbone."
    if any(name.startswith(prefix) for name in state):
        state = {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
    missing = [name for name in wanted if name not in state]
    unfit = [n for n in wanted if n in state and state[n].shape != wanted[n].shape]
    if missing or unfit:
        # BatchNorm's batch counter has no influence; older files lack it.
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unfit:
        example = (missing or unfit)[0]
        raise UserError(
            f"{source} does not fit the backbone: {len(missing)} tensors are missing and "
            f"{len(unfit)} have another shape (such as {example}); "
            "take weights of the same timm network."
        )
    backbone.load_state_dict({n: state[n] for n in wanted if n in state}, strict=False)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` or check the path.") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is no whole safetensors file ({error}).") from None
