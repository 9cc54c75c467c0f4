"""The part of a network that says how far off each of its landmarks may be."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from landmark_kd.landmarks.uncertainty import LEVELS


class Uncertainty(nn.Module):
    """A scale of the error of each landmark, from the mean of the map that landmarks come from.

    It is no part of what training changes: `training.uncertainty` fits it afterwards.

    Args:
        channels: of the map.
        points: landmarks a face, K.
    """

    weight: Tensor
    bias: Tensor
    regions: Tensor
    typical: Tensor

    def __init__(self, channels: int, points: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(points, channels))
        self.register_buffer("bias", torch.zeros(points))
        # As `landmarks.uncertainty.regions` and `typical` return them.
        self.register_buffer("regions", torch.zeros(len(LEVELS)))
        self.register_buffer("typical", torch.zeros(2))

    @property
    def fitted(self) -> bool:
        return bool((self.regions > 0).any())

    def multiples(self) -> np.ndarray:
        """Return `regions` (19,) float64."""
        return self.regions.double().cpu().numpy()

    def forward(self, features: Tensor) -> Tensor:
        """Return sigma (N, K) in shares of the crop's side, for a map (N, C, H, W)."""
        return torch.exp(nn.functional.linear(summary(features), self.weight, self.bias))


def summary(features: Tensor) -> Tensor:
    """Return what sigma is computed from, (N, C), of a map (N, C, H, W)."""
    return features.mean(dim=(2, 3))
