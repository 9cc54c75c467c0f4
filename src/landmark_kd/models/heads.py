"""What turns a backbone's feature maps into landmarks.

A head names the feature maps that it takes by their stride (`STRIDES`), and gives landmarks with
what they come from (`Details`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn import functional

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

# Channels of the maps that the integral head fuses, and of the map that its scores come from.
FUSED_CHANNELS = 64
MIXED_CHANNELS = 128
# The side of the integral head's grid in crops: a mean of positions cannot leave it, and where a
# crop is tight or a box is off some landmarks lie outside.
GRID_SPAN = 1.25
# Layers that give landmarks start near zero, so that training starts at the mean shape (a bias),
# and attention starts nearly even.
OUTPUT_STD = 0.001
ATTENTION_STD = 0.01


class Details(NamedTuple):
    """What a network makes of N crops: its landmarks, and what they come from.

    Attributes:
        points: (N, K, 2) in [-0.5, 0.5] of the crop.
        maps: (N, C, H, W) each: the backbone's that the head takes, from the finest to the
            coarsest, and where it fuses them the fused one behind them.
        scores: (N, K, H, W), whose softmax over the positions is a heat map of each landmark;
            None of a head without heat maps.
    """

    points: Tensor
    maps: list[Tensor]
    scores: Tensor | None


class Head(nn.Module, ABC):
    """What all heads have.

    Args:
        maps: the feature maps of some input, from the finest to the coarsest.
        points: landmarks a face, K.
    """

    # Of the maps that it takes; None: the backbone's final features, whatever their stride.
    STRIDES: tuple[int, ...] | None = None
    # Of the last of `Details.maps`.
    channels: int

    def __init__(self, maps: list[Tensor], points: int) -> None:
        super().__init__()
        self.points = points

    @abstractmethod
    def forward(self, maps: list[Tensor]) -> Details:
        """Return landmarks and what they come from."""

    def start_at(self, shape: np.ndarray) -> None:
        """Predict `shape` (K, 2) as long as nothing has been learnt, where the head can."""


class PoolHead(Head):
    """Average the last feature map over all positions, then one linear layer, as the paper has."""

    def __init__(self, maps: list[Tensor], points: int) -> None:
        super().__init__(maps, points)
        self.channels = maps[0].shape[1]
        self.output = _start_small(nn.Linear(maps[0].shape[1], 2 * points), OUTPUT_STD)

    def forward(self, maps: list[Tensor]) -> Details:
        """Return landmarks for one map (N, C, H, W)."""
        pooled = in_float32(self.output, maps[0].mean(dim=(2, 3)))
        return Details(pooled.reshape(-1, self.points, 2), maps, None)

    @torch.no_grad()
    def start_at(self, shape: np.ndarray) -> None:
        """Predict `shape` (K, 2) as long as nothing has been learnt."""
        self.output.bias.copy_(torch.from_numpy(shape).reshape(-1))


class Fusion(nn.Module):
    """Feature maps fused from coarse to fine (Lin et al. 2017, feature pyramid), and mixed.

    Args:
        channels: of the maps, from the finest to the coarsest.
    """

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        width = FUSED_CHANNELS
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1, bias=False) for c in channels)
        self.norms = nn.ModuleList(BatchNormAct2d(width) for _ in channels)
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            BatchNormAct2d(width),
            nn.Conv2d(width, MIXED_CHANNELS, 1, bias=False),
            BatchNormAct2d(MIXED_CHANNELS),
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return one map (N, MIXED_CHANNELS, H, W) of the finest map's size."""
        coarser: Tensor | None = None
        for features, lateral, norm in reversed(
            list(zip(maps, self.lateral, self.norms, strict=True))
        ):
            found = lateral(features)
            if coarser is not None:
                found = found + functional.interpolate(coarser, size=found.shape[-2:])
            coarser = norm(found)
        return self.mix(coarser)


class IntegralHead(Head):
    """A landmark is the mean of the positions that attention finds for it, heat-map regression.

    At each of the P positions of the fused map there is a score for each landmark. Their softmax
    over the positions, the attention, weighs the positions' coordinates: integral regression (Sun
    et al. 2018, "Integral Human Pose Regression"), whose points are not bound to the grid. Scores
    start nearly even, so that an untrained network predicts the centre of the crop.
    """

    STRIDES = (8, 16, 32)

    def __init__(self, maps: list[Tensor], points: int) -> None:
        super().__init__(maps, points)
        self.channels = MIXED_CHANNELS
        self.fusion = Fusion([features.shape[1] for features in maps])
        self.scores = _start_small(nn.Conv2d(MIXED_CHANNELS, points, 1), ATTENTION_STD)

    def forward(self, maps: list[Tensor]) -> Details:
        """Return landmarks for maps (N, C, H, W), from the finest to the coarsest."""
        fused = self.fusion(maps)
        scores = in_float32(self.scores, fused)
        height, width = fused.shape[-2:]
        # With its length said, an exported file takes a batch of no faces, too.
        attention = scores.reshape(-1, self.points, height * width).softmax(dim=-1)
        grid = GRID_SPAN * _grid(height, width, fused.device)
        points = in_float32(lambda weights: weights @ grid, attention)
        return Details(points, [*maps, fused], scores)


HEADS: dict[str, type[Head]] = {"pool": PoolHead, "integral": IntegralHead}


def in_float32(layer: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """Apply a layer, or another function, in 32 bits under mixed precision, too.

    Near 0.5 the steps of bfloat16 are 1/512 of the crop, too coarse for landmarks.
    """
    device = features.device.type
    if not torch.is_autocast_enabled(device):
        return layer(features)
    with torch.autocast(device, enabled=False):
        return layer(features.float())


def _start_small(layer: Layer, std: float) -> Layer:
    """Give a layer weights near zero and no bias."""
    assert layer.bias is not None
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer


def _grid(height: int, width: int, device: torch.device) -> Tensor:
    """Return the centres (H * W, 2) of a map's positions, x and y in [-0.5, 0.5] of the crop."""
    x = (torch.arange(width, device=device) + 0.5) / width - 0.5
    y = (torch.arange(height, device=device) + 0.5) / height - 0.5
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], dim=-1).reshape(-1, 2)
