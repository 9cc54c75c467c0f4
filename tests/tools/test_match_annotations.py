"""Offsets between two sets' habits are measured in the face's own directions and taken off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from tests.support.prepared_faces import prepared_faces
from tools.match_annotations import median_offsets, read_table, without_offsets


def turned(faces: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    matrices = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    return np.einsum("nij,nkj->nki", matrices, faces)


def test_a_habit_is_found_and_undone_whatever_the_tilt_and_the_size(tmp_path: Path) -> None:
    shapes = prepared_faces(tmp_path, 20).landmarks
    rng = np.random.default_rng(0)
    size = rng.uniform(0.5, 3, 20)[:, None, None]
    tilt = rng.uniform(-60, 60, 20)
    own = turned(shapes * size, tilt)
    # The chin lower by 3 % of the box's side, along the face.
    side = np.ptp(own, axis=1).max(axis=1)
    down = turned(np.array([[[0.0, 1.0]]] * 20), tilt)[:, 0]
    upright = np.deg2rad(np.zeros(20))
    other = own.copy()
    other[:, 8] += 0.03 * side[:, None] * down
    offsets = median_offsets(other, own)
    assert 0.02 < np.hypot(*offsets[8]) < 0.04
    matched = without_offsets(other, offsets, upright)
    before = np.linalg.norm(other - own, axis=2)[:, 8] / side
    after = np.linalg.norm(matched - own, axis=2)[:, 8] / side
    assert after.mean() < 0.3 * before.mean()


def test_across_the_face_an_offset_shrinks_with_the_yaw(tmp_path: Path) -> None:
    face = prepared_faces(tmp_path, 4).landmarks[:1]
    offsets = np.zeros((68, 2))
    offsets[21] = [0.1, 0]
    moved = [
        np.linalg.norm(without_offsets(face, offsets, np.deg2rad([yaw])) - face, axis=2)[0, 21]
        for yaw in (0.0, 60.0)
    ]
    assert np.isclose(moved[1], moved[0] / 2)


def test_a_table_that_is_missing_or_another_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"landmarks\.csv is missing; give the folder"):
        read_table(tmp_path, "person")
    (tmp_path / "landmarks.csv").write_text("image,x0,y0\n")
    with pytest.raises(UserError, match="has no column person"):
        read_table(tmp_path, "person")
