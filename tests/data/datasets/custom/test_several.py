"""A file of annotations for each split: how such files are found, read and split."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord
from landmark_kd.data.datasets.custom.config import read_custom_config
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.inspection.draft import write_draft
from tests.support.raw_custom import coco_content, faces, table_lines, write_images

USES = {"train": 6, "valid": 2, "test": 3}


def _write(folder: Path, file: str, images: str, *, same_names: bool = False) -> Path:
    """Write a file and images for each of USES; {use} in their names stands for it."""
    start = 0
    for use, count in USES.items():
        names = [f"p{i + (0 if same_names else start):03}.png" for i in range(count)]
        path = folder / file.format(use=use)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            content = coco_content(["x"] * count)
            for image, name in zip(content["images"], names, strict=True):
                image["file_name"] = name
            path.write_text(json.dumps(content))
        else:
            header, *lines = table_lines(["x"] * count)
            rows = [name + line[8:] for name, line in zip(names, lines, strict=True)]
            path.write_text("\n".join([header, *rows]))
        write_images(folder / images.format(use=use), names)
        start += count
    return folder


def _read(folder: Path) -> list[FaceRecord]:
    return list(read_custom_dataset(folder).read(folder, BadFaces("error")))


LAYOUTS: list[tuple[str, str, str | list[str]]] = [
    ("annotations/person_keypoints_{use}.json", "images", "images"),
    ("annotations/{use}2017.json", "{use}2017", ["test2017", "train2017", "valid2017"]),
    ("{use}/_annotations.coco.json", "{use}", ["test", "train", "valid"]),
    ("{use}.csv", "images/{use}", ["images/test", "images/train", "images/valid"]),
    ("labels/{use}_landmarks.csv", "all images", "all images"),
]


@pytest.mark.parametrize(("file", "images", "drafted"), LAYOUTS)
def test_a_file_for_each_split_is_drafted_and_read(
    tmp_path: Path, file: str, images: str, drafted: str | list[str]
) -> None:
    # Images of several splits may have the same names where they lie in folders of their own.
    _write(tmp_path, file, images, same_names="{use}" in images)
    write_draft(tmp_path)
    config = read_custom_config(tmp_path)
    assert config.images == drafted
    assert config.annotations == [file.format(use=use) for use in sorted(USES)]
    assert config.split.column == "annotations"
    assert config.split.test == [file.format(use="test")]
    assert config.split.validation == [file.format(use="valid")]
    records = _read(tmp_path)
    uses = [record.validation + 2 * (record.split == "test") for record in records]
    assert uses == [2] * 3 + [0] * 6 + [1] * 2
    expected = np.concatenate([faces(3), faces(6), faces(2)])
    np.testing.assert_array_equal([record.landmarks for record in records], expected)
    assert len({record.name for record in records}) == 11
    assert [record.image.read().shape for record in records] == [(80, 80, 3)] * 11


def test_all_files_are_fetched_with_all_images(tmp_path: Path) -> None:
    _write(tmp_path, "{use}/_annotations.coco.json", "{use}", same_names=True)
    write_draft(tmp_path)
    found = read_custom_dataset(tmp_path).files(tmp_path)
    names = {file.relative_to(tmp_path).as_posix() for file in found}
    assert {"train/_annotations.coco.json", "valid/p001.png", "landmark-kd.yaml"} <= names
    assert len(names) == 1 + 3 + 11


def test_files_may_be_split_by_a_column_that_they_share(tmp_path: Path) -> None:
    _write(tmp_path, "{use}.csv", "images")
    write_draft(tmp_path)
    path = tmp_path / "landmark-kd.yaml"
    text = path.read_text()
    for old, new in (
        ("column: annotations", "column: null"),
        ("test: [test.csv]", "test: 0.2"),
        ("validation: [valid.csv]", "validation: null"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    assert sum(record.split == "test" for record in _read(tmp_path)) == 2


def _other_points(folder: Path) -> None:
    (folder / "test.csv").write_text("image,x0,y0,x1,y1\np008.png,1,2,30,4\n")


def _other_format(folder: Path) -> None:
    content = coco_content(["x"] * 3)
    (folder / "test.csv").unlink()
    (folder / "test.json").write_text(json.dumps(content))


def _another_file(folder: Path) -> None:
    (folder / "all.csv").write_text((folder / "train.csv").read_text())


@pytest.mark.parametrize("change", [_other_points, _other_format, _another_file])
def test_files_that_are_no_split_of_one_set_are_named(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    change(_write(tmp_path, "{use}.csv", "images"))
    with pytest.raises(UserError, match=r"holds several annotations: .*move all but one of them"):
        write_draft(tmp_path)


def test_a_file_that_is_missing_is_said(tmp_path: Path) -> None:
    _write(tmp_path, "{use}.csv", "images")
    write_draft(tmp_path)
    (tmp_path / "valid.csv").unlink()
    with pytest.raises(UserError, match=r"valid\.csv is not a file; annotations in .* names it"):
        read_custom_dataset(tmp_path)
