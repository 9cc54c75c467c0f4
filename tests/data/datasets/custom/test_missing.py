"""Landmarks that are missing in custom sets, in every way that files say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.inspection.check import check_data, report
from landmark_kd.data.inspection.draft import draft_custom_dataset
from tests.support.raw_custom import (
    coco_content,
    table_lines,
    write_coco,
    write_config,
    write_pts_tree,
    write_table,
)

PEOPLE = ["a", "b", "c", "d"]


def read(folder: Path) -> list[FaceRecord]:
    bad = BadFaces("error")
    return sorted(read_custom_dataset(folder).read(folder, bad), key=lambda face: face.name)


def missing_in(face: FaceRecord) -> list[int]:
    return np.flatnonzero(np.isnan(face.landmarks).all(axis=1)).tolist()


def table(folder: Path, x: str, y: str, **changes: Any) -> Path:
    lines = table_lines(PEOPLE)
    cells = lines[1].split(",")
    cells[2 + 2 * 3 : 2 + 2 * 3 + 2] = [x, y]
    lines[1] = ",".join(cells)
    return write_table(folder, lines, **changes)


@pytest.mark.parametrize(
    ("x", "y", "missing"),
    [
        ("", "", "empty"),
        ("nan", "NaN", ["empty", [0, 0]]),
        ("-1", "-1", [-1, -1]),
        ("0", "0.0", [[-1, -1], [0, 0]]),
    ],
)
@pytest.mark.parametrize("first_pixel", [0, 1])
def test_a_tables_empty_cells_and_stand_ins_are_missing_where_the_yaml_says_so(
    tmp_path: Path, x: str, y: str, missing: Any, first_pixel: int
) -> None:
    folder = table(tmp_path, x, y, first_pixel=first_pixel)
    assert check_data(folder).broken
    write_config(folder, missing=missing, first_pixel=first_pixel)
    faces = read(folder)
    assert [missing_in(face) for face in faces] == [[3], [], [], []]
    checked = check_data(folder)
    assert not checked.broken
    assert "missing: 5.0 % of the landmarks, some in 1 face of 4" in report(checked)


def test_half_a_point_is_no_missing_one(tmp_path: Path) -> None:
    folder = table(tmp_path, "", "7", missing="empty")
    with pytest.raises(UserError, match="line 2: point 3 has only one of x and y"):
        read(folder)


def test_cocos_points_that_are_not_labelled_are_missing_where_the_yaml_says_so(
    tmp_path: Path,
) -> None:
    content = coco_content(PEOPLE)
    content["annotations"][1]["keypoints"][6:9] = [0, 0, 0]
    folder = write_coco(tmp_path, content, len(PEOPLE))
    with pytest.raises(UserError, match=r"key point 2 is not labelled .* `missing: v0`"):
        read(folder)
    text = (folder / "landmark-kd.yaml").read_text()
    (folder / "landmark-kd.yaml").write_text(text + "missing: v0\n")
    assert [missing_in(face) for face in read(folder)] == [[], [2], [], []]
    content["annotations"][1]["keypoints"][6:9] = [None, None, None]
    (folder / "faces.json").write_text(json.dumps(content))
    (folder / "landmark-kd.yaml").write_text(text + "missing: [v0, empty]\n")
    assert [missing_in(face) for face in read(folder)] == [[], [2], [], []]


def test_points_of_pts_files_that_are_no_numbers_are_missing_where_the_yaml_says_so(
    tmp_path: Path,
) -> None:
    folder = write_pts_tree(tmp_path, PEOPLE, missing="empty")
    (file, *_) = sorted(folder.rglob("*.pts"))
    lines = file.read_text().splitlines()
    lines[4] = "nan nan"
    file.write_text("\n".join(lines))
    assert missing_in(read(folder)[0]) == [1]


def test_a_face_without_landmarks_is_bad(tmp_path: Path) -> None:
    lines = table_lines(PEOPLE)
    lines[2] = ",".join([*lines[2].split(",")[:2], *[""] * 10])
    checked = check_data(write_table(tmp_path, lines, missing="empty"))
    ((_, said),) = checked.broken
    assert "landmarks.csv, line 3: the landmarks of p001.png" in said
    assert "are 0, all others being missing" in said


@pytest.mark.parametrize("missing", ["nothing", [1], [[1, 2, 3]], {"a": 1}, 7, [float("nan"), 1]])
def test_other_marks_of_missing_points_are_refused_with_those_that_are_known(
    tmp_path: Path, missing: Any
) -> None:
    folder = table(tmp_path, "1", "2", missing=missing)
    with pytest.raises(UserError, match=r"missing: .*must be empty .*v0 .*\[-1, -1\]"):
        read(folder)


@pytest.mark.parametrize(("x", "y"), [("", ""), ("-1", "-1"), ("0", "0")])
def test_a_draft_proposes_what_stands_for_missing_points_and_its_set_is_good(
    tmp_path: Path, x: str, y: str
) -> None:
    folder = table(tmp_path, x, y)
    (folder / "landmark-kd.yaml").unlink()
    text = draft_custom_dataset(folder)
    assert "# CHECK: what stands for a landmark that is missing" in text
    assert f"missing: [{f'[{x}, {y}]' if x else 'empty'}]" in text
    (folder / "landmark-kd.yaml").write_text(text)
    assert not check_data(folder).broken
    assert missing_in(read(folder)[0]) == [3]


def test_a_draft_of_whole_faces_says_nothing_of_missing_points(tmp_path: Path) -> None:
    folder = write_table(tmp_path, table_lines(PEOPLE))
    assert "missing" not in draft_custom_dataset(folder)


def test_a_draft_of_coco_points_that_are_not_labelled_proposes_v0(tmp_path: Path) -> None:
    content = coco_content(PEOPLE)
    content["annotations"][1]["keypoints"][6:9] = [0, 0, 0]
    folder = write_coco(tmp_path, content, len(PEOPLE))
    assert "missing: [v0]" in draft_custom_dataset(folder)
    for annotation in content["annotations"]:
        annotation["keypoints"][6:9] = [0, 0, 0]
    (folder / "faces.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"none of the 4 faces in .* has all 5 points"):
        draft_custom_dataset(folder)
