"""labelme's files: one for each image, a shape of type point for each landmark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord
from landmark_kd.data.datasets.custom.config import read_custom_config
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.datasets.custom.labelme import read_labelme
from landmark_kd.data.inspection.draft import write_draft
from tests.support.raw_custom import FIVE_NAMES, FIVE_PAIRS, faces, write_images

IMAGES = 6


def write_labelme(
    folder: Path,
    image: str = "f{i}.png",
    file: str = "f{i}.json",
    path: str = "f{i}.png",
    *,
    labels: Sequence[str] = FIVE_NAMES,
    groups: int = 1,
) -> Path:
    """Write a file for each of six images of 80 x 80; from the second on points are reversed."""
    marked = faces(IMAGES * groups)
    for i in range(IMAGES):
        write_images(folder, [image.format(i=i)])
        shapes: list[dict[str, Any]] = [
            {
                "label": label,
                "points": [[x, y]],
                "group_id": group if groups > 1 else None,
                "shape_type": "point",
                "flags": {},
            }
            for group in range(groups)
            for label, (x, y) in zip(labels, marked[i * groups + group].tolist(), strict=True)
        ]
        face = {"label": "face", "points": [[1, 2], [70, 70]], "shape_type": "rectangle"}
        content: dict[str, Any] = {
            "version": "5.4.1",
            "flags": {},
            "shapes": [face, *(shapes[::-1] if i and len(set(labels)) > 1 else shapes)],
            "imagePath": path.format(i=i),
            "imageData": None,
            "imageHeight": 80,
            "imageWidth": 80,
        }
        json_path = folder / file.format(i=i)
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(content))
    return folder


def read(folder: Path, bad: BadFaces | None = None) -> list[FaceRecord]:
    return list(read_custom_dataset(folder).read(folder, bad or BadFaces("error")))


@pytest.mark.parametrize(
    ("image", "file", "path", "images"),
    [
        ("f{i}.png", "f{i}.json", "f{i}.png", "."),
        ("all/f{i}.png", "all/f{i}.json", "f{i}.png", "all"),
        ("images/f{i}.png", "labels/f{i}.json", "..\\images\\f{i}.png", "."),
        ("images/f{i}.png", "labels/f{i}.json", "C:\\Users\\me\\f{i}.png", "."),
        ("all/f{i}.png", "all/f{i}.json", "/home/me/f{i}.png", "all"),
        ("f{i}.png", "f{i}.json", "f{i}.jpg", "."),
    ],
)
def test_files_of_labelme_are_drafted_and_read(
    tmp_path: Path, image: str, file: str, path: str, images: str
) -> None:
    folder = write_labelme(tmp_path / "mine", image, file, path)
    write_draft(folder)
    config = read_custom_config(folder)
    assert (config.annotations, config.images) == ("labelme", images)
    assert config.names == FIVE_NAMES
    assert config.flip_pairs == FIVE_PAIRS
    records = read(folder)
    np.testing.assert_allclose([r.landmarks for r in records], faces(IMAGES), atol=1e-9)
    # A copy of the files that belong to it, as fetch makes it, is the same set.
    files = read_custom_dataset(folder).files(folder)
    assert len(files) == 2 * IMAGES + 1
    for one in files:
        copy = tmp_path / "copy" / one.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(one, copy)
    assert [(r.name, r.split) for r in read(tmp_path / "copy")] == [
        (r.name, r.split) for r in records
    ]


def test_groups_are_the_faces_of_an_image(tmp_path: Path) -> None:
    write_draft(write_labelme(tmp_path, groups=2))
    records = read(tmp_path)
    assert [r.name for r in records[:3]] == ["f0.png#1", "f0.png#2", "f1.png#1"]
    assert {r.split for r in records if r.name.startswith("f0")} in ({"train"}, {"test"})
    assert len(records) == 2 * IMAGES


def test_numbers_in_labels_are_their_order(tmp_path: Path) -> None:
    labels = ["p10", "p2", "p3", "p4", "p1"]
    write_draft(write_labelme(tmp_path, labels=labels))
    assert read_custom_config(tmp_path).names == ["p1", "p2", "p3", "p4", "p10"]
    np.testing.assert_allclose(read(tmp_path)[1].landmarks, faces(IMAGES)[1][[4, 1, 2, 3, 0]])


def test_points_of_one_label_are_in_the_order_of_the_file(tmp_path: Path) -> None:
    write_draft(write_labelme(tmp_path, labels=["point"] * 5))
    assert read_custom_config(tmp_path).names is None
    np.testing.assert_allclose(read(tmp_path)[1].landmarks, faces(IMAGES)[1])


def test_names_in_the_yaml_keep_the_order_whatever_files_come_first(tmp_path: Path) -> None:
    write_draft(write_labelme(tmp_path))
    content = json.loads((tmp_path / "f0.json").read_text())
    content["shapes"] = content["shapes"][::-1]
    (tmp_path / "f0.json").write_text(json.dumps(content))
    np.testing.assert_allclose([r.landmarks for r in read(tmp_path)], faces(IMAGES), atol=1e-9)
    assert read_labelme(tmp_path).names == tuple(FIVE_NAMES[::-1])


def _lost(content: dict[str, Any]) -> None:
    del content["shapes"][3]


def _other(content: dict[str, Any]) -> None:
    content["shapes"][3]["label"] = "ear"


def _twice(content: dict[str, Any]) -> None:
    content["shapes"].append(content["shapes"][3])


def _two_points(content: dict[str, Any]) -> None:
    content["shapes"][3]["points"] *= 2


def _no_shapes(content: dict[str, Any]) -> None:
    content["shapes"] = 3


def _size(content: dict[str, Any]) -> None:
    content["imageWidth"] = 120


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_lost, "has no point with the label 'nose'"),
        (_other, "has a point with the label 'ear', but the landmarks are left_eye, right_eye"),
        (_twice, "has the label 'nose' twice; faces of one image must be told apart by group_id"),
        (_two_points, "shapes.3 is a point, but its points are [["),
        (_no_shapes, "shapes is 3, but input should be a valid list"),
        (_size, "the size of {image} is stated as 120 x 80 pixels, but it has 80 x 80 pixels"),
    ],
)
def test_a_file_with_a_mistake_is_named_and_the_others_are_read(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    write_draft(write_labelme(tmp_path))
    path = tmp_path / "f2.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    bad = BadFaces("skip")
    for record in read(tmp_path, bad):
        try:
            record.image.read()
        except UserError as error:
            bad.add(record.part, error)
    ((_, said),) = bad.left_out
    assert said.startswith(f"{path}: ")
    assert sentence.format(image=tmp_path / "f2.png") in said


def test_a_folder_with_other_annotations_besides_is_not_guessed_at(tmp_path: Path) -> None:
    write_labelme(tmp_path)
    (tmp_path / "f0.pts").write_text("version: 1\n")
    with pytest.raises(UserError, match=r"several annotations: \.pts files, labelme files"):
        write_draft(tmp_path)


def test_files_without_a_point_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"shapes": [], "imagePath": "a.jpg"}')
    with pytest.raises(UserError, match="hold no labelme file with a shape of type point"):
        write_draft(tmp_path)
