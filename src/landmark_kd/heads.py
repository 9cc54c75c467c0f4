"""What turns a backbone's feature maps into landmarks.

A head names the feature maps that it takes by their stride (`STRIDES`), and gives landmarks
(N, K, 2) in [-0.5, 0.5] of the crop. `start_at` lets an untrained network predict a shape.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

import numpy as np
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn import functional

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

# Channels of the maps that the voting head fuses, and of the map that it votes from.
FUSED_CHANNELS = 64
VOTING_CHANNELS = 128
# Layers that give landmarks start near zero, so that training starts at the mean shape (a bias),
# and attention starts nearly even.
OUTPUT_STD = 0.001
ATTENTION_STD = 0.01


class Head(nn.Module, ABC):
    """What all heads have.

    Args:
        maps: the feature maps of some input, from the finest to the coarsest.
        points: landmarks a face, K.
    """

    # Of the maps that it takes; None: the backbone's final features, whatever their stride.
    STRIDES: tuple[int, ...] | None = None

    def __init__(self, maps: list[Tensor], points: int) -> None:
        super().__init__()
        self.points = points

    @property
    @abstractmethod
    def start(self) -> nn.Linear | nn.Conv2d | None:
        """The layer whose bias is all that an untrained head gives; None: it gives the centre."""

    @torch.no_grad()
    def start_at(self, shape: np.ndarray) -> None:
        """Predict `shape` (K, 2) as long as nothing has been learnt."""
        if self.start is None:
            return
        bias = self.start.bias
        assert bias is not None
        bias.copy_(torch.from_numpy(shape).reshape(-1))


class PoolHead(Head):
    """Average the last feature map over all positions, then one linear layer, as the paper has."""

    def __init__(self, maps: list[Tensor], points: int) -> None:
        super().__init__(maps, points)
        self.output = _start_small(nn.Linear(maps[0].shape[1], 2 * points), OUTPUT_STD)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return landmarks (N, K, 2) for one map (N, C, H, W)."""
        pooled = in_float32(self.output, maps[0].mean(dim=(2, 3)))
        return pooled.reshape(-1, self.points, 2)

    @property
    def start(self) -> nn.Linear:
        return self.output


class SpatialHead(Head):
    """A 1 x 1 convolution of the last feature map to few channels, flattened, one linear layer."""

    CHANNELS = 128

    def __init__(self, maps: list[Tensor], points: int) -> None:
        super().__init__(maps, points)
        channels, height, width = maps[0].shape[1:]
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, self.CHANNELS, 1, bias=False),
            BatchNormAct2d(self.CHANNELS),
            nn.Flatten(),
        )
        self.output = _start_small(
            nn.Linear(self.CHANNELS * height * width, 2 * points), OUTPUT_STD
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return landmarks (N, K, 2) for one map (N, C, H, W)."""
        return in_float32(self.output, self.reduce(maps[0])).reshape(-1, self.points, 2)

    @property
    def start(self) -> nn.Linear:
        return self.output


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
            nn.Conv2d(width, VOTING_CHANNELS, 1, bias=False),
            BatchNormAct2d(VOTING_CHANNELS),
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return one map (N, VOTING_CHANNELS, H, W) of the finest map's size."""
        coarser: Tensor | None = None
        for features, lateral, norm in reversed(
            list(zip(maps, self.lateral, self.norms, strict=True))
        ):
            found = lateral(features)
            if coarser is not None:
                found = found + functional.interpolate(coarser, size=found.shape[-2:])
            coarser = norm(found)
        return self.mix(coarser)


class VotingHead(Head):
    """Each position votes for where each landmark lies; attention says whose vote counts.

    At each of the P positions of the fused map there is, for each landmark, a score and a vote,
    which is an offset from the position. A landmark is the mean of the votes, weighted by the
    softmax of the scores over the positions: integral regression (Sun et al. 2018), whose points
    are not bound to the grid and may lie outside of the crop.
    """

    STRIDES = (8, 16, 32)

    def __init__(self, maps: list[Tensor], points: int) -> None:
        super().__init__(maps, points)
        self.fusion = Fusion([features.shape[1] for features in maps])
        self.scores = _start_small(nn.Conv2d(VOTING_CHANNELS, points, 1), ATTENTION_STD)
        self.offsets = _start_small(nn.Conv2d(VOTING_CHANNELS, 2 * points, 1), OUTPUT_STD)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return landmarks (N, K, 2) for maps (N, C, H, W), from the finest to the coarsest."""
        fused = self.fusion(maps)
        height, width = fused.shape[-2:]
        scores = in_float32(self.scores, fused).flatten(2)
        offsets = in_float32(self.offsets, fused).reshape(-1, self.points, 2, height * width)
        attention = scores.softmax(dim=-1)
        # The mean of (position + offset) is the mean position plus the mean offset.
        positions = attention @ _grid(height, width, fused.device)
        return positions + (attention[:, :, None] * offsets).sum(dim=-1)

    @property
    def start(self) -> nn.Conv2d:
        return self.offsets


class IntegralHead(Head):
    """The mean position, weighted by attention alone (Sun et al. 2018), without offsets.

    The grid is taken a quarter wider than the crop, since a mean of positions cannot leave it.
    """

    STRIDES = (8, 16, 32)
    SPAN = 1.25

    def __init__(self, maps: list[Tensor], points: int) -> None:
        super().__init__(maps, points)
        self.fusion = Fusion([features.shape[1] for features in maps])
        self.scores = _start_small(nn.Conv2d(VOTING_CHANNELS, points, 1), ATTENTION_STD)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return landmarks (N, K, 2) for maps (N, C, H, W), from the finest to the coarsest."""
        fused = self.fusion(maps)
        attention = in_float32(self.scores, fused).flatten(2).softmax(dim=-1)
        height, width = fused.shape[-2:]
        return attention @ (self.SPAN * _grid(height, width, fused.device))

    @property
    def start(self) -> None:
        return None


class SimccHead(Head):
    """Coordinates as classes (Li et al. 2022, SimCC), read by their mean.

    A score map a landmark goes through one linear layer, the same for all landmarks, to two bins
    a pixel for x and for y; the coordinate is the mean of the bins, weighted by their softmax.
    """

    STRIDES = (8, 16, 32)
    SPAN = 1.25
    BINS_PER_CELL = 16

    def __init__(self, maps: list[Tensor], points: int) -> None:
        super().__init__(maps, points)
        self.fusion = Fusion([features.shape[1] for features in maps])
        height, width = maps[0].shape[-2:]
        self.bins = self.BINS_PER_CELL * max(height, width)
        self.scores = nn.Conv2d(VOTING_CHANNELS, points, 1)
        self.classes = nn.Linear(height * width, 2 * self.bins)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return landmarks (N, K, 2) for maps (N, C, H, W), from the finest to the coarsest."""
        scores = self.scores(self.fusion(maps)).flatten(2)
        classes = in_float32(self.classes, scores).reshape(-1, self.points, 2, self.bins)
        centres = (torch.arange(self.bins, device=scores.device) + 0.5) / self.bins - 0.5
        return classes.softmax(dim=-1) @ (self.SPAN * centres)

    @property
    def start(self) -> None:
        return None


HEADS: dict[str, type[Head]] = {
    "pool": PoolHead,
    "spatial": SpatialHead,
    "voting": VotingHead,
    "integral": IntegralHead,
    "simcc": SimccHead,
}


def in_float32(layer: nn.Module, features: Tensor) -> Tensor:
    """Apply a layer in 32 bits under mixed precision, too.

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
