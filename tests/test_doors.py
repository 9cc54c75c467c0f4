"""The public doors: short modules that stay where users import them from."""

from __future__ import annotations

import importlib

import pytest

DOORS = {
    "asm": {"ShapeModel"},
    "losses": {"KDLoss", "PointsLoss", "assistive_loss"},
    "metrics": {"auc", "ced", "failure_rate", "nme"},
    "predict": {
        *("Face", "FaceTracker", "LandmarkDetector", "OneEuro", "OneEuroFilter", "TrackedFace"),
    },
}


@pytest.mark.parametrize(("door", "names"), DOORS.items())
def test_a_door_gives_what_it_names(door: str, names: set[str]) -> None:
    module = importlib.import_module(f"landmark_kd.{door}")
    assert set(module.__all__) == names
    for name in names:
        assert getattr(module, name).__module__.startswith("landmark_kd.")
