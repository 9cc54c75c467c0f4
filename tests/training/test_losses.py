"""Regression losses against closed forms."""

from __future__ import annotations

import pytest
import torch

from landmark_kd.training.losses import (
    ADAPTIVE_WING,
    REGRESSION_LOSSES,
    SOFT_WING_LINEAR,
    WING_WIDTH,
)


def scalar(value: float) -> torch.Tensor:
    return torch.full((1, 1, 2), value, dtype=torch.float64)


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_regression_losses_are_zero_at_the_truth_and_grow_with_the_error(name: str) -> None:
    values = [float(REGRESSION_LOSSES[name](scalar(e), scalar(0.0))) for e in (0.0, 0.02, 0.1, 0.4)]
    assert values[0] == 0
    assert values == sorted(values)
    assert len(set(values)) == len(values)


@pytest.mark.parametrize(
    ("name", "turn"),
    [("wing", WING_WIDTH), ("adaptive_wing", ADAPTIVE_WING[3]), ("soft_wing", SOFT_WING_LINEAR)],
)
def test_losses_of_two_parts_are_continuous_where_these_meet(name: str, turn: float) -> None:
    loss = REGRESSION_LOSSES[name]
    below, above = (float(loss(scalar(turn + s), scalar(0.0))) for s in (-1e-9, 1e-9))
    assert below == pytest.approx(above, abs=1e-7)
