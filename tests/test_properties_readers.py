"""Whatever stands in an annotation file: faces that can be trained on, or one clear sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from landmark_kd import geometry
from landmark_kd.cofw import COFW
from landmark_kd.errors import UserError
from landmark_kd.own_config import read_own_config
from landmark_kd.own_data import read_own_dataset
from landmark_kd.own_draft import draft_own_dataset
from landmark_kd.pictures import read_picture
from landmark_kd.pts import read_pts, write_pts
from landmark_kd.records import BadFaces, Dataset, FaceRecord, check_landmarks
from landmark_kd.sampling import sample
from landmark_kd.wflw import WFLW
from tests.raw_cofw_wflw import wflw_line, write_cofw, write_wflw
from tests.raw_faces import landmarks_in, write_face
from tests.raw_own import coco_content, table_lines, write_coco, write_pts_tree, write_table
from tests.strategies import damaged, examples, shapes

PEOPLE = ["ann", "ben", "ben", "cy", "dee", "eva"]
# A sentence names a file, a place in it and what was found; nothing in it may be endless.
LONGEST_SENTENCE = 1500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read")


def check_sentence(error: object) -> None:
    sentence = str(error)
    assert sentence.isprintable()
    assert len(sentence) < LONGEST_SENTENCE


def check_reading(dataset: Dataset, folder: Path) -> None:
    """Read a set as `fetch`, `prepare` and `data check` do; UserError where it is refused."""
    bad = BadFaces("skip")
    records = list(dataset.layout.read(dataset, folder, bad))
    for record in records:
        _check_record(record, dataset)
    for _, sentence in bad.left_out:
        check_sentence(sentence)
    for file in dataset.layout.files(dataset, folder):
        assert file.is_file()
        assert file.resolve().is_relative_to(folder.resolve())
    if bad.left_out:
        with pytest.raises(UserError):
            list(dataset.layout.read(dataset, folder, BadFaces("error")))


def _check_record(record: FaceRecord, dataset: Dataset) -> None:
    assert record.landmarks.shape == (dataset.points, 2)
    assert record.landmarks.dtype == np.float64
    assert np.isfinite(record.landmarks).all()
    record.photo.encode(), record.name.encode()
    try:
        image = record.picture.read()
        height, width = image.shape[:2]
        check_landmarks(record, dataset.topology, width=width, height=height)
    except UserError as error:
        check_sentence(error)
        return
    for box in (geometry.landmarks_box(record.landmarks), record.box):
        if box is not None:
            crop = sample(image, geometry.square_crop(box, 0.25, 32), 32)
            assert crop.shape == (32, 32, 3)


def refused_or_sound(read: Callable[[], object]) -> None:
    try:
        read()
    except UserError as error:
        check_sentence(error)


@pytest.fixture(scope="module")
def pts(folder: Path) -> Path:
    write_face(folder, "face", landmarks_in(80, 60)[:5])
    return folder / "face.pts"


GOOD_PTS = b"version: 1\nn_points:  5\n{\n" + b"20.5 30.25\n" * 4 + b"1e1 -0.001\n}\n"


@examples(200)
@given(content=damaged(GOOD_PTS), points=st.sampled_from([5, None]))
@example(content=GOOD_PTS.replace(b"20.5", b"2_0.5"), points=5)
@example(content=GOOD_PTS.replace(b"20.5", "٢٠".encode()), points=5)
def test_a_damaged_pts_file_is_refused_or_read(
    pts: Path, content: bytes, points: int | None
) -> None:
    pts.write_bytes(content)

    def read() -> None:
        found = read_pts(pts, points)
        assert found.shape == (points or len(found), 2)
        assert np.isfinite(found).all()

    refused_or_sound(read)


@pytest.mark.parametrize("text", ["2_0", "٢٠", "0x10", "1e", "", "nan", "½", "1,5"])
def test_what_other_programs_take_for_no_number_is_none(tmp_path: Path, text: str) -> None:
    line = wflw_line(0, "a.jpg").split(" ")
    path = write_wflw(tmp_path / "wflw", 2, 2) / WFLW.parts[0].folder
    path.write_text(" ".join([text, *line[1:]]) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="entry|entries"):
        list(WFLW.layout.read(WFLW, tmp_path / "wflw", BadFaces("error")))

    lines = table_lines(PEOPLE)
    first = lines[1].split(",")
    lines[1] = ",".join([*first[:2], f'"{text}"', *first[3:]])
    table = write_table(tmp_path / "table", lines)
    bad = BadFaces("skip")
    own = read_own_dataset(table)
    assert len(list(own.layout.read(own, table, bad))) == len(PEOPLE) - 1
    assert "line 2: x0 is " in bad.left_out[0][1]

    write_pts(tmp_path / "a.pts", np.array([[1.0, 2]]))
    (tmp_path / "a.pts").write_text(f"version: 1\nn_points: 1\n{{\n{text} 1\n}}\n")
    with pytest.raises(UserError, match=r"a\.pts, line 4"):
        read_pts(tmp_path / "a.pts", 1)


@pytest.fixture(scope="module")
def wflw(folder: Path) -> Path:
    return write_wflw(folder / "wflw", 3, 2)


GOOD_WFLW = "".join(f"{wflw_line(i, 'one.jpg')}\n" for i in range(2)).encode()


@examples(80)
@given(content=damaged(GOOD_WFLW))
@example(content=GOOD_WFLW.replace(b"one.jpg", b"a" * 300))
@example(content=GOOD_WFLW.replace(b"one.jpg", b"\x1b[2J\0"))
def test_a_damaged_wflw_list_is_refused_or_read(wflw: Path, content: bytes) -> None:
    (picture,) = [path for path in sorted(wflw.rglob("*.jpg"))][:1]
    name = picture.relative_to(wflw / "WFLW_images").as_posix().encode()
    (wflw / WFLW.parts[0].folder).write_bytes(content.replace(b"one.jpg", name))
    refused_or_sound(lambda: check_reading(WFLW, wflw))


@pytest.fixture(scope="module")
def cofw(folder: Path) -> Path:
    return write_cofw(folder / "cofw", 3, 2, (20, 16))


@examples(150)
@given(data=st.data())
def test_a_damaged_cofw_file_is_refused_or_read(cofw: Path, data: st.DataObject) -> None:
    path = cofw / COFW.parts[0].folder
    whole = cofw / "whole"
    if not whole.exists():
        path.rename(whole)
    path.write_bytes(data.draw(damaged(whole.read_bytes())))
    refused_or_sound(lambda: check_reading(COFW, cofw))


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
    refused_or_sound(lambda: check_reading(read_own_dataset(table), table))
    refused_or_sound(lambda: check_draft(table))


@pytest.fixture(scope="module")
def coco(folder: Path) -> Path:
    return write_coco(folder / "coco", coco_content(PEOPLE), len(PEOPLE))


def _coco_bytes() -> bytes:
    import json

    return json.dumps(coco_content(PEOPLE)).encode()


GOOD_COCO = _coco_bytes()
X = b'"keypoints": [20.13'


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
    refused_or_sound(lambda: check_reading(read_own_dataset(coco), coco))
    refused_or_sound(lambda: check_draft(coco))


def check_draft(folder: Path) -> None:
    """A draft that is written can be read, and is a scheme of the set."""
    path = folder / "landmark-kd.yaml"
    kept = path.read_bytes()
    text = draft_own_dataset(folder)
    try:
        path.write_text(text, encoding="utf-8")
        assert read_own_config(folder).topology().points > 1
    finally:
        path.write_bytes(kept)


@examples(150)
@given(data=st.data())
def test_a_damaged_description_of_an_own_set_is_refused_or_read(
    table: Path, data: st.DataObject
) -> None:
    (table / "landmarks.csv").write_bytes(GOOD_TABLE)
    path = table / "landmark-kd.yaml"
    kept = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(kept)))
        refused_or_sound(lambda: check_reading(read_own_dataset(table), table))
    finally:
        path.write_bytes(kept)


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
        dataset = read_own_dataset(tree)
        check_reading(dataset, tree)
        records = list(dataset.layout.read(dataset, tree, BadFaces("skip")))
        assert len(records) >= len(PEOPLE) - 1
    finally:
        path.write_bytes(kept)


@examples(100)
@given(data=st.data(), suffix=st.sampled_from([".png", ".jpg"]))
def test_a_damaged_picture_is_refused_or_read(
    folder: Path, data: st.DataObject, suffix: str
) -> None:
    write_face(folder, "picture", suffix=suffix)
    path = folder / f"picture{suffix}"
    path.write_bytes(data.draw(damaged(path.read_bytes())))

    def read() -> None:
        picture = read_picture(path)
        assert picture.dtype == np.uint8
        assert picture.shape[2:] == (3,)

    refused_or_sound(read)


@examples(100)
@given(face=shapes(1, 7))
def test_a_pts_file_keeps_landmarks_to_half_a_thousandth_of_a_pixel(
    folder: Path, face: np.ndarray
) -> None:
    path = folder / "written.pts"
    write_pts(path, face[0])
    assert np.abs(read_pts(path, 7) - face[0]).max() <= 0.0005 + 1e-9


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
        dataset = read_own_dataset(written)
        records = dataset.layout.read(dataset, written, BadFaces("error"))
        for record in records:
            i = int(record.name[1:4])
            np.testing.assert_array_equal(record.landmarks, faces[i] - first_pixel)
