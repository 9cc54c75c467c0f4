"""What networks' errors have in common: distances, the mean of two, and their correlation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from benchmarks.pfld.agreement import correlation, errors_table, pairs_table
from landmark_kd.evaluation.exported import OnnxEvaluation
from landmark_kd.landmarks.metrics import normalizing_distance
from landmark_kd.landmarks.scheme import IBUG_68


@pytest.fixture
def one() -> OnnxEvaluation:
    """Faces of several sizes, as far as the tables read them."""
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 100, (30, 68, 2)) * rng.uniform(1, 5, (30, 1, 1))
    return cast(OnnxEvaluation, SimpleNamespace(true=true, scheme=IBUG_68))


def moved(one: OnnxEvaluation, percent: float, direction: tuple[float, float]) -> np.ndarray:
    """Landmarks that are all off by so many percent of their face's normaliser."""
    distance = normalizing_distance(one.true, one.scheme)[:, None, None]
    return one.true + percent / 100 * distance * np.array(direction)


def test_networks_that_err_in_opposite_ways_have_nothing_in_common(one: OnnxEvaluation) -> None:
    right, left, up = (moved(one, 2, d) for d in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0)))
    assert correlation(right, right, one) == pytest.approx(1)
    assert correlation(right, left, one) == pytest.approx(-1)
    assert correlation(right, up, one) == pytest.approx(0, abs=1e-9)
    # Of faces' sizes it knows nothing: an error counts in units of its own face.
    assert correlation(right, moved(one, 6, (1.0, 0.0)), one) == pytest.approx(1)


def test_tables_say_errors_distances_and_the_error_of_the_mean(one: OnnxEvaluation) -> None:
    points = {"a": moved(one, 3, (1.0, 0.0)), "b": moved(one, 5, (1.0, 0.0))}
    errors = errors_table("30 test faces", points, one).splitlines()
    assert errors[0] == "| network, 30 test faces | NME [95 %] |"
    assert errors[2:] == ["| a | 3.00 [3.00, 3.00] |", "| b | 5.00 [5.00, 5.00] |"]
    pairs = pairs_table("30 test faces", points, one).splitlines()
    assert pairs[2:] == ["| a, b | 2.00 | 4.00 [4.00, 4.00] | 1.00 |"]
