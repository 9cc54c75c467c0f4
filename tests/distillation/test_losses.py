"""Losses against golden values, closed forms and the properties the design names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from landmark_kd.distillation.losses import KDLoss, PointsLoss, assistive_loss

GOLDEN = json.loads((Path(__file__).parent / "golden" / "kd_loss.json").read_text())


def golden_loss(variant: str) -> KDLoss:
    parameters: dict[str, Any] = GOLDEN["parameters"][variant]
    return KDLoss(variant=variant, **parameters)


def tensors(case: dict[str, Any]) -> list[torch.Tensor]:
    names = ("pred", "hard", "tough", "tolerant")
    return [torch.tensor(case[name], dtype=torch.float64) for name in names]


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_kd_loss_equals_the_golden_values_of_both_variants(case: dict[str, Any]) -> None:
    total, parts = golden_loss(case["variant"])(*tensors(case))
    found = {name: float(value) for name, value in {**parts, "total": total}.items()}
    assert found == pytest.approx(case["expected"], abs=1e-6)


def scalar(value: float) -> torch.Tensor:
    return torch.full((1, 1, 2), value, dtype=torch.float64)


def aloss(error: float, teacher_error: float = 0.1) -> float:
    value = assistive_loss(
        scalar(error),
        scalar(0.0),
        scalar(teacher_error),
        positive=1.5,
        negative=-0.5,
        beta=0.4,
    )
    return float(value)


def test_assistive_loss_has_the_three_regions_of_the_paper() -> None:
    assert aloss(0.3) == pytest.approx(1.5 * 0.2)
    assert aloss(0.06) == pytest.approx(-0.5 * 0.04)
    assert aloss(0.02) == pytest.approx(-0.5 * (0.02 / 0.04) * 0.08)


def test_assistive_loss_is_zero_at_the_truth_and_at_the_teacher_and_continuous() -> None:
    assert aloss(0.0) == 0
    assert aloss(0.1) == pytest.approx(0)
    errors = np.linspace(0, 0.3, 3001)
    values = np.array([aloss(error) for error in errors])
    assert np.abs(np.diff(values)).max() < 1e-3


def test_only_the_distance_of_the_teacher_counts_not_its_side() -> None:
    assert aloss(0.2, 0.1) == pytest.approx(aloss(0.2, -0.1))


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_a_teacher_without_error_gives_finite_loss_and_gradient(variant: str) -> None:
    pred = torch.tensor([[[0.0, 0.2]]], dtype=torch.float64, requires_grad=True)
    total, _ = golden_loss(variant)(pred, scalar(0.0), scalar(0.0), scalar(0.0))
    total.backward()
    assert pred.grad is not None
    assert torch.isfinite(pred.grad).all()


@pytest.mark.seconds
def test_the_truth_is_a_minimum_of_the_paper_form_from_the_stated_weight_on_and_not_below() -> None:
    def rises(main: float) -> bool:
        loss = KDLoss(
            variant="paper",
            beta=0.4,
            tough=(1.0, -0.45),
            tolerant=(1.0, -0.4),
            weights={"main": main, "tough": 1.0, "tolerant": 1.0},
        )
        errors = torch.linspace(1e-4, 0.5, 2000, dtype=torch.float64)
        values = [loss(scalar(float(e)), scalar(0), scalar(0.1), scalar(0.1))[0] for e in errors]
        return min(float(v) for v in values) >= 0

    assert rises(2.125)
    assert not rises(2.0)


def test_coordinate_scale_is_the_unit_of_the_errors() -> None:
    points = [torch.rand(2, 5, 2, dtype=torch.float64) for _ in range(4)]
    parameters = GOLDEN["parameters"]["code"]
    scaled = KDLoss(variant="code", **parameters, coordinate_scale=64.0)(*points)[0]
    by_hand = KDLoss(variant="code", **parameters)(*(64 * p for p in points))[0]
    assert float(scaled) == pytest.approx(float(by_hand))


def test_gradient_of_kd_loss_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (2, 7, 2)
    points = [torch.rand(shape, dtype=torch.float64, generator=generator) for _ in range(4)]
    points[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda *p: golden_loss("paper")(*p)[0], points)


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="paper or code"):
        KDLoss(variant="papre", **GOLDEN["parameters"]["paper"])


def test_plain_distillation_shares_the_loss_out_between_truth_and_teachers() -> None:
    loss = PointsLoss(loss="l1", share=0.6, weights={"tough": 1.0, "tolerant": 2.0})
    total, parts = loss(scalar(0.0), scalar(0.1), scalar(0.3), scalar(-0.6))
    found = {name: float(value) for name, value in parts.items()}
    assert found == pytest.approx({"main": 0.4 * 0.1, "tough": 0.2 * 0.3, "tolerant": 0.4 * 0.6})
    assert float(total) == pytest.approx(sum(found.values()))


def test_plain_distillation_pulls_to_the_side_where_the_teacher_is() -> None:
    pred = torch.zeros((1, 1, 2), dtype=torch.float64, requires_grad=True)
    loss = PointsLoss(loss="l2", share=0.5, weights={"tough": 1.0, "tolerant": 0.0})
    total, _ = loss(pred, scalar(0.0), scalar(0.2), scalar(-5.0))
    total.backward()
    assert pred.grad is not None
    assert bool((pred.grad < 0).all())
