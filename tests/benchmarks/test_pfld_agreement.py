"""What networks' errors have in common: distances, the mean of two, and their correlation."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.pfld.agreement import correlation, errors_table, pairs_table
from landmark_kd.landmarks.metrics import normalizing_distance
from landmark_kd.landmarks.scheme import IBUG_68


@pytest.fixture
def true() -> np.ndarray:
    """Landmarks of faces of several sizes."""
    rng = np.random.default_rng(0)
    return rng.uniform(0, 100, (30, 68, 2)) * rng.uniform(1, 5, (30, 1, 1))


@pytest.fixture
def distance(true: np.ndarray) -> np.ndarray:
    return normalizing_distance(true, IBUG_68)


def moved(
    true: np.ndarray, distance: np.ndarray, percent: float, direction: tuple[float, float]
) -> np.ndarray:
    """Landmarks that are all off by so many percent of their face's normaliser."""
    return true + percent / 100 * distance[:, None, None] * np.array(direction)


def test_networks_that_err_in_opposite_ways_have_nothing_in_common(
    true: np.ndarray, distance: np.ndarray
) -> None:
    right, left, up = (moved(true, distance, 2, d) for d in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0)))
    assert correlation(right, right, true, distance) == pytest.approx(1)
    assert correlation(right, left, true, distance) == pytest.approx(-1)
    assert correlation(right, up, true, distance) == pytest.approx(0, abs=1e-9)
    # Of faces' sizes it knows nothing: an error counts in units of its own face.
    further = moved(true, distance, 6, (1.0, 0.0))
    assert correlation(right, further, true, distance) == pytest.approx(1)


def test_tables_say_errors_distances_and_the_error_of_the_mean(
    true: np.ndarray, distance: np.ndarray
) -> None:
    points = {name: moved(true, distance, off, (1.0, 0.0)) for name, off in (("a", 3), ("b", 5))}
    errors = errors_table("30 test faces", points, true, distance).splitlines()
    assert errors[0] == "| network, 30 test faces | NME [95 %] |"
    assert errors[2:] == ["| a | 3.00 [3.00, 3.00] |", "| b | 5.00 [5.00, 5.00] |"]
    pairs = pairs_table("30 test faces", points, true, distance).splitlines()
    assert pairs[2:] == ["| a, b | 2.00 | 4.00 [4.00, 4.00] | 1.00 |"]
