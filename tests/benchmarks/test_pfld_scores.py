"""Scores of two networks on the same faces, and their times."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.pfld.scores import CED_ERRORS, ced_points, scores, times

FIRST = np.array([2.0, 4.0, 9.0, 5.0])
SECOND = np.array([3.0, 3.0, 10.0, 8.0])


def test_scores_are_means_over_the_faces_and_the_difference_is_the_firsts() -> None:
    found = scores({"a": FIRST, "b": SECOND})
    assert found["n"] == 4
    assert {k: v["value"] for k, v in found["networks"]["a"].items()} == pytest.approx(
        {"nme": 5.0, "fr8": 25.0, "auc8": 100 * (6 + 4 + 0 + 3) / 32}
    )
    assert found["networks"]["b"]["fr8"]["value"] == 25.0
    against = found["against"]["a"]
    assert against["difference"]["value"] == -1.0
    assert against["ratio"]["value"] == pytest.approx(5 / 6, abs=1e-4)
    assert against["better"]["value"] == 0.75
    for interval in (against["difference"], *found["networks"]["a"].values()):
        assert interval["low"] <= interval["value"] <= interval["high"]


def test_the_difference_is_paired() -> None:
    """Faces that are hard for both networks widen each one's interval, not the difference's."""
    hard = np.random.default_rng(0).uniform(1, 20, 200)
    found = scores({"a": hard, "c": 2 * hard, "b": hard + 0.5})
    assert list(found["against"]) == ["a", "c"]
    assert found["against"]["a"]["difference"]["low"] == pytest.approx(-0.5)
    assert found["against"]["a"]["difference"]["high"] == pytest.approx(-0.5)
    assert found["against"]["c"]["difference"]["value"] > 0
    nme = found["networks"]["a"]["nme"]
    assert nme["high"] - nme["low"] > 1


def test_the_ced_counts_faces_up_to_each_error() -> None:
    curves = ced_points({"a": FIRST, "b": SECOND})
    at = {error: i for i, error in enumerate(curves["error"])}
    assert len(curves["a"]) == len(CED_ERRORS) == 201
    assert [curves["a"][at[e]] for e in (1.95, 2.0, 4.0, 8.95, 9.0)] == [0, 0.25, 0.5, 0.75, 1]


class SlowDetector:
    """Sleeps instead of predicting, and says when it was called."""

    def __init__(self, name: str, milliseconds: float, calls: list[str]) -> None:
        self.name, self.seconds, self.calls = name, milliseconds / 1000, calls

    def network_inputs(self, image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, None]:
        return np.zeros(1), None

    def run_network(self, inputs: np.ndarray) -> None:
        time.sleep(self.seconds)

    def detect(self, image: np.ndarray, boxes: np.ndarray) -> None:
        assert boxes.shape == (1, 4)
        self.calls.append(self.name)
        time.sleep(2 * self.seconds)


def test_networks_take_turns_and_each_gets_its_own_times() -> None:
    calls: list[str] = []
    detectors = {"a": SlowDetector("a", 2, calls), "b": SlowDetector("b", 6, calls)}
    faces = [(np.zeros((8, 8, 3), np.uint8), np.array([1.0, 1, 5, 5]))] * 3
    found = times(detectors, faces, rounds=2)  # type: ignore[arg-type]
    # Warmed up in one order, then in turns that are reversed from face to face and round to round.
    assert "".join(calls) == "ababab" + "abbaab" + "baabba"
    for name, milliseconds in (("a", 2), ("b", 6)):
        alone, whole = found[name]["without_cropping"], found[name]["with_cropping"]
        assert milliseconds <= alone["p10"] <= alone["median"] <= alone["p90"]
        assert 2 * milliseconds <= whole["p10"] <= whole["median"] <= whole["p90"]
        assert alone["p10"] < whole["p10"]
