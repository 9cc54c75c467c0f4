"""Heads: closed forms of the attention, and what each head can and cannot see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from landmark_kd.models.heads import GRID_SPAN, HEADS, Head, IntegralHead

K = 5
CHANNELS = (4, 6, 8)


def maps(finest: int = 8) -> list[Tensor]:
    """Random feature maps (2, C, H, W) of a crop, from the finest to the coarsest."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.rand(2, channels, finest >> i, finest >> i, generator=generator)
        for i, channels in enumerate(CHANNELS)
    ]


def head(name: str) -> Head:
    torch.manual_seed(0)
    taken = maps() if HEADS[name].STRIDES else maps()[-1:]
    return HEADS[name](taken, K).eval()


def taken(name: str) -> list[Tensor]:
    return maps() if HEADS[name].STRIDES else maps()[-1:]


@pytest.mark.parametrize(("name", "told"), [("pool", 1), ("integral", 0)])
def test_the_pool_head_starts_near_the_shape_it_is_told_and_the_integral_head_in_the_centre(
    name: str, told: int
) -> None:
    made = head(name)
    shape = np.random.default_rng(0).uniform(-0.5, 0.5, (K, 2))
    made.start_at(shape)
    with torch.no_grad():
        found = made(taken(name)).points.numpy()
    assert found.shape == (2, K, 2)
    assert np.abs(found - told * shape).max() < 0.05


def attending(positions: list[tuple[int, int]]) -> Tensor:
    """Landmarks (K, 2) of an integral head that attends evenly to these rows and columns of 8."""
    made = head("integral")
    assert isinstance(made, IntegralHead)
    with torch.no_grad():
        made.scores.weight.zero_()
        # One channel of the fused map is high there alone, and all scores read it.
        made.scores.weight[:, 0] = 1.0
        fused = torch.zeros(1, made.scores.in_channels, 8, 8)
        for row, column in positions:
            fused[0, 0, row, column] = 1e4
        made.fusion.forward = lambda _: fused  # type: ignore[method-assign, assignment]
        return made(maps()).points[0]


@pytest.mark.parametrize(("row", "column"), [(2, 5), (7, 0)])
def test_where_all_attention_is_on_one_position_the_landmark_is_there(
    row: int, column: int
) -> None:
    expected = GRID_SPAN * torch.tensor([(column + 0.5) / 8 - 0.5, (row + 0.5) / 8 - 0.5])
    torch.testing.assert_close(attending([(row, column)]), expected.expand(K, 2))


def test_a_landmark_that_two_positions_share_is_in_their_middle() -> None:
    one, other = attending([(2, 5)]), attending([(6, 1)])
    torch.testing.assert_close(attending([(2, 5), (6, 1)]), (one + other) / 2)


def test_a_landmark_may_lie_outside_of_the_crop() -> None:
    assert (attending([(0, 7)]).abs() > 0.5).all()


@pytest.mark.parametrize(("name", "sees"), [("integral", True), ("pool", False)])
def test_the_integral_head_sees_where_a_feature_is_and_the_pool_head_does_not(
    name: str, sees: bool
) -> None:
    made = head(name)
    moved = [features.roll(1, dims=3) for features in taken(name)]
    with torch.no_grad():
        same = torch.allclose(made(taken(name)).points, made(moved).points, atol=1e-6)
    assert same != sees


@pytest.mark.parametrize("name", HEADS)
def test_landmarks_keep_32_bits_under_mixed_precision(name: str) -> None:
    made = head(name)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = made(taken(name)).points
    assert found.dtype == torch.float32
