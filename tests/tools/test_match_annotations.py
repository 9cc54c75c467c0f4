"""Offsets between two sets' habits are measured in the face's own directions and taken off."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.inference.detector import LandmarkDetector
from tests.support.prepared_faces import prepared_faces
from tools import match_annotations
from tools.match_annotations import (
    COLUMNS,
    frames_to_learn,
    learnt,
    median_offsets,
    read_table,
    without_offsets,
)


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


def test_frames_are_of_every_second_person_and_of_all_yaws() -> None:
    people = np.array(["c", "a", "a", "b", "a", "a", "a", "c"])
    yaw = np.array([0.0, 30, -20, 50, 2, 8, 1, -5])
    assert frames_to_learn(people, yaw, 3).tolist() == [2, 4, 1, 7, 0]
    assert learnt(people).tolist() == [True, True, True, False, True, True, True, True]


def test_video_frames_become_a_custom_set_of_the_people_to_learn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = prepared_faces(tmp_path / "faces", 8).landmarks.round(2)
    source = tmp_path / "frames"
    (source / "images" / "video").mkdir(parents=True)
    table = pd.DataFrame(faces.reshape(8, -1), columns=COLUMNS)
    table.insert(0, "image", [f"video/{i}.png" for i in range(8)])
    table.insert(1, "person", list("aabbccdd"))
    table.to_csv(source / "landmarks.csv", index=False)
    for i in range(8):
        cv2.imwrite(str(source / "images" / "video" / f"{i}.png"), np.full((8, 8, 3), i, np.uint8))
    monkeypatch.setattr(match_annotations, "_found", lambda detector, path, landmarks: landmarks)
    monkeypatch.setattr(LandmarkDetector, "load", lambda model: None)
    out = tmp_path / "out"
    arguments = ["match_annotations", str(source), str(out), "--frames", "2", "--mask", "0-16"]
    monkeypatch.setattr("sys.argv", [*arguments, "--frontal", "90"])
    match_annotations.main()
    written = pd.read_csv(out / "landmarks.csv")
    assert sorted(written["image"]) == [f"video/{i}.png" for i in (0, 1, 4, 5)]
    copied = [path.relative_to(out / "images").as_posix() for path in out.glob("images/*/*")]
    assert sorted(copied) == sorted(written["image"])
    for _, row in written.iterrows():
        own = row[COLUMNS].to_numpy(float).reshape(68, 2)
        assert np.isnan(own[:17]).all()
        np.testing.assert_allclose(own[17:], faces[int(Path(row["image"]).stem)][17:], atol=0.011)
    monkeypatch.setattr("sys.argv", [*arguments[:-3], "0"])
    with pytest.raises(UserError, match="--frames is 0; give 1 or more"):
        match_annotations.main()
