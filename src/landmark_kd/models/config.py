"""The files of a network, network.json and weights.safetensors, read without trusting them.

A folder of somebody else may ask for a network that timm would download, or for one that no
memory holds; neither is built before this is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import safetensors.torch
import torch
from pydantic import Field, model_validator
from safetensors import SafetensorError, safe_open
from torch import Tensor

from landmark_kd.config.params import BackboneName, CropSize, HeadName
from landmark_kd.core.errors import UserError, is_out_of_memory
from landmark_kd.core.files import read_json
from landmark_kd.core.schema import Section, check_model

WEIGHTS_FILE = "weights.safetensors"
CONFIG_FILE = "network.json"

# Pixel statistics, RGB, in units of 0..255: mean and standard deviation.
Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
# `symmetric` is x / 127.5 - 1.
NORMALIZATIONS: dict[str, Statistics] = {
    "symmetric": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}

# More landmarks than any scheme has; dense meshes of a face have some hundreds.
LARGEST_POINTS = 10_000
_Mean = Annotated[float, Field(ge=-1e4, le=1e4)]
# A smaller one would make inputs that 32 bits do not hold.
_Deviation = Annotated[float, Field(ge=1e-4, le=1e4)]
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Not strict in one thing: JSON has lists and no tuples.
_AsInJSON = Field(strict=False)

# Weights may be a file of the pipeline or one that `init` names.
_RESTORE = "restore it (`dvc checkout`) or take another file"


class NetworkConfig(Section):
    """All that is needed to build a network again, before its weights are loaded.

    Attributes:
        backbone: timm name.
        head: a name in heads.HEADS.
        points: landmarks a face, K.
        size: side of the square input in pixels.
        mean, std: RGB in units of 0..255; the input is (pixel - mean) / std.
        init: where the first weights came from.
        flip: (K,) permutation of a mirrored face's landmarks, for networks that predict the mean
            of a crop and its mirror image; None: of the crop alone.
    """

    backbone: BackboneName
    head: HeadName
    points: Annotated[int, Field(ge=1, le=LARGEST_POINTS)]
    size: CropSize
    mean: Annotated[tuple[_Mean, _Mean, _Mean], _AsInJSON]
    std: Annotated[tuple[_Deviation, _Deviation, _Deviation], _AsInJSON]
    init: str
    flip: Annotated[tuple[int, ...], _AsInJSON] | None

    @model_validator(mode="after")
    def _permutes(self) -> NetworkConfig:
        if self.flip is not None and sorted(self.flip) != list(range(self.points)):
            raise ValueError(f"flip is not a permutation of the {self.points} landmarks")
        return self


def read_config(path: Path) -> NetworkConfig:
    """Read a network.json.

    Raises:
        UserError: it is missing, or it holds what no network of ours can be.
    """
    content = read_json(path)
    try:
        return check_model(
            path,
            content,
            NetworkConfig,
            example=f"a network's {', '.join(NetworkConfig.model_fields)}",
            restore="every network has it",
        )
    except UserError as error:
        sentence = str(error).removesuffix(".")
        raise UserError(
            f"{sentence}; run `dvc checkout` or `dvc repro -f` to restore it."
        ) from None


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a .safetensors file.

    Raises:
        UserError: it is missing or damaged, or its numbers are not finite or of an odd type.
    """
    try:
        weights = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` or check the path.") from None
    except (SafetensorError, OSError) as error:
        if is_out_of_memory(error):
            raise
        raise UserError(f"{path} is not a whole safetensors file ({error}); {_RESTORE}.") from None
    for name, value in weights.items():
        if value.dtype not in _FLOATS and (value.is_floating_point() or value.is_complex()):
            raise UserError(
                f"{path}: {name} is {value.dtype}, but weights are real numbers of 16 to 64 bits; "
                f"{_RESTORE}."
            )
        if not torch.isfinite(value).all():
            raise UserError(
                f"{path} is damaged, or its training went wrong: {name} has numbers that are not "
                f"finite; {_RESTORE}."
            )
    return weights


def read_normalization(path: Path) -> Statistics | None:
    """Return the pixel statistics that a .safetensors file was trained with, if that is said.

    It is said by the network.json beside a file of ours, or by `normalization` in the metadata.

    Raises:
        UserError: that network.json is damaged.
    """
    beside = path.with_name(CONFIG_FILE)
    if path.name == WEIGHTS_FILE and beside.is_file():
        config = read_config(beside)
        return config.mean, config.std
    with safe_open(path, framework="pt") as opened:
        metadata = opened.metadata() or {}
    return NORMALIZATIONS.get(metadata.get("normalization", ""))


def check_fit(path: Path, weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Check that weights are those of a network, by name, shape and kind of number.

    Args:
        path: where they were read.
        wanted: the network's own, on whatever device.

    Raises:
        UserError: they are not.
    """
    missing = [name for name in wanted if name not in weights]
    surplus = [name for name in weights if name not in wanted]
    unfit = [n for n in wanted if n in weights and _form(weights[n]) != _form(wanted[n])]
    if missing or surplus or unfit:
        example = (missing or surplus or unfit)[0]
        raise UserError(
            f"{path} does not fit the {CONFIG_FILE} beside it: {len(missing)} tensors are missing, "
            f"{len(surplus)} are of no use and {len(unfit)} have another shape or type (such as "
            f"{example}); {_RESTORE}."
        )


def _form(tensor: Tensor) -> tuple[torch.Size, torch.dtype]:
    return tensor.shape, tensor.dtype
