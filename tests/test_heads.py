"""Heads: closed forms of the votes, and what each head can and cannot see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from landmark_kd.heads import HEADS, VotingHead

K = 5
CHANNELS = (4, 6, 8)


def maps(finest: int = 8) -> list[Tensor]:
    """Random feature maps (2, C, H, W) of a crop, from the finest to the coarsest."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.rand(2, channels, finest >> i, finest >> i, generator=generator)
        for i, channels in enumerate(CHANNELS)
    ]


def head(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    taken = maps() if HEADS[name].STRIDES else maps()[-1:]
    return HEADS[name](taken, K).eval()


def taken(name: str) -> list[Tensor]:
    return maps() if HEADS[name].STRIDES else maps()[-1:]


@pytest.mark.parametrize("name", HEADS)
def test_a_head_starts_near_the_shape_it_is_told(name: str) -> None:
    made = head(name)
    shape = np.random.default_rng(0).uniform(-0.5, 0.5, (K, 2))
    made.start_at(shape)
    with torch.no_grad():
        found = made(taken(name)).numpy()
    assert found.shape == (2, K, 2)
    assert np.abs(found - shape).max() < 0.05


def test_where_all_attention_is_on_one_position_the_landmark_is_its_vote() -> None:
    made = head("voting")
    assert isinstance(made, VotingHead)
    made.start_at(np.zeros((K, 2)))
    offset = torch.tensor([0.03, -0.07])
    with torch.no_grad():
        made.offsets.weight.zero_()
        made.offsets.bias.copy_(offset.repeat(K))
        made.scores.weight.zero_()
        # One channel of the fused map is high at row 2, column 5 alone, and all scores read it.
        made.scores.weight[:, 0] = 1.0
        fused = torch.zeros(1, made.scores.in_channels, 8, 8)
        fused[0, 0, 2, 5] = 1e4
        made.fusion.forward = lambda _: fused  # type: ignore[method-assign, assignment]
        found = made(maps())
    expected = torch.tensor([(5 + 0.5) / 8 - 0.5 + 0.03, (2 + 0.5) / 8 - 0.5 - 0.07])
    torch.testing.assert_close(found, expected.expand(1, K, 2))


def test_even_attention_gives_the_mean_of_all_votes() -> None:
    made = head("voting")
    assert isinstance(made, VotingHead)
    with torch.no_grad():
        made.scores.weight.zero_()
        fused = made.fusion(maps())
        offsets = made.offsets(fused).reshape(2, K, 2, -1).mean(dim=-1)
        # The positions' own mean is the crop's centre.
        torch.testing.assert_close(made(maps()), offsets)


@pytest.mark.parametrize(("name", "sees"), [("voting", True), ("pool", False)])
def test_the_voting_head_sees_where_a_feature_is_and_the_pool_head_does_not(
    name: str, sees: bool
) -> None:
    made = head(name)
    moved = [features.roll(1, dims=3) for features in taken(name)]
    with torch.no_grad():
        same = torch.allclose(made(taken(name)), made(moved), atol=1e-6)
    assert same != sees


@pytest.mark.parametrize("name", HEADS)
def test_landmarks_keep_32_bits_under_mixed_precision(name: str) -> None:
    made = head(name)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = made(taken(name))
    assert found.dtype == torch.float32
