"""Whatever stands in the files of a person's custom set: faces, a true draft, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces
from landmark_kd.data.datasets.custom.config import read_custom_config
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.inspection.draft import draft_custom_dataset
from tests.support.raw_custom import (
    coco_content,
    table_lines,
    write_coco,
    write_pts_tree,
    write_table,
)
from tests.support.reading import check_reading, refused_or_sound
from tests.support.strategies import damaged, examples, shapes

pytestmark = pytest.mark.seconds

PEOPLE = ["ann", "ben", "ben", "cy", "dee", "eva"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read")


def test_what_is_whole_is_read_and_drafted(tmp_path: Path) -> None:
    for folder in (
        write_table(tmp_path / "table", table_lines(PEOPLE)),
        write_coco(tmp_path / "coco", coco_content(PEOPLE), len(PEOPLE)),
        write_pts_tree(tmp_path / "tree", PEOPLE),
    ):
        dataset = read_custom_dataset(folder)
        check_reading(dataset, folder)
        assert len(list(dataset.read(folder, BadFaces("error")))) == len(PEOPLE)
        check_draft(folder)


@pytest.fixture(scope="module")
def table(folder: Path) -> Path:
    return write_table(folder / "table", table_lines(PEOPLE))


GOOD_TABLE = "\n".join(table_lines(PEOPLE)).encode() + b"\n"


@examples(150)
@given(content=damaged(GOOD_TABLE))
@example(content=GOOD_TABLE.replace(b"p000.png", b"a" * 300))
@example(content=GOOD_TABLE.replace(b"p000.png", b'"a\nb\x1b[2J"'))
@example(content=b"image,x0,y0,x99999\n" + b"p000.png,1,2,3\n")
def test_a_damaged_table_is_refused_or_read_and_so_is_its_draft(
    table: Path, content: bytes
) -> None:
    (table / "landmarks.csv").write_bytes(content)
    refused_or_sound(lambda: check_reading(read_custom_dataset(table), table))
    refused_or_sound(lambda: check_draft(table))


@pytest.fixture(scope="module")
def coco(folder: Path) -> Path:
    return write_coco(folder / "coco", coco_content(PEOPLE), len(PEOPLE))


GOOD_COCO = json.dumps(coco_content(PEOPLE)).encode()


@examples(150)
@given(content=damaged(GOOD_COCO))
@example(content=GOOD_COCO.replace(b"[15.0", b"[" + b"9" * 400))
@example(content=GOOD_COCO.replace(b'"keypoints": [', b'"keypoints": [' + b"9" * 400 + b", "))
@example(content=GOOD_COCO.replace(b'"image_id": 0', b'"image_id": ' + b"9" * 5000))
@example(content=GOOD_COCO.replace(b'"ben"', b'"\\ud800"'))
@example(content=GOOD_COCO.replace(b'"ben"', b"9" * 400))
@example(content=GOOD_COCO.replace(b'"p000.png"', b'"\\ud800\\n\\u001b[2J"'))
@example(content=GOOD_COCO.replace(b'"p000.png"', b'"' + b"a" * 300 + b'"'))
@example(content=GOOD_COCO.replace(b'"left_eye"', b'"\\ud800"'))
@example(content=b"[" * 100_000)
def test_a_damaged_coco_file_is_refused_or_read_and_so_is_its_draft(
    coco: Path, content: bytes
) -> None:
    (coco / "faces.json").write_bytes(content)
    refused_or_sound(lambda: check_reading(read_custom_dataset(coco), coco))
    refused_or_sound(lambda: check_draft(coco))


def check_draft(folder: Path) -> None:
    """Draft a description; one that is written can be read, and is a scheme of the set."""
    path = folder / "landmark-kd.yaml"
    kept = path.read_bytes()
    text = draft_custom_dataset(folder)
    try:
        path.write_text(text, encoding="utf-8")
        points = read_custom_config(folder).scheme().points
    except UserError as error:
        raise AssertionError(f"the draft is wrong: {error}") from None
    finally:
        path.write_bytes(kept)
    assert points > 1


@examples(150)
@given(data=st.data())
def test_a_damaged_description_of_a_custom_set_is_refused_or_read(
    table: Path, data: st.DataObject
) -> None:
    (table / "landmarks.csv").write_bytes(GOOD_TABLE)
    path = table / "landmark-kd.yaml"
    kept = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(kept)))
        refused_or_sound(lambda: check_reading(read_custom_dataset(table), table))
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize("key", ["annotations", "images"])
def test_a_name_too_long_for_any_file_is_no_file(tmp_path: Path, key: str) -> None:
    write_table(tmp_path, table_lines(PEOPLE), **{key: "a" * 300 + ".csv"})
    with pytest.raises(UserError, match=f"; {key} in .* names it"):
        read_custom_dataset(tmp_path)


@pytest.fixture(scope="module")
def tree(folder: Path) -> Path:
    return write_pts_tree(folder / "tree", PEOPLE)


@examples(50)
@given(data=st.data())
def test_a_damaged_pts_file_of_a_tree_is_left_out_or_read(tree: Path, data: st.DataObject) -> None:
    path = tree / "images" / "cy" / "p003.pts"
    kept = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(kept)))
        dataset = read_custom_dataset(tree)
        check_reading(dataset, tree)
        records = list(dataset.read(tree, BadFaces("skip")))
        assert len(records) >= len(PEOPLE) - 1
    finally:
        path.write_bytes(kept)


@examples(50)
@given(faces=shapes(len(PEOPLE), 5, size=40), first_pixel=st.sampled_from([0, 1]))
def test_tables_and_coco_files_keep_landmarks_to_the_last_bit(
    folder: Path, faces: np.ndarray, first_pixel: int
) -> None:
    people = [f"{name}{i}" for i, name in enumerate(PEOPLE)]
    lines = table_lines(people)
    content = coco_content(people)
    for i, face in enumerate(faces):
        cells = lines[i + 1].split(",")[:2]
        lines[i + 1] = ",".join([*cells, *map(repr, face.ravel().tolist())])
        points = content["annotations"][i]["keypoints"]
        points[0::3], points[1::3] = face[:, 0].tolist(), face[:, 1].tolist()
    for written in (
        write_table(folder / "t", lines, first_pixel=first_pixel),
        write_coco(folder / "c", content, len(people), first_pixel=first_pixel),
    ):
        dataset = read_custom_dataset(written)
        records = dataset.read(written, BadFaces("error"))
        for record in records:
            i = int(record.name[1:4])
            np.testing.assert_array_equal(record.landmarks, faces[i] - first_pixel)
