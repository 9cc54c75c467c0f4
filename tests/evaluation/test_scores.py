"""Scores of errors: by hand, with faces that were not found, and as they are written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from landmark_kd.evaluation.bootstrap import Interval, compare
from landmark_kd.evaluation.scores import (
    MEASURES,
    deciding,
    deciding_sentences,
    interval_text,
    rates,
    rounded,
    scores,
)


def test_scores_are_the_means_of_the_faces_numbers() -> None:
    found = scores(np.array([2.0, 4.0, 9.0, 5.0]))
    assert list(found) == list(MEASURES) == ["nme", "fr8", "fr10", "auc8", "auc10"]
    assert found == pytest.approx(
        {"nme": 5, "fr8": 25, "fr10": 0, "auc8": 100 * 13 / 32, "auc10": 100 * 20 / 40}
    )


def test_a_face_that_was_not_found_is_a_failure_and_adds_nothing_to_the_area() -> None:
    found = scores(np.array([2.0, np.inf, 4.0]))
    assert found["nme"] == 3
    assert found["fr8"] == found["fr10"] == pytest.approx(100 / 3)
    assert found["auc8"] == pytest.approx(100 * 10 / 24)
    assert scores(np.array([np.inf] * 2)) == {
        "nme": None, "fr8": 100, "fr10": 100, "auc8": 0, "auc10": 0,
    }  # fmt: skip


def test_rates_are_those_of_the_thresholds_asked_for() -> None:
    found = rates(np.array([1.0, 3.0, np.inf]), [2])
    assert {key: values.tolist() for key, values in found.items()} == {
        "fr2": [0, 100, 100],
        "auc2": [50, 0, 0],
    }


def test_no_errors_are_refused() -> None:
    with pytest.raises(ValueError, match="error"):
        scores(np.array([]))


def test_a_face_that_cannot_be_measured_is_in_no_number() -> None:
    assert scores(np.array([1.0, np.nan, 9.0])) == scores(np.array([1.0, 9.0]))
    assert set(scores(np.array([np.nan])).values()) == {None}


def test_rounding_reaches_every_number_and_leaves_what_is_none() -> None:
    nested = {"all": [np.float64(1) / 3, {"nme": Interval(1 / 3, 0.0, 2 / 3)}], "n": 3, "no": None}
    assert rounded(nested, 2) == {
        "all": [0.33, {"nme": {"value": 0.33, "low": 0.0, "high": 0.67}}],
        "n": 3,
        "no": None,
    }
    comparison = rounded(compare(np.array([1.0, 2.0]), np.array([2.0, 3.0])), 3)
    assert comparison["difference"] == {"value": -1.0, "low": -1.0, "high": -1.0}
    assert json.loads(json.dumps(comparison)) == comparison


def test_an_interval_is_written_with_its_ends() -> None:
    interval = {"value": -0.119, "low": -0.161, "high": 0.078}
    assert interval_text(interval) == "-0.12 [-0.16, 0.08]"
    assert interval_text(interval, "+.3f") == "-0.119 [-0.161, +0.078]"


def test_a_face_that_makes_a_mean_what_it_is_is_named_with_error_and_normalizer() -> None:
    errors = {
        "kd": np.array([3.0, 4, np.inf, 5e5, 3, 4]),
        "tough": np.array([3.0, 4, 3, 5, 3, 4]),
    }
    subsets = {"full": np.arange(6), "common": np.array([0, 1, 3])}
    names = [f"face {i}" for i in range(6)]
    (said,) = deciding_sentences(errors, subsets, names, np.array([90, 90, 90, 1e-4, 90, 90]))
    assert "face 3 makes 100 % of the mean NME of kd on common" in said
    assert "its error is 500000 %, its normaliser 0.0001 pixels" in said


@pytest.mark.parametrize(
    "errors",
    [[3.0], [3.0, 9.0], [3.0] * 100 + [30.0], [0.0, 0.0, 0.0], [np.inf, 2.0], [0.5, 1, 2]],
)
def test_few_faces_and_usual_failures_decide_nothing(errors: list[float]) -> None:
    assert deciding(np.array(errors)) == {}


def test_several_faces_may_make_a_mean_together() -> None:
    assert list(deciding(np.array([3.0, 900, 3, 800, 3, 3]))) == [1, 3]
