"""Losses: plain regression losses, the assistive loss and KD-Loss (Fard & Mahoor 2022), and plain
distillation of points, which KD-Loss is compared with.

Everything works on coordinates: x and y of each landmark are separate numbers, and a loss is the
mean over all of them. e = |pred - hard| is the student's error, d = |teacher - hard| the
teacher's; the teacher counts as standing on the student's side of the hard-landmark, so only the
two distances matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from landmark_kd.config.params import KDParams
from landmark_kd.training.losses import REGRESSION_LOSSES

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
