"""Losses: plain regression losses, the assistive loss and KD-Loss (Fard & Mahoor 2022), and plain
distillation of points, which KD-Loss is held against.

Everything works on coordinates: x and y of each landmark are separate numbers, and a loss is the
mean over all of them. e = |pred - hard| is the student's error, d = |teacher - hard| the
teacher's; the teacher counts as standing on the student's side of the hard-landmark, so only the
two distances matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from landmark_kd.params import KDParams

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

# Main part of the published code: three times the error while that is below the teacher's.
CODE_MAIN_SLOPE = 3.0


def assistive_loss(
    pred: Tensor,
    hard: Tensor,
    teacher: Tensor,
    *,
    positive: float,
    negative: float,
    beta: float,
) -> Tensor:
    """Return ALoss of the paper, the mean of omega * |d - e|, as a scalar tensor.

    omega is `positive` where e > d (the student is worse than the teacher: pulled harder),
    `negative` (<= 0) where beta * d <= e <= d, and negative * e / (beta * d) below that, so that
    the loss is continuous, zero at e = 0 and e = d, and negative between.

    Args:
        pred, hard, teacher: (N, K, 2) float, the same unit for all three.
        positive: alpha+ >= 0.
        negative: alpha- <= 0.
        beta: share of d below which the teacher's influence fades, in (0, 1).
    """
    student_error = (pred - hard).abs()
    teacher_error = (teacher - hard).abs()
    return _assistive(student_error, teacher_error, positive, negative, beta, fading=True)


class KDLoss:
    """KD-Loss = w_main * main + w_tough * ALoss(tough) + w_tolerant * ALoss(tolerant).

    `variant="paper"`: main = e where e <= tau, else e^2 + tau - tau^2; ALoss as in
    `assistive_loss`. `variant="code"`: as the authors' code has it, main = 3e where
    e <= d_tolerant, else e^2 + 3 d_tolerant - d_tolerant^2, and ALoss without the fading region
    (omega = 0 where e < beta * d, so the loss jumps there; and omega = 0 where d = 0: its
    comparisons leave out a teacher that is exactly right).

    Args:
        variant: paper or code.
        beta: see `assistive_loss`.
        tough, tolerant: (alpha+, alpha-) of each teacher.
        weights: of the parts main, tough and tolerant.
        tau: where the paper's main part turns quadratic; not used by `code`.
        coordinate_scale: coordinates are multiplied by it before anything else. The unit matters,
            since main mixes e and e^2: in [-0.5, 0.5] of the crop e^2 is far flatter than e.
    """

    def __init__(
        self,
        *,
        variant: str,
        beta: float,
        tough: tuple[float, float],
        tolerant: tuple[float, float],
        weights: Mapping[str, float],
        tau: float = 0.5,
        coordinate_scale: float = 1.0,
    ) -> None:
        if variant not in ("paper", "code"):
            raise ValueError(f"variant is {variant!r}; it must be paper or code")
        self.variant = variant
        self.beta = beta
        self.tau = tau
        self.tough = tough
        self.tolerant = tolerant
        self.weights = dict(weights)
        self.coordinate_scale = coordinate_scale

    def __call__(
        self, pred: Tensor, hard: Tensor, tough: Tensor, tolerant: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the total and its weighted parts, scalars; total is the parts' sum.

        Args:
            pred, hard, tough, tolerant: (N, K, 2) float, network coordinates.
        """
        scale = self.coordinate_scale
        error = (pred - hard).abs() * scale
        tough_error = (tough - hard).abs() * scale
        tolerant_error = (tolerant - hard).abs() * scale
        fading = self.variant == "paper"
        parts = {
            "main": self.weights["main"] * self._main(error, tolerant_error),
            "tough": self.weights["tough"]
            * _assistive(error, tough_error, *self.tough, self.beta, fading=fading),
            "tolerant": self.weights["tolerant"]
            * _assistive(error, tolerant_error, *self.tolerant, self.beta, fading=fading),
        }
        return parts["main"] + parts["tough"] + parts["tolerant"], parts

    def _main(self, error: Tensor, tolerant_error: Tensor) -> Tensor:
        if self.variant == "paper":
            beyond = error**2 + self.tau - self.tau**2
            return torch.where(error <= self.tau, error, beyond).mean()
        near = CODE_MAIN_SLOPE * error
        beyond = error**2 + CODE_MAIN_SLOPE * tolerant_error - tolerant_error**2
        return torch.where(error <= tolerant_error, near, beyond).mean()


class PointsLoss:
    """Plain distillation: a regression loss to the hard-landmarks and the same to the teachers.

    total = (1 - share) * L(pred, hard) + share * mean of L(pred, teacher), the mean weighted by
    `weights`. Unlike KD-Loss it tells the student where a teacher sees a landmark, not how far
    from the hard-landmark that is.

    Args:
        loss: a name in REGRESSION_LOSSES.
        share: of the teachers, in [0, 1].
        weights: of tough and tolerant among the teachers; not both 0.
    """

    def __init__(self, *, loss: str, share: float, weights: Mapping[str, float]) -> None:
        self.loss = REGRESSION_LOSSES[loss]
        self.share = share
        self.weights = dict(weights)

    def __call__(
        self, pred: Tensor, hard: Tensor, tough: Tensor, tolerant: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the total and its weighted parts, as `KDLoss` does."""
        parts = {"main": (1 - self.share) * self.loss(pred, hard)}
        both = self.weights["tough"] + self.weights["tolerant"]
        for name, teacher in (("tough", tough), ("tolerant", tolerant)):
            weight = self.share * self.weights[name] / both
            # A teacher without weight costs no time.
            parts[name] = (
                weight * self.loss(pred, teacher) if weight else torch.zeros_like(parts["main"])
            )
        return parts["main"] + parts["tough"] + parts["tolerant"], parts


def distillation_loss(kd: KDParams) -> KDLoss | PointsLoss:
    """Return the student's loss that the section `kd` describes."""
    if kd.variant == "points":
        weights = {"tough": kd.weights.tough, "tolerant": kd.weights.tolerant}
        return PointsLoss(loss=kd.points.loss, share=kd.points.share, weights=weights)
    return KDLoss(
        variant=kd.variant,
        beta=kd.beta,
        tau=kd.tau,
        tough=(kd.tough.positive, kd.tough.negative),
        tolerant=(kd.tolerant.positive, kd.tolerant.negative),
        weights=kd.weights.model_dump(),
        coordinate_scale=kd.coordinate_scale,
    )


def _assistive(
    error: Tensor,
    teacher_error: Tensor,
    positive: float,
    negative: float,
    beta: float,
    *,
    fading: bool,
) -> Tensor:
    low = beta * teacher_error
    between = torch.full_like(error, negative)
    beyond = torch.full_like(error, positive)
    if fading:
        # A teacher without error has no region below beta; the clamp only keeps 0 / 0 away.
        tiny = torch.finfo(error.dtype).tiny
        below = negative * error / low.clamp_min(tiny)
    else:
        below = torch.zeros_like(error)
        beyond = beyond * (teacher_error > 0)
    omega = torch.where(error < low, below, torch.where(error <= teacher_error, between, beyond))
    return (omega * (teacher_error - error).abs()).mean()


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
