"""The one-euro filter of landmarks: what rests, what moves, and irregular frames."""

from __future__ import annotations

import math

import numpy as np
import pytest

from landmark_kd.inference.smoothing import OneEuro, OneEuroFilter

SIDE = 160.0


def filtered(points: np.ndarray, times: np.ndarray, side: float = SIDE) -> np.ndarray:
    smooth = OneEuroFilter(OneEuro())
    return np.array([smooth(p, t, side) for p, t in zip(points, times, strict=True)])


def noise(frames: int, sigma: float = 0.4) -> np.ndarray:
    return np.random.default_rng(0).normal(0, sigma, (frames, 68, 2))


def test_jitter_at_rest_is_a_third_or_less() -> None:
    points = noise(120) + 100
    smooth = filtered(points, np.arange(120) / 30)
    assert smooth[30:].std(axis=0).mean() < 0.3 * points[30:].std(axis=0).mean()


@pytest.mark.parametrize("direction", [0.0, 0.8, 2.0, 4.0])
def test_a_face_side_a_second_lags_less_than_a_frame_in_any_direction(direction: float) -> None:
    times = np.arange(90) / 30
    way = np.array([math.cos(direction), math.sin(direction)])
    true = np.broadcast_to(SIDE * times[:, None, None] * way, (90, 68, 2))
    behind = (true - filtered(true + noise(90), times))[45:].mean(axis=(0, 1)) @ way
    assert 0 < behind < SIDE / 30


def test_the_size_of_the_face_does_not_matter() -> None:
    points, times = noise(40).cumsum(axis=0), np.arange(40) / 30
    large, small = filtered(points, times), filtered(points / 8, times, SIDE / 8)
    np.testing.assert_allclose(large, small * 8)


def test_frames_that_come_irregularly_are_smoothed_by_their_times() -> None:
    """A step is followed as far after a given time, however many frames came in it."""
    step = np.full((1, 1, 2), 1.0)
    often, seldom = OneEuroFilter(OneEuro(beta=0)), OneEuroFilter(OneEuro(beta=0))
    for smooth, rate in ((often, 240), (seldom, 60)):
        smooth(np.zeros((1, 2)), 0.0, SIDE)
        for number in range(rate // 2):
            last = smooth(step[0], (number + 1) / rate, SIDE)
        if smooth is often:
            expected = last
    assert last == pytest.approx(expected, rel=0.02)


def test_a_jump_is_not_smoothed() -> None:
    smooth = OneEuroFilter(OneEuro())
    smooth(np.zeros((68, 2)), 0.0, SIDE)
    far = np.full((68, 2), SIDE)
    np.testing.assert_array_equal(smooth(far, 1 / 30, SIDE), far)


def test_a_second_frame_of_the_same_time_changes_nothing() -> None:
    smooth = OneEuroFilter(OneEuro())
    first = smooth(np.zeros((68, 2)), 1.0, SIDE)
    np.testing.assert_array_equal(smooth(np.ones((68, 2)), 1.0, SIDE), first)


@pytest.mark.parametrize(
    "wrong", [{"min_cutoff": 0}, {"d_cutoff": -1}, {"beta": -0.1}, {"beta": math.nan}]
)
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        OneEuro(**wrong)
