"""Tables of faces: what is wrong with one is said with file and line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.annotations import CustomFace, Marks
from landmark_kd.data.datasets.custom.table import read_table
from tests.support.raw_custom import faces, table_lines

LINES = table_lines(["ann", "bob", "cy"])


def _write(folder: Path, lines: list[str], encoding: str = "utf-8", end: str = "\n") -> Path:
    path = folder / "landmarks.csv"
    path.write_text(end.join(lines) + end, encoding=encoding, newline="")
    return path


def _faces(path: Path, points: int = 5, column: str | None = None) -> list[CustomFace]:
    return read_table(path).faces(points, 0, column)


def _with_boxes(boxes: list[str]) -> list[str]:
    header = f"{LINES[0]},box_x,box_y,box_width,box_height"
    return [header, *(f"{line},{box}" for line, box in zip(LINES[1:], boxes, strict=True))]


def _marks(face: CustomFace) -> Marks:
    assert isinstance(face.marks, Marks)
    return face.marks


def _sentence(face: CustomFace) -> str:
    assert isinstance(face.marks, UserError)
    return str(face.marks)


@pytest.mark.parametrize(
    ("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("utf-8", "\n\n")]
)
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path: Path, encoding: str, end: str) -> None:
    found = _faces(_write(tmp_path, LINES, encoding, end), column="person")
    assert [(f.image, f.group) for f in found] == [
        ("p000.png", "ann"),
        ("p001.png", "bob"),
        ("p002.png", "cy"),
    ]
    np.testing.assert_array_equal([_marks(f).landmarks for f in found], faces(3))


def test_columns_may_have_any_order_and_more_may_be_there(tmp_path: Path) -> None:
    cells = [line.split(",")[::-1] for line in LINES]
    cells = [[*row, "" if i else "note"] for i, row in enumerate(cells)]
    table = read_table(_write(tmp_path, [",".join(row) for row in cells]))
    assert table.points == 5
    assert table.columns() == {"person": ["ann", "bob", "cy"], "note": ["", "", ""]}
    np.testing.assert_array_equal(_marks(table.faces(5, 0, None)[2]).landmarks, faces(3)[2])


def test_boxes_are_corner_width_and_height(tmp_path: Path) -> None:
    path = _write(tmp_path, _with_boxes(["11,21,30,40"] * 3))
    assert read_table(path).has_boxes
    box = _marks(read_table(path).faces(5, 1, None)[0]).box
    np.testing.assert_array_equal(box, [10, 20, 40, 60])
    assert not read_table(_write(tmp_path, LINES)).has_boxes


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (LINES[2].replace(",bob", ""), "line 3: has 11 columns, but line 1 names 12"),
        (LINES[2] + ",7", "line 3: has 13 columns, but line 1 names 12"),
        (re.sub(r"bob,[^,]+", "bob,left", LINES[2]), "line 3: x0 is 'left', which is not a number"),
        (re.sub(r"bob,[^,]+", "bob, ", LINES[2]), "line 3: x0 is empty"),
        (re.sub(r"[^,]+$", "nan", LINES[2]), "line 3: y4 is nan, which is not finite"),
        (re.sub(r"[^,]+$", "1e999", LINES[2]), "line 3: y4 is 1e999, which is not finite"),
        (LINES[2].replace("p001.png", ""), "line 3: image is empty"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(
    tmp_path: Path, line: str, sentence: str
) -> None:
    path = _write(tmp_path, [*LINES[:2], line, LINES[3]])
    found = _faces(path)
    assert f"{path}, {sentence}" in _sentence(found[1])
    np.testing.assert_array_equal(_marks(found[0]).landmarks, faces(3)[0])
    np.testing.assert_array_equal(_marks(found[2]).landmarks, faces(3)[2])


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        ("1,2,-30,40", "(x, y, width, height) is 1, 2, -30, 40, but width and height must be"),
        ("1,2,30,0", "is 1, 2, 30, 0, but width and height must be greater than 0"),
        ("1,2,inf,4", "box_width is inf, which is not finite"),
        ("1,,3,4", "box_y is empty"),
    ],
)
def test_a_box_without_a_size_is_bad(tmp_path: Path, box: str, sentence: str) -> None:
    found = _faces(_write(tmp_path, _with_boxes(["1,2,3,4", box, "1,2,3,4"])))
    assert "line 3: " in _sentence(found[1])
    assert sentence in _sentence(found[1])
    assert isinstance(found[2].marks, Marks)


@pytest.mark.parametrize(
    ("header", "points", "column", "sentence"),
    [
        (
            LINES[0].replace("y3", "z3"),
            5,
            None,
            "line 1: has no column y3, but columns of",
        ),
        (LINES[0], 7, None, "line 1: has columns of 5 points, x0, y0 to x4, y4, but landmark-kd.y"),
        (LINES[0], 4, None, "line 1: has columns of 5 points"),
        (LINES[0], 5, "persn", "no column persn, which split.column names; did you mean person?"),
        (LINES[0], 5, "video", "no column video, which split.column names; there are person"),
        (LINES[0].replace("person", "box_x"), 5, None, "line 1: has no column box_y and 2 more"),
        (LINES[0].replace("person", "x0"), 5, None, "line 1: has the column x0 twice"),
        (LINES[0].replace(",", ";"), 5, None, "line 1: its columns must be separated by commas"),
    ],
)
def test_a_wrong_header_is_said_before_any_face(
    tmp_path: Path, header: str, points: int, column: str | None, sentence: str
) -> None:
    path = _write(tmp_path, [header, *LINES[1:]])
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        _faces(path, points, column)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty, but a table of faces begins with image,x0,y0"),
        (LINES[0].encode(), "holds no face"),
        ("image,größe\n".encode("latin-1"), "is not UTF-8 text"),
        (b'image,x0,y0\n"a.png,1,2\n', "line 2: is not a line of a .csv file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "landmarks.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(sentence)):
        read_table(path)
