"""Landmark networks: a timm backbone, a small head, and their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from landmark_kd.config.params import HeadName
from landmark_kd.core.errors import UserError, is_out_of_memory
from landmark_kd.core.files import replaced_folder, write_json
from landmark_kd.core.schema import in_short
from landmark_kd.faces.prepared import Faces
from landmark_kd.models.config import (
    CONFIG_FILE,
    NORMALIZATIONS,
    WEIGHTS_FILE,
    NetworkConfig,
    Statistics,
    check_fit,
    read_config,
    read_normalization,
    read_weights,
)
from landmark_kd.models.heads import HEADS, Details, Head
from landmark_kd.models.uncertainty import Uncertainty


class LandmarkNet(nn.Module):
    """A backbone without its classifier, and a head (`heads.HEADS`) that gives K landmarks.

    Attributes:
        uncertainty: how far off the landmarks may be, of the last of `Details.maps`; fitted when
            the network is trained.
    """

    mean: Tensor
    std: Tensor
    mirror: Tensor
    backbone: Any
    head: Head

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
        self.uncertainty = Uncertainty(self.head.channels, config.points)
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("mirror", torch.tensor([-1.0, 1.0]), persistent=False)

    def normalize(self, images: Tensor) -> Tensor:
        """Turn images (N, S, S, 3) uint8 RGB into the network's input (N, 3, S, S) float."""
        # The permuted view is already in channels_last order; no copy but the conversion.
        return (images.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.std

    def forward(self, inputs: Tensor) -> Tensor:
        """Return landmarks (N, K, 2) in [-0.5, 0.5] of the crop for normalised (N, 3, S, S).

        With `config.flip` the network, once it is trained, also looks at the mirror image and
        returns the mean of both: errors that differ between left and right cancel out in part.
        """
        return self.detailed(inputs).points

    def forward_single(self, inputs: Tensor) -> Tensor:
        """Return what `forward` does, of the crops alone and not of their mirror images."""
        return self.detailed(inputs, mirror=False).points

    def with_sigma(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the landmarks as `forward` does, and sigma (N, K) in shares of the crop's side."""
        found = self.detailed(inputs)
        return found.points, self.uncertainty(found.maps[-1])

    def detailed(self, inputs: Tensor, *, mirror: bool = True) -> Details:
        """Return the landmarks and what they come from, for normalised (N, 3, S, S).

        Maps and scores are those of the crops alone, also where the landmarks are the mean of
        both.

        Args:
            mirror: look at the mirror image, too, where `forward` does.
        """
        if self.training or self.config.flip is None or not mirror:
            return self.head(self._maps(inputs))
        # One run of twice as many faces, so that an exported file holds the weights once.
        points, maps, scores = self.head(self._maps(torch.cat([inputs, inputs.flip(3)])))
        straight, mirrored = points.reshape(2, -1, self.config.points, 2).unbind()
        # Coordinates are measured from the crop's centre, so a mirror changes the sign of x.
        mean = (straight + mirrored[:, self.config.flip] * self.mirror) / 2
        halves = [part.chunk(2)[0] for part in maps]
        return Details(mean, halves, None if scores is None else scores.chunk(2)[0])

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


def _take_maps(backbone: Any, name: str, strides: tuple[int, ...] | None) -> list[int] | None:
    """Drop what lies behind the last of the feature maps of these strides; return their indices.

    None stands for the backbone's final features.

    Raises:
        UserError: the backbone has no such maps.
    """
    if strides is None:
        return None
    info = getattr(backbone, "feature_info", None)
    last = {entry["reduction"]: i for i, entry in enumerate(info or [])}
    if getattr(backbone, "forward_intermediates", None) is None or any(
        s not in last for s in strides
    ):
        raise UserError(
            f"backbone {name} has no feature maps of strides {', '.join(map(str, strides))} "
            f"(it has {', '.join(map(str, last)) or 'none'}); take another one, or head: pool."
        )
    indices = [last[stride] for stride in strides]
    backbone.prune_intermediate_layers(indices, prune_head=True)
    return indices


def build_network(
    backbone: str,
    head: HeadName,
    init: str,
    normalization: str,
    *,
    points: int,
    size: int,
    flip: Sequence[int] | None = None,
    start: np.ndarray | None = None,
) -> LandmarkNet:
    """Build a network and give it the weights that `init` names.

    Args:
        init: random, pretrained (timm's, downloaded) or a .safetensors file: a backbone in timm's
            names, or a whole network of ours, of which the head is taken as far as it fits.
        normalization: auto, or a key of NORMALIZATIONS.
        flip: see `NetworkConfig`.
        start: (K, 2) network coordinates that a head without first weights is to predict, where
            it can.

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
    config = NetworkConfig(
        backbone=backbone,
        head=head,
        points=points,
        size=size,
        mean=mean,
        std=std,
        init=init,
        flip=None if flip is None else tuple(int(i) for i in flip),
    )
    net = _built(config)
    if start is not None:
        net.start_at(start)
    if state is not None:
        _load_first_weights(net, state, init)
    return net.to(memory_format=torch.channels_last)


def save_network(net: LandmarkNet, folder: Path) -> None:
    """Write weights.safetensors and network.json to `folder`, both or none."""
    weights = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    with replaced_folder(folder) as temporary:
        # Written by Python, not by safetensors, so that a full disk is an OSError like any other.
        (temporary / WEIGHTS_FILE).write_bytes(safetensors.torch.save(weights))
        write_json(temporary / CONFIG_FILE, net.config.model_dump())


def load_network(folder: Path, device: str | torch.device = "cpu") -> LandmarkNet:
    """Load a network that `save_network` wrote, ready to predict.

    Raises:
        UserError: a file is missing or damaged, or the two do not fit together.
    """
    path = folder / WEIGHTS_FILE
    config, weights = read_config(folder / CONFIG_FILE), read_weights(path)
    # First on the device that knows shapes only: what does not fit may be larger than the memory.
    try:
        with torch.device("meta"):
            planned = _built(config).state_dict()
    except UserError as error:
        raise UserError(f"{folder / CONFIG_FILE}: {error}") from None
    check_fit(path, weights, planned)
    net = _built(config)
    net.load_state_dict(weights)
    net = net.to(memory_format=torch.channels_last)
    return net.to(device).eval()


def predict(net: LandmarkNet, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """Predict landmarks (N, K, 2) float64, network coordinates, of crops (N, S, S, 3) uint8 RGB."""
    return predict_with_sigma(net, images, batch_size)[0]


@torch.inference_mode()
def predict_with_sigma(
    net: LandmarkNet, images: np.ndarray, batch_size: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Predict landmarks as `predict` does, and their sigma (N, K) in shares of the crop's side."""
    device = net.mean.device
    points, sigma = [np.empty((0, net.config.points, 2))], [np.empty((0, net.config.points))]
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size]))
        found = net.with_sigma(net.normalize(batch.to(device)))
        points.append(found[0].double().cpu().numpy())
        sigma.append(found[1].double().cpu().numpy())
    return np.concatenate(points), np.concatenate(sigma)


def predict_faces(
    net: LandmarkNet, faces: Faces, rows: np.ndarray | None = None, batch_size: int = 64
) -> np.ndarray:
    """Predict landmarks (n, K, 2), network coordinates, on un-augmented crops; all by default."""
    return predict_faces_with_sigma(net, faces, rows, batch_size)[0]


def predict_faces_with_sigma(
    net: LandmarkNet, faces: Faces, rows: np.ndarray | None = None, batch_size: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Predict landmarks as `predict_faces` does, and their sigma (n, K) in shares of the crop."""
    rows = np.arange(len(faces)) if rows is None else rows
    chunks = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)] or [rows]
    found = [predict_with_sigma(net, faces.crops(chunk), batch_size) for chunk in chunks]
    points, sigma = zip(*found, strict=True)
    return np.concatenate(points), np.concatenate(sigma)


def _initial_weights(
    backbone: str, init: str
) -> tuple[dict[str, Tensor] | None, Statistics | None]:
    """Return the backbone's weights (None: as built) and the pixel statistics they expect."""
    if init == "random":
        return None, NORMALIZATIONS["symmetric"]
    if init == "pretrained":
        if not timm.is_model_pretrained(backbone):
            raise UserError(
                f"init is 'pretrained' but timm has no weights for backbone '{backbone}'; "
                "take random or a .safetensors file."
            )
        try:
            source = timm.create_model(backbone, pretrained=True, num_classes=0, global_pool="")
        except Exception as error:  # the hub raises many kinds: no network, no such file, …
            if is_out_of_memory(error):
                raise
            raise UserError(
                f"timm's weights for {backbone} could not be downloaded "
                f"({type(error).__name__}: {str(error).splitlines()[0]}); check the connection, "
                "or set init to random or to a local .safetensors file."
            ) from None
        statistics: dict[str, tuple[float, ...]] = source.pretrained_cfg  # type: ignore[assignment]
        return source.state_dict(), (_of_255(statistics["mean"]), _of_255(statistics["std"]))
    path = Path(init)
    return read_weights(path), read_normalization(path)


def _of_255(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return 255 * red, 255 * green, 255 * blue


def _built(config: NetworkConfig) -> LandmarkNet:
    """Build a network with first weights of its own.

    Raises:
        UserError: there is no such network.
    """
    try:
        return LandmarkNet(config)
    except UserError:
        raise
    except Exception as error:  # each network of timm has its own for a size it cannot take
        if is_out_of_memory(error):
            raise
        raise UserError(
            f"the backbone {config.backbone} cannot be built for crops of {config.size} pixels "
            f"({in_short(error)}); take another backbone or crop.resolution."
        ) from None


@torch.no_grad()
def take_fitting(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy the tensors of `state` that the module has by name and shape; leave the others."""
    own = module.state_dict()
    for name, value in state.items():
        if name in own and own[name].shape == value.shape:
            own[name].copy_(value)


def _load_first_weights(net: LandmarkNet, state: dict[str, Tensor], source: str) -> None:
    backbone = net.backbone
    wanted = backbone.state_dict()
    # A file of ours holds the whole network; a file of timm's may hold a classifier.
    if any(name.startswith("backbone.") for name in state):
        take_fitting(net.head, _below("head.", state))
        state = _below("backbone.", state)
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


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names have the prefix, without it."""
    return {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}
