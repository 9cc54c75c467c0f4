"""COCO key-point files: what is wrong with one is said with file and annotation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces
from landmark_kd.data.datasets.custom.annotations import CustomFace, Marks
from landmark_kd.data.datasets.custom.coco import Coco, read_coco
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from tests.support.raw_custom import FIVE_NAMES, coco_content, faces, write_coco

PEOPLE = ["ann", "ann", "bob", "cy"]
Content = dict[str, Any]


@pytest.fixture
def content() -> Content:
    return coco_content(PEOPLE)


def _coco(folder: Path, content: Any) -> Coco:
    path = folder / "faces.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_coco(path)


def _faces(folder: Path, content: Content) -> list[CustomFace]:
    return _coco(folder, content).faces(5, 0, None)


def test_key_points_boxes_and_groups_are_read(tmp_path: Path, content: Content) -> None:
    coco = _coco(tmp_path, content)
    assert (coco.points, coco.names, coco.has_boxes) == (5, tuple(FIVE_NAMES), True)
    assert coco.skeleton == ((0, 2), (2, 1), (3, 4))
    assert coco.columns() == {"person": PEOPLE}
    found = coco.faces(5, 1, "person")
    assert [(f.image, f.group) for f in found] == [
        (f"p{i:03}.png", person) for i, person in enumerate(PEOPLE)
    ]
    for face, landmarks in zip(found, faces(4), strict=True):
        assert isinstance(face.marks, Marks)
        np.testing.assert_allclose(face.marks.landmarks, landmarks - 1)
        np.testing.assert_array_equal(face.marks.box, [14, 9, 64, 69])
        assert face.marks.occluded is None


def test_a_field_of_the_annotation_goes_before_the_images(tmp_path: Path, content: Content) -> None:
    content["annotations"][0]["person"] = 7
    assert _coco(tmp_path, content).columns() == {"person": ["7", *PEOPLE[1:]]}


def test_hidden_points_are_marked_on_all_faces_if_on_any(tmp_path: Path, content: Content) -> None:
    content["annotations"][2]["keypoints"][2 + 3 * 4] = 1
    folder = write_coco(tmp_path / "mine", content, 4)
    dataset = read_custom_dataset(folder)
    assert dataset.boxes
    records = list(dataset.read(folder, BadFaces("error")))
    np.testing.assert_array_equal(
        [r.occluded for r in records],
        [[False] * 5, [False] * 5, [False] * 4 + [True], [False] * 5],
    )
    np.testing.assert_array_equal(records[0].box, [15, 10, 65, 70])


def test_the_set_has_boxes_only_if_each_face_has_one(tmp_path: Path, content: Content) -> None:
    del content["annotations"][1]["bbox"]
    folder = write_coco(tmp_path / "mine", content, 4)
    dataset = read_custom_dataset(folder)
    assert not dataset.boxes
    assert all(r.box is None for r in dataset.read(folder, BadFaces("error")))


def test_crowds_and_other_things_are_no_faces(tmp_path: Path, content: Content) -> None:
    content["categories"].append({"id": 2, "name": "car"})
    car = {"id": 7, "image_id": 0, "category_id": 2, "bbox": [1, 2, 3, 4]}
    content["annotations"].append(car)
    content["annotations"][0]["iscrowd"] = 1
    assert [f.image for f in _faces(tmp_path, content)] == ["p001.png", "p002.png", "p003.png"]


def test_a_file_without_categories_is_read(tmp_path: Path, content: Content) -> None:
    del content["categories"]
    coco = _coco(tmp_path, content)
    assert (coco.points, coco.names, coco.skeleton) == (5, None, ())
    assert all(isinstance(face.marks, Marks) for face in coco.faces(5, 0, None))


def _set(key: str, value: Any) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        content["annotations"][1][key] = value

    return change


def _set_point(place: int, value: float) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        content["annotations"][1]["keypoints"][place] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_set("image_id", 99), "annotation 101: its image_id 99 is not an image's id"),
        (_set("image_id", None), "annotation 101: its image_id None is not an image's id"),
        (_set("keypoints", [1, 2, 2] * 4), "annotation 101: has 4 key points (12 numbers"),
        (_set("keypoints", [1, 2] * 5), "annotation 101: has 3.33333 key points (10 numbers"),
        (_set("keypoints", [1, 2, "x"] * 5), "annotation 101: 'keypoints' must be the numbers"),
        (_set("keypoints", None), "annotation 101: 'keypoints' must be the numbers"),
        (_set_point(5, 0), "annotation 101: key point 1 is not labelled (v = 0)"),
        (_set_point(5, 3), "annotation 101: v of key point 1 is 3, but v is 0, 1 or 2"),
        (_set_point(3, float("nan")), "annotation 101: key point 1 is not finite"),
        (_set("bbox", [1, 2, -3, 4]), "annotation 101: the box (x, y, width, height) is 1, 2, -3"),
        (_set("bbox", [1, 2, 3]), "annotation 101: 'bbox' must be the numbers x, y, width, height"),
        (_set("bbox", [1, 2, 3, float("inf")]), "annotation 101: the box 1, 2, 3, inf is not fin"),
    ],
)
def test_a_bad_annotation_is_named_and_the_others_are_read(
    tmp_path: Path, content: Content, change: Callable[[Content], None], sentence: str
) -> None:
    change(content)
    found = _faces(tmp_path, content)
    assert isinstance(found[1].marks, UserError)
    assert f"faces.json, {sentence}" in str(found[1].marks)
    assert all(isinstance(found[i].marks, Marks) for i in (0, 2, 3))


def _without_keypoints(content: Content) -> None:
    for annotation in content["annotations"]:
        del annotation["keypoints"]


def _image_twice(content: Content) -> None:
    content["images"][2]["id"] = 0


def _annotation_twice(content: Content) -> None:
    content["annotations"][2]["id"] = 100


def _without_images(content: Content) -> None:
    del content["images"]


def _unnamed_image(content: Content) -> None:
    del content["images"][1]["file_name"]


def _no_object(content: Content) -> None:
    content["annotations"][3] = 5


def _no_id(content: Content) -> None:
    content["annotations"][3]["id"] = None


def _all_crowds(content: Content) -> None:
    for annotation in content["annotations"]:
        annotation["iscrowd"] = 1


def _all_with_points_are_crowds(content: Content) -> None:
    _all_crowds(content)
    del content["categories"]
    content["annotations"].append({"id": 7, "image_id": 0, "bbox": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_without_keypoints, "has no key points: none of its 4 annotations has 'keypoints'"),
        (_image_twice, "images: entries 0 and 2 both have the id 0"),
        (_annotation_twice, "annotations: entries 0 and 2 both have the id 100"),
        (_without_images, "images is missing; https://cocodataset.org/#format-data says what a"),
        (_unnamed_image, "images.1.file_name is missing; https://cocodataset.org/#format-data"),
        (_no_object, "annotations.3 is 5, but input should be a valid dictionary"),
        (_no_id, "annotations.3.id: must be a number or a text, but is None"),
        (_all_crowds, "has no face: all its annotations with key points are crowds"),
        (_all_with_points_are_crowds, "has no face: all its annotations with key points are cro"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_whole(
    tmp_path: Path, content: Content, change: Callable[[Content], None], sentence: str
) -> None:
    change(content)
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        _coco(tmp_path, content)
    assert str(tmp_path / "faces.json") in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "faces.json").write_bytes(text)
    with pytest.raises(UserError, match=r"faces\.json is not JSON"):
        read_coco(tmp_path / "faces.json")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "must hold the lists images and annotations of a COCO key-point file, but holds []"),
        (5, "must hold the lists images and annotations of a COCO key-point file, but holds 5"),
        ({}, "images is missing; https://cocodataset.org/#format-data says what a COCO key-point"),
        ({"images": {}, "annotations": []}, "images is {}, but input should be a valid list"),
    ],
)
def test_json_that_is_no_coco_is_refused(tmp_path: Path, content: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        _coco(tmp_path, content)


def test_a_split_by_a_field_that_nothing_has_names_those_there_are(
    tmp_path: Path, content: Content
) -> None:
    with pytest.raises(UserError, match=r"has the field video, which split.column .* are person"):
        _coco(tmp_path, content).faces(5, 0, "video")


def _people() -> dict[str, Any]:
    """Return a file in the form of COCO-WholeBody: bodies with 68 points of their faces."""
    content = coco_content(["a", "b", "c"])
    for i, annotation in enumerate(content["annotations"]):
        face = np.random.default_rng(i).uniform(20, 60, (68, 2)).round(2)
        annotation |= {
            "keypoints": [1, 2, 2] * 17,
            "bbox": [0, 0, 80, 80],
            "face_kpts": [v for x, y in face.tolist() for v in (x, y, 0.87)],
            "face_valid": True,
            "face_box": [18, 19, 40, 41],
            "lefthand_valid": False,
        }
    content["categories"][0]["keypoints"] = [f"body_{i}" for i in range(17)]
    return content


def test_the_faces_of_coco_wholebody_are_read_with_their_boxes(tmp_path: Path) -> None:
    content = _people()
    content["annotations"][1]["face_valid"] = False
    coco = _coco(tmp_path, content)
    assert (coco.points, coco.names, coco.has_boxes) == (68, None, True)
    first, third = coco.faces(68, 0, None)
    assert (first.image, third.image) == ("p000.png", "p002.png")
    expected = np.random.default_rng(2).uniform(20, 60, (68, 2)).round(2)
    marks = third.marks
    assert isinstance(marks, Marks)
    np.testing.assert_array_equal(marks.landmarks, expected)
    np.testing.assert_array_equal(marks.box, [18, 19, 58, 60])
    assert marks.occluded is None
