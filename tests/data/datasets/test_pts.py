from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.pts import read_pts
from tests.support.raw_faces import write_pts

THREE_POINTS = "version: 1\nn_points:  3\n{\n1 1\n2.5 3\n10.25 -4\n}\n"


def test_coordinates_are_counted_from_zero(tmp_path: Path) -> None:
    path = tmp_path / "face.pts"
    path.write_text(THREE_POINTS)
    np.testing.assert_array_equal(read_pts(path, 3), [[0, 0], [1.5, 2], [9.25, -5]])


def test_written_landmarks_are_read_back_to_a_thousandth_of_a_pixel(tmp_path: Path) -> None:
    landmarks = np.random.default_rng(0).uniform(-20, 2000, (68, 2))
    write_pts(tmp_path / "face.pts", landmarks)
    np.testing.assert_allclose(read_pts(tmp_path / "face.pts", 68), landmarks, atol=5.01e-4)
    assert (tmp_path / "face.pts").read_text().startswith("version: 1\nn_points:  68\n{\n")


@pytest.mark.parametrize(
    "text",
    [
        THREE_POINTS.replace("\n", "\r\n"),
        THREE_POINTS.replace("  3", "3"),
        THREE_POINTS.replace("1 1", "  1\t1  "),
        "\ufeff" + THREE_POINTS + "\n\n",
        THREE_POINTS.replace("version", "Version").replace("n_points", "N_Points"),
        "# by hand\n// Zoë\n" + THREE_POINTS.replace("1 1", "1 1  # left eye // {"),
        THREE_POINTS.replace("  3\n{", " 3 {"),
        THREE_POINTS.replace("{\n1 1", "{ 1 1").replace("-4\n}", "-4 }"),
        THREE_POINTS.replace("  3", " 003"),
        THREE_POINTS.replace("1 1", "1,1").replace("2.5 3", "2.5, 3").replace("-4", ", -4,"),
        THREE_POINTS.replace("2.5 3", "2.5;3"),
    ],
    ids=[
        *("windows line ends", "no space", "tabs", "byte order mark and blank lines"),
        *("capitals", "comments", "brace beside the count", "braces beside points"),
        *("leading zeros", "commas", "semicolon"),
    ],
)
def test_harmless_differences_of_the_files_in_the_wild_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "face.pts"
    path.write_text(text, encoding="utf-8", newline="")
    np.testing.assert_array_equal(read_pts(path, 3), [[0, 0], [1.5, 2], [9.25, -5]])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (THREE_POINTS.replace("2.5 3\n", ""), "line 6: ends after 2 points, not 3"),
        (THREE_POINTS.replace("}", "4 4\n}"), "line 8: ends after 4 points, not 3"),
        (THREE_POINTS.replace("s:  3", "s:  2"), "line 2: has 2 points, not 3"),
        (THREE_POINTS.replace("2.5 3", "2.5 nan"), "line 5: '2.5 nan' is not finite"),
        (THREE_POINTS.replace("2.5 3", "inf 3"), "line 5: 'inf 3' is not finite"),
        (THREE_POINTS.replace("2.5 3", "2.5 1e999"), "line 5: '2.5 1e999' is not finite"),
        (THREE_POINTS.replace("2.5 3", "left eye"), "line 5: 'left eye' is not two numbers"),
        (THREE_POINTS.replace("2.5 3", "2.5"), "line 5: '2.5' is not two numbers"),
        (THREE_POINTS.replace("2.5 3", "2.5 3 1"), "line 5: '2.5 3 1' is three numbers"),
        (THREE_POINTS.replace("2.5 3", "2,5 3,0"), "write a point, not a comma, before decimals"),
        (THREE_POINTS.replace("2.5 3", "2.5 3 1 2"), "line 5: '2.5 3 1 2' is not two numbers"),
        (THREE_POINTS.replace("2.5 3", "2.5,,3"), "line 5: '2.5,,3' is not two numbers"),
        (THREE_POINTS[:-2], "is cut off after 3 points"),
        (THREE_POINTS.partition("10.25")[0], "is cut off after 2 points"),
        (THREE_POINTS.replace("version", "x"), "line 1: 'x: 1' is neither version"),
        ("", "has no line '{', after which a .pts file's points begin: it is empty"),
        ("1 1\n2 2\n3 3\n", "has no line '{', after which a .pts file's points begin: line 1 is"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_named_with_its_line(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "face.pts"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        read_pts(path, 3)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xd8\xff\xe0 a JPEG file, say", "is not text, but a .pts file is"),
        (b"D\0\0\0\x04V\xe4B\xd9\xce\x07C", "has binary content"),
        (THREE_POINTS.encode("utf-16"), "is UTF-16 text"),
        (THREE_POINTS.encode("utf-16-le"), "is UTF-16 text"),
        (THREE_POINTS.encode("utf-16-be"), "is UTF-16 text"),
    ],
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "face.pts"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"face\.pts .*{sentence}"):
        read_pts(path, 68)


def test_a_comment_in_an_old_encoding_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "face.pts"
    path.write_bytes(b"# Zo\xeb\n" + THREE_POINTS.encode())
    assert read_pts(path, 3).shape == (3, 2)
    path.write_bytes(THREE_POINTS.encode().replace(b"1 1", b"\xeb 1"))
    with pytest.raises(UserError, match="is not text"):
        read_pts(path, 3)


def test_a_file_may_count_from_another_first_pixel(tmp_path: Path) -> None:
    path = tmp_path / "face.pts"
    path.write_text(THREE_POINTS)
    np.testing.assert_array_equal(read_pts(path, 3, first_pixel=0), [[1, 1], [2.5, 3], [10.25, -4]])


def test_a_number_of_points_that_is_not_known_is_the_files(tmp_path: Path) -> None:
    path = tmp_path / "face.pts"
    path.write_text(THREE_POINTS)
    assert read_pts(path, None).shape == (3, 2)
    path.write_text(THREE_POINTS.replace("s:  3", "s:  2"))
    with pytest.raises(UserError, match="line 7: ends after 3 points, not 2"):
        read_pts(path, None)
    path.write_text(THREE_POINTS.replace("s:  3", "s: few"))
    with pytest.raises(UserError, match=r"line 2: has few points\."):
        read_pts(path, None)
