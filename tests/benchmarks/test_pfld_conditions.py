"""Faces sorted by pose and light."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.pfld.conditions import conditions, light, quartered
from landmark_kd.data.datasets.base import FaceRecord, Part
from landmark_kd.data.synthetic.shape import rotation_matrix
from landmark_kd.evaluation.exported_report import edged
from landmark_kd.imaging.images import ImageFile
from landmark_kd.landmarks.head import load_prior

PART = Part("test", "test", "test", None)
SIDE = 200


def head(yaw: float, roll: float = 0.0) -> np.ndarray:
    turned = load_prior().mean @ rotation_matrix(yaw, 0.0, roll).T
    return 60.0 * turned[:, :2] + SIDE / 2


def face(folder: Path, number: int, grey: np.ndarray, landmarks: np.ndarray) -> FaceRecord:
    path = folder / f"{number}.png"
    cv2.imwrite(str(path), np.repeat(grey[..., None], 3, axis=2).astype(np.uint8))
    return FaceRecord(str(number), ImageFile(path), landmarks, str(number), PART)


def test_a_value_on_an_edge_belongs_to_the_bin_above_and_empty_bins_are_left_out() -> None:
    bins = edged(np.array([0.0, 9.99, 10.0, 31.0]), (10, 20, 30), "°")
    assert {name: rows.tolist() for name, rows in bins.items()} == {
        "< 10°": [0, 1],
        "10 to 20°": [2],
        "≥ 30°": [3],
    }


@pytest.mark.parametrize(("faces", "sizes"), [(8, [2, 2, 2, 2]), (10, [3, 2, 3, 2]), (3, [1] * 3)])
def test_quarters_are_as_equal_as_can_be_and_ordered(faces: int, sizes: list[int]) -> None:
    values = np.random.default_rng(0).permutation(faces).astype(float)
    bins = quartered(values)
    assert [len(rows) for rows in bins.values()] == sizes
    inside = [values[rows] for rows in bins.values()]
    assert all(low.max() < high.min() for low, high in itertools.pairwise(inside))
    first, rows = next(iter(bins.items()))
    assert first == f"lowest, {values[rows].min():.0f} to {values[rows].max():.0f}"


def test_light_is_that_of_the_faces_square_and_not_of_the_rest(tmp_path: Path) -> None:
    landmarks = head(0.0)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    half, centre = (high - low).max() / 2 + 3, (low + high) / 2
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = (np.abs(x - centre[0]) <= half) & (np.abs(y - centre[1]) <= half)
    plain = np.where(inside, 90, 255)
    halves = np.where(inside, np.where(x < centre[0], 40, 140), 255)
    faces = [face(tmp_path, 0, plain, landmarks), face(tmp_path, 1, halves, landmarks)]
    found = light(faces, np.stack([landmarks] * 2))
    np.testing.assert_allclose(found[0], [90, 0], atol=0.5)
    np.testing.assert_allclose(found[1], [90, 50], atol=2)


def test_faces_are_sorted_by_each_condition(tmp_path: Path) -> None:
    turns = [(0, 0), (-15, 0), (25, 8), (40, -25)]
    true = np.stack([head(yaw, roll) for yaw, roll in turns])
    greys = [np.full((SIDE, SIDE), value) for value in (200, 50, 150, 100)]
    faces = [face(tmp_path, i, grey, true[i]) for i, grey in enumerate(greys)]
    found = {
        condition: {name: rows.tolist() for name, rows in bins.items()}
        for condition, bins in conditions(faces, true).items()
    }
    assert found["yaw"] == {"< 10°": [0], "10 to 20°": [1], "20 to 30°": [2], "≥ 30°": [3]}
    assert found["roll"] == {"< 5°": [0, 1], "5 to 10°": [2], "≥ 20°": [3]}
    assert list(found["luminance"].values()) == [[1], [3], [2], [0]]
    assert next(iter(found["luminance"])) == "lowest, 50 to 50"
    assert len(found["contrast"]) == 4
