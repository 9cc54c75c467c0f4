"""The picture of error against time: where points lie, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from benchmarks.pfld.pareto import draw, other_point, shipped_points
from landmark_kd.core.errors import UserError


def results(**networks: tuple[float, float]) -> dict[str, Any]:
    """Results of `compare`: (milliseconds, NME) of each network."""
    scores = {
        name: {"nme": {"value": nme, "low": nme - 0.1, "high": nme + 0.1}}
        for name, (_, nme) in networks.items()
    }
    return {
        "networks": {name: {} for name in networks},
        "times": {
            name: {"without_cropping": {"median": time}} for name, (time, _) in networks.items()
        },
        "sets": {"300w": {"subsets": {"common": {"networks": scores}}}},
    }


def test_times_are_in_units_of_the_reference_of_the_same_run() -> None:
    points = shipped_points(results(accurate=(4.0, 3.2), fast=(1.0, 3.6), pfld=(2.0, 3.3)))
    assert [(p.name, p.time, p.nme, p.kind) for p in points] == [
        ("accurate", 2.0, 3.2, "shipped"),
        ("fast", 0.5, 3.6, "shipped"),
        ("PFLD", 1.0, 3.3, "pfld"),
    ]
    slow_machine = other_point("before", results(student=(30.0, 3.1), pfld=(10.0, 3.3)))
    assert (slow_machine.name, slow_machine.time, slow_machine.kind) == ("before", 3.0, "other")


def test_a_file_of_several_students_is_no_one_point() -> None:
    with pytest.raises(UserError, match="one student is needed, this one has 2"):
        other_point("both", results(a=(1.0, 3.0), b=(1.0, 3.0), pfld=(1.0, 3.0)))


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "pareto.png"
    draw(path, shipped_points(results(accurate=(4.0, 3.2), pfld=(2.0, 3.3))))
    image = cv2.imread(str(path))
    assert image is not None
    assert image.std() > 5
