"""Images of custom sets: turned as shown, and held against the size that a file states."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord
from landmark_kd.data.datasets.custom.config import read_custom_config
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.inspection.check import check_data, report
from landmark_kd.data.inspection.draft import write_draft
from tests.support.raw_custom import coco_content, table_lines, write_coco, write_table
from tests.support.turned_images import write_turned

PEOPLE = ["a", "a", "b", "b"]
# 60 wide, 80 high, brighter towards the top.
SHOWN = np.repeat(np.linspace(250, 10, 80).astype(np.uint8)[:, None, None], 60, 1).repeat(3, 2)


def coco(folder: Path, turn: int, size: tuple[int, int] | None, **changes: Any) -> Path:
    """Write a set whose image p001.png is turned and has a stated size."""
    content = coco_content(PEOPLE)
    if size is not None:
        content["images"][1] |= {"width": size[0], "height": size[1]}
    write_coco(folder, content, 4, **changes)
    write_turned(folder / "images/p001.png", SHOWN, turn)
    return folder


def second(folder: Path) -> FaceRecord:
    return list(read_custom_dataset(folder).read(folder, BadFaces("error")))[1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_read_as_shown(tmp_path: Path, orientation: int) -> None:
    folder = coco(tmp_path, orientation, (60, 80))
    np.testing.assert_array_equal(second(folder).image.read(), SHOWN)


def test_images_are_read_as_stored_where_that_is_said(tmp_path: Path) -> None:
    folder = coco(tmp_path, 6, (80, 60), orientation="stored")
    np.testing.assert_array_equal(second(folder).image.read(), np.rot90(SHOWN))


@pytest.mark.parametrize(
    ("orientation", "size", "said", "sentence"),
    [
        (
            6,
            (80, 60),
            "shown",
            "is stated as 80 x 60 pixels, but it has 60 x 80 pixels as shown and 80 x 60 pixels as "
            "stored (its EXIF orientation is 6); if the landmarks were placed on it as stored, set "
            "orientation: stored in landmark-kd.yaml",
        ),
        (6, (60, 80), "stored", "if the landmarks were placed on it as shown, set orientation: sh"),
        (6, (600, 800), "shown", "bring the image that was annotated, this one was scaled or cut"),
        (1, (80, 60), "shown", "is stated as 80 x 60 pixels, but it has 60 x 80 pixels; width and"),
        (3, (80, 60), "shown", "width and height are swapped, or the image was turned"),
        (1, (61, 80), "shown", "is stated as 61 x 80 pixels, but it has 60 x 80 pixels; bring"),
    ],
)
def test_a_stated_size_that_does_not_fit_is_said_with_a_cure(
    tmp_path: Path, orientation: int, size: tuple[int, int], said: str, sentence: str
) -> None:
    folder = coco(tmp_path, orientation, size, orientation=said)
    with pytest.raises(UserError) as caught:
        second(folder).image.read()
    where = f"{folder / 'faces.json'}, annotation 101: the size of {folder / 'images/p001.png'} "
    assert str(caught.value).startswith(where)
    assert sentence in str(caught.value)
    assert len(check_data(folder).broken) == 1


@pytest.mark.parametrize("size", [None, (0, 0), ("", None), (-60, 80), (float("1e400"), 80)])
def test_a_size_that_is_none_is_not_compared(tmp_path: Path, size: Any) -> None:
    assert second(coco(tmp_path, 6, size)).image.read().shape == (80, 60, 3)


@pytest.mark.parametrize(
    "columns", [("image_width", "image_height"), ("imageWidth", "imageHeight"), ("width", "height")]
)
def test_a_table_may_state_sizes(tmp_path: Path, columns: tuple[str, str]) -> None:
    lines = table_lines(PEOPLE)
    lines = [lines[0] + "," + ",".join(columns), *(f"{line},80,80" for line in lines[1:])]
    folder = write_table(tmp_path, [*lines[:4], lines[4].replace(",80,80", ",100,75")])
    ((_, sentence),) = check_data(folder).broken
    assert "csv, line 5: the size of" in sentence
    assert "is stated as 100 x 75 pixels, but it has 80 x 80 pixels" in sentence


def test_the_size_of_a_face_is_not_taken_for_the_images(tmp_path: Path) -> None:
    lines = table_lines(PEOPLE)
    lines = [f"{lines[0]},width,height", *(f"{line},40,30" for line in lines[1:])]
    assert not check_data(write_table(tmp_path, lines)).broken


def test_the_check_says_which_way_turned_images_are_read(tmp_path: Path) -> None:
    said = report(check_data(coco(tmp_path, 8, (60, 80))))
    path = tmp_path / "images/p001.png"
    assert f"  1 image with an EXIF rotation, such as {path}: read as shown" in said


@pytest.mark.parametrize("broken", [0, 1])
def test_the_check_says_where_landmarks_fit_an_image_the_other_way_alone(
    tmp_path: Path, broken: int
) -> None:
    folder = coco(tmp_path, 6, None, orientation="stored")
    tall = np.zeros((200, 60, 3), dtype=np.uint8) if broken else SHOWN
    write_turned(folder / "images/p001.png", tall, 6)
    content = json.loads((folder / "faces.json").read_text())
    face = content["annotations"][1]
    points = face["keypoints"]
    if broken:
        points[1::3] = [y + 129 for y in points[1::3]]
        face["bbox"][1] += 129
    else:
        points[:2] = [20.0, 79.0]
    (folder / "faces.json").write_text(json.dumps(content))
    said = report(check_data(folder))
    if broken:
        assert "is read as stored, but its landmarks fit it as shown" in said
    else:
        assert (
            "CHECK: the landmarks of 1 face in them, such as p001.png, fit their images as sho"
            in said
        )
        assert "see orientation in landmark-kd.yaml" in said


@pytest.mark.parametrize(
    ("size", "value", "why"),
    [
        ((60, 80), "shown", "fit them as shown, not as stored"),
        ((80, 60), "stored", "fit them as stored, not as shown"),
        ((7, 7), "shown", "shown if the landmarks were placed on them upright"),
    ],
)
def test_a_draft_proposes_the_orientation_that_the_sizes_fit(
    tmp_path: Path, size: tuple[int, int], value: str, why: str
) -> None:
    folder = coco(tmp_path, 6, size)
    (folder / "landmark-kd.yaml").unlink()
    text = write_draft(folder).read_text()
    assert "# CHECK: 1 of 4 images have an EXIF rotation" in text
    assert why in text
    assert read_custom_config(folder).orientation == value


def test_a_draft_sees_by_landmarks_which_orientation_they_fit(tmp_path: Path) -> None:
    folder = coco(tmp_path, 6, None)
    content = json.loads((folder / "faces.json").read_text())
    content["annotations"][1]["keypoints"][1] = 79.0  # the image is 60 wide and 80 high as shown
    (folder / "faces.json").write_text(json.dumps(content))
    (folder / "landmark-kd.yaml").unlink()
    assert "fit them as shown" in write_draft(folder).read_text()
    content["annotations"][1]["keypoints"][:2] = [79.0, 20.0]
    (folder / "faces.json").write_text(json.dumps(content))
    (folder / "landmark-kd.yaml").unlink()
    assert "fit them as stored" in write_draft(folder).read_text()


def test_a_draft_without_turned_images_says_nothing_of_them(tmp_path: Path) -> None:
    folder = coco(tmp_path, 1, (60, 80))
    (folder / "landmark-kd.yaml").unlink()
    assert "orientation" not in write_draft(folder).read_text()
