"""RLE: the density of a network's errors, learnt beside the network, as its loss.

Residual log-likelihood estimation (Li et al. 2021, "Human Pose Regression with Residual
Log-likelihood Estimation"): the loss is minus the logarithm of the density of the hard-landmarks.
That density is a Laplace distribution whose scale the network gives for each coordinate, times a
normalising flow, which learns in what the errors differ from it. Both serve training alone: what a
trained network says of its errors is fitted afterwards, on faces that it did not learn from
(`training.uncertainty`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from landmark_kd.models.heads import Details

# Of the published code: layers of the flow, and the width of the networks in it.
FLOW_LAYERS = 6
FLOW_WIDTH = 64
# Scale of the errors that a network is taken to have before it has learnt, in crop's sides.
FIRST_SCALE = 0.05
# Logarithms of scales stay between these, so that no face can make the loss as good as it likes.
LOG_SCALES = (-8.0, 1.0)


class Flow(nn.Module):
    """RealNVP of pairs of numbers (Dinh et al. 2017): a density that can have any form."""

    masks: Tensor

    def __init__(self, layers: int = FLOW_LAYERS, width: int = FLOW_WIDTH) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_small_network(width, nn.Tanh()) for _ in range(layers))
        self.shifts = nn.ModuleList(_small_network(width) for _ in range(layers))
        masks = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(layers // 2, 1)
        self.register_buffer("masks", masks, persistent=False)

    def log_prob(self, values: Tensor) -> Tensor:
        """Return the logarithm of the density (M,) of values (M, 2)."""
        log_det = torch.zeros_like(values[:, 0])
        layers = list(zip(self.masks, self.scales, self.shifts, strict=True))
        for mask, scale, shift in reversed(layers):
            kept = values * mask
            s, t = scale(kept) * (1 - mask), shift(kept) * (1 - mask)
            values = (1 - mask) * (values - t) * torch.exp(-s) + kept
            log_det = log_det - s.sum(dim=1)
        return log_det - values.square().sum(dim=1) / 2 - math.log(2 * math.pi)


class ErrorDensity(nn.Module):
    """The density of the errors of a network with an integral head.

    The scale of a landmark's errors comes from the map that its score comes from, where its heat
    map lies.

    Args:
        channels: of that map.
        points: landmarks a face, K.
    """

    def __init__(self, channels: int, points: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(points, channels, 2))
        self.bias = nn.Parameter(torch.full((points, 2), math.log(FIRST_SCALE)))
        self.flow = Flow()

    def forward(self, found: Details, hard: Tensor) -> Tensor:
        """Return minus the mean log density of the hard-landmarks, a scalar.

        Args:
            found: what the network makes of N crops; with scores.
            hard: (N, K, 2) network coordinates; where NaN a landmark adds 0.
        """
        assert found.scores is not None
        present = ~hard.isnan().any(dim=2)
        heat_maps = found.scores.flatten(2).softmax(dim=-1)
        local = heat_maps @ found.maps[-1].float().flatten(2).transpose(1, 2)
        log_scale = torch.einsum("nkc,kcd->nkd", local, self.weight) + self.bias
        log_scale = log_scale.clamp(*LOG_SCALES)
        known = torch.where(present[..., None], hard, found.points.detach())
        error = (found.points - known) / log_scale.exp()
        log_flow = self.flow.log_prob(error.reshape(-1, 2)).reshape(present.shape)
        # The flow's own scale, then the Laplace distribution's, as in the published code.
        log_laplace = -(2 * log_scale + math.log(2) + error.abs()).mean(dim=2)
        return -((log_flow + log_laplace) * present).mean()


def _small_network(width: int, *last: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(2, width),
        nn.LeakyReLU(),
        nn.Linear(width, width),
        nn.LeakyReLU(),
        nn.Linear(width, 2),
        *last,
    )
