"""Regression losses of networks that learn landmarks directly, without a teacher.

A loss is the mean over all coordinates: x and y of each landmark are separate numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
import torch
from torch import Tensor
from torch.nn import functional

from landmark_kd.models.heads import GRID_SPAN, Flow, positions

# Wing loss (Feng et al. 2018) with the paper's w = 10 and epsilon = 2 pixels of a 224 px crop.
WING_WIDTH = 10 / 224
WING_CURVATURE = 2 / 224
# Adaptive Wing loss (Wang et al. 2019) with the paper's omega = 14, epsilon = 1, alpha = 2.1 and
# theta = 0.5, for errors in pixels of a 224 px crop. On heat maps its exponent alpha - y falls with
# the value y of the map; coordinates have no such value, so the exponent is that of y = 0.
ADAPTIVE_WING = (14 / 224, 1 / 224, 2.1, 0.5 / 224)
# Soft-Wing loss (Lin et al. 2021): linear up to 2 pixels of a 224 px crop, then logarithmic with
# omega = 20 and epsilon = 0.5 pixels.
SOFT_WING_LINEAR = 2 / 224
SOFT_WING_WIDTH = 20 / 224
SOFT_WING_CURVATURE = 0.5 / 224
# Where smooth L1 turns from quadratic to linear: one hundredth of the crop's side.
SMOOTH_L1_BETA = 0.01


def _wing(pred: Tensor, hard: Tensor) -> Tensor:
    error = (pred - hard).abs()
    constant = WING_WIDTH - WING_WIDTH * math.log(1 + WING_WIDTH / WING_CURVATURE)
    near = WING_WIDTH * torch.log(1 + error / WING_CURVATURE)
    return torch.where(error < WING_WIDTH, near, error - constant).mean()


def _adaptive_wing(pred: Tensor, hard: Tensor) -> Tensor:
    width, curvature, power, turn = ADAPTIVE_WING
    error = (pred - hard).abs()
    at_turn = turn / curvature
    # Slope and value at the turn, so that the linear part goes on smoothly.
    slope = width * power * at_turn ** (power - 1) / (1 + at_turn**power) / curvature
    constant = slope * turn - width * math.log(1 + at_turn**power)
    near = width * torch.log(1 + (error / curvature) ** power)
    return torch.where(error < turn, near, slope * error - constant).mean()


def _soft_wing(pred: Tensor, hard: Tensor) -> Tensor:
    error = (pred - hard).abs()
    constant = SOFT_WING_LINEAR - SOFT_WING_WIDTH * math.log(
        1 + SOFT_WING_LINEAR / SOFT_WING_CURVATURE
    )
    beyond = SOFT_WING_WIDTH * torch.log(1 + error / SOFT_WING_CURVATURE) + constant
    return torch.where(error < SOFT_WING_LINEAR, error, beyond).mean()


def _smooth_l1(pred: Tensor, hard: Tensor) -> Tensor:
    return functional.smooth_l1_loss(pred, hard, beta=SMOOTH_L1_BETA)


# Losses of networks that are trained without teachers: (pred, hard), both (N, K, 2) -> scalar.
REGRESSION_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": functional.l1_loss,
    "l2": functional.mse_loss,
    "smooth_l1": _smooth_l1,
    "wing": _wing,
    "adaptive_wing": _adaptive_wing,
    "soft_wing": _soft_wing,
}

# Standard deviation of the Gaussian that a heat map is to be, in steps of its grid (DSNT).
GAUSSIAN_SIGMA = 1.0


def gaussian_divergence(scores: Tensor, hard: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence of heat maps from Gaussians, in nats.

    DSNT's regulariser (Nibali et al. 2018): a mean may be right with any distribution around it;
    this asks for a narrow one around the hard-landmark. It is the mean over faces and landmarks.

    Args:
        scores: (N, K, H, W); their softmax over the positions is the heat map.
        hard: (N, K, 2) network coordinates.
    """
    grid = positions(*scores.shape[-2:], scores.device)
    step = 1 / math.sqrt(len(grid)) * GRID_SPAN
    apart = (hard[:, :, None] - grid).square().sum(dim=-1)
    log_wanted = (-apart / (2 * (GAUSSIAN_SIGMA * step) ** 2)).log_softmax(dim=-1)
    log_own = scores.flatten(2).log_softmax(dim=-1)
    log_middle = torch.logaddexp(log_own, log_wanted) - math.log(2)
    return 0.5 * sum(
        (log.exp() * (log - log_middle)).sum(dim=-1).mean() for log in (log_own, log_wanted)
    )


def likelihood_loss(pred: Tensor, sigma: Tensor, hard: Tensor, flow: Flow) -> Tensor:
    """Return RLE's loss (Li et al. 2021): - log of the density of the hard-landmarks.

    The density is that of a flow times that of a Laplace distribution, residual log-likelihood.

    Args:
        pred, sigma, hard: (N, K, 2) network coordinates, and units of the crop's side.
        flow: density of (pred - hard) / sigma.
    """
    error = (pred - hard) / sigma
    log_flow = flow.log_prob(error.reshape(-1, 2)).reshape(pred.shape[:2])
    laplace = torch.log(2 * sigma) + error.abs()
    return (sigma.log() + laplace).mean() - log_flow.mean()
