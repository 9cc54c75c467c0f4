from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord, check_landmarks
from landmark_kd.data.datasets.wflw import FLAGS, IMAGES, NUMBERS, WFLW
from tests.support.raw_cofw_wflw import PHOTO_NAME, face_landmarks, wflw_line, write_wflw

TRAIN, TEST = (part.folder for part in WFLW.parts)
SIZE = (80, 60)


def _read(folder: Path, bad: BadFaces | None = None) -> list[FaceRecord]:
    return list(WFLW.read(folder, bad or BadFaces("error")))


def _edit(file: Path, number: int, pattern: str, text: str) -> None:
    """Replace what matches in a line, counted from 1."""
    lines = file.read_text(encoding="utf-8").split("\n")
    lines[number - 1], found = re.subn(pattern, text, lines[number - 1], count=1)
    assert found
    file.write_text("\n".join(lines), encoding="utf-8")


def test_both_lists_are_read_in_their_order(tmp_path: Path) -> None:
    records = _read(write_wflw(tmp_path, train=5, test=3))
    assert [record.name for record in records] == [
        *(f"train/{i}" for i in range(1, 6)),
        *(f"test/{i}" for i in range(1, 4)),
    ]
    assert [record.part.subset for record in records] == ["train"] * 5 + ["all"] * 3
    assert WFLW.missing(records, "train") == [f"{TRAIN} has 5 of 7500 published faces"]


def test_points_and_boxes_are_pixels_as_they_stand(tmp_path: Path) -> None:
    for i, record in enumerate(_read(write_wflw(tmp_path))[:6]):
        landmarks = face_landmarks(98, i, SIZE)
        assert record.landmarks.shape == (98, 2)
        np.testing.assert_allclose(record.landmarks, landmarks, atol=1e-6)
        corners = [*landmarks.min(axis=0), *landmarks.max(axis=0)]
        np.testing.assert_array_equal(record.box, np.rint(corners))


def test_faces_of_one_photo_share_it(tmp_path: Path) -> None:
    records = _read(write_wflw(tmp_path, train=5))
    photos = [PHOTO_NAME.format(split="train", number=n) for n in (0, 0, 1, 1, 2)]
    assert [record.photo for record in records[:5]] == photos
    assert records[0].image == records[1].image != records[2].image
    assert str(records[4].image) == str(tmp_path / IMAGES / photos[4])
    assert records[4].image.read().shape == (60, 80, 3)


def test_one_photo_written_in_two_ways_is_one(tmp_path: Path) -> None:
    write_wflw(tmp_path)
    _edit(tmp_path / TRAIN, 1, "0--Parade/", "./0--Parade//")
    records = _read(tmp_path)
    assert records[0].photo == records[1].photo
    assert records[0].image == records[1].image


def test_flags_put_test_faces_into_their_subsets_and_train_faces_into_none(tmp_path: Path) -> None:
    records = _read(write_wflw(tmp_path, test=4))
    assert [record.subsets for record in records[:6]] == [()] * 6
    assert [record.subsets for record in records[6:]] == [
        ("pose", "expression", "illumination", "make-up", "occlusion", "blur"),
        ("pose",),
        ("pose", "expression"),
        ("pose", "illumination"),
    ]
    sizes = {name: len(rows) for name, rows in WFLW.subsets(records[6:]).items()}
    assert sizes == {
        "all": 4,
        "pose": 4,
        "expression": 2,
        "illumination": 2,
        "make-up": 1,
        "occlusion": 1,
        "blur": 1,
    }


def test_the_published_sizes_are_those_of_the_paper() -> None:
    assert WFLW.published_counts("train") == {"train": 7500}
    assert WFLW.published_counts("test") == {
        "all": 2500,
        "pose": 326,
        "expression": 314,
        "illumination": 698,
        "make-up": 206,
        "occlusion": 736,
        "blur": 773,
    }


def test_lists_with_other_line_ends_marks_and_blank_lines_are_read(tmp_path: Path) -> None:
    expected = _read(write_wflw(tmp_path))
    for name in (TRAIN, TEST):
        content = (tmp_path / name).read_bytes()
        first, rest = content.replace(b"\n", b"\r\n").split(b"\r\n", 1)
        ending = rest.removesuffix(b"\r\n")
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + first + b"\r\n\r\n" + ending)
    records = _read(tmp_path)
    assert [r.image for r in records] == [r.image for r in expected]
    # Line 2 is blank now, and messages have to name lines as an editor counts them.
    assert [r.name for r in records[:3]] == ["train/1", "train/3", "train/4"]
    for record, same in zip(records, expected, strict=True):
        np.testing.assert_array_equal(record.landmarks, same.landmarks)


@pytest.mark.parametrize("between", ["\t", "  ", " \t "])
def test_lists_with_any_white_space_between_their_entries_are_read(
    tmp_path: Path, between: str
) -> None:
    expected = _read(write_wflw(tmp_path))
    for name in (TRAIN, TEST):
        lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        lines = [between.join(line.split(" ", NUMBERS)) for line in lines]
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    assert [(r.image, r.photo, r.subsets) for r in _read(tmp_path)] == [
        (r.image, r.photo, r.subsets) for r in expected
    ]


@pytest.mark.parametrize(
    "name",
    [
        "a b.jpg",
        " two  blanks in front, one behind.jpg ",
        "22 0.5.jpg",
        "line\u2028end\x0c\x85.jpg",
        "a\tb.jpg",
        "tilde~#'\"\\%2f.jpg",
    ],
)
def test_a_name_is_the_rest_of_the_line_exactly(tmp_path: Path, name: str) -> None:
    write_wflw(tmp_path)
    (tmp_path / IMAGES / name).write_bytes(
        (tmp_path / IMAGES / PHOTO_NAME.format(split="test", number=0)).read_bytes()
    )
    (tmp_path / TEST).write_text(wflw_line(0, name) + "\n", encoding="utf-8", newline="\n")
    record = _read(tmp_path)[-1]
    assert record.photo == name
    assert str(record.image) == str(tmp_path / IMAGES / name)
    assert tmp_path / IMAGES / name in WFLW.files(tmp_path)


def test_only_lists_and_the_images_they_name_belong_to_the_set(tmp_path: Path) -> None:
    write_wflw(tmp_path, train=4, test=2)
    folder = tmp_path / IMAGES / "0--Parade"
    (folder / "no face of a list.jpg").write_bytes(b"")
    (tmp_path / "WFLW_annotations/README").write_text("how to read the lists")
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"")
    with (tmp_path / TEST).open("a", encoding="utf-8") as file:
        file.write(wflw_line(2, "../outside.jpg") + "\n")
        file.write(wflw_line(3, "gone.jpg") + "\n")
        file.write("no face at all\n")
    # Its face is bad, but it is for `prepare` to say which.
    _edit(tmp_path / TEST, 1, r"^\S+", "nan")
    names = [
        PHOTO_NAME.format(split=s, number=n) for s, n in (("train", 0), ("train", 1), ("test", 0))
    ]
    assert list(WFLW.files(tmp_path)) == [
        tmp_path / TRAIN,
        tmp_path / TEST,
        *(tmp_path / IMAGES / name for name in names),
    ]


@pytest.mark.seconds
def test_the_real_sample_is_read_and_its_points_lie_on_its_faces(shared: Path) -> None:
    folder = shared / "data" / "wflw"
    records = _read(folder)
    by_split = {split: [r for r in records if r.split == split] for split in ("train", "test")}
    assert {split: len(found) for split, found in by_split.items()} == {"train": 158, "test": 48}
    assert all(record.subsets == () for record in by_split["train"])
    assert set(WFLW.subsets(by_split["test"])) == {"all", *FLAGS}
    assert len(list(WFLW.files(folder))) == len({r.photo for r in records}) + 2
    images = {record.image: record.image.read() for record in records}
    for record in records:
        height, width = images[record.image].shape[:2]
        check_landmarks(record, WFLW.scheme, width=width, height=height)
        # The authors' box is that of the landmarks in whole pixels.
        assert record.box is not None
        corners = [*record.landmarks.min(axis=0), *record.landmarks.max(axis=0)]
        assert np.abs(record.box - corners).max() <= 1.0


@pytest.mark.seconds
def test_a_list_of_ten_thousand_faces_is_read_in_seconds(tmp_path: Path) -> None:
    write_wflw(tmp_path, train=2, test=2)
    lines = (tmp_path / TRAIN).read_text(encoding="utf-8")
    (tmp_path / TRAIN).write_text(lines * 5000, encoding="utf-8")
    start = time.process_time()
    assert len(_read(tmp_path)) == 10_002
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "given", ["", "wflw/WFLW_images", "wflw/WFLW_annotations", f"wflw/{Path(TRAIN).parent}"]
)
def test_a_folder_too_high_or_too_low_gets_the_right_one_suggested(
    tmp_path: Path, given: str
) -> None:
    write_wflw(tmp_path / "wflw")
    with pytest.raises(UserError, match=re.escape(f"did you mean {tmp_path / 'wflw'}?")):
        WFLW.check(tmp_path / given)


def test_a_folder_that_is_not_there_empty_or_a_file_names_folders_and_source(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "wflw.tar.gz").touch()
    for name, state in (
        ("nowhere", "does not exist"),
        ("empty", "is empty"),
        ("wflw.tar.gz", "is a file, but wflw is read from the folders"),
    ):
        with pytest.raises(UserError) as caught:
            _read(tmp_path / name)
        for text in (state, "WFLW_images and WFLW_annotations", "wywu.github.io/projects/LAB"):
            assert text in str(caught.value)


@pytest.mark.parametrize("name", [TRAIN, TEST, "WFLW_images"])
def test_both_lists_and_the_images_are_needed(tmp_path: Path, name: str) -> None:
    write_wflw(tmp_path)
    (tmp_path / name).rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=rf"{re.escape(str(tmp_path / name))} is missing"):
        _read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf"])
def test_an_empty_list_ends_the_run(tmp_path: Path, content: bytes) -> None:
    write_wflw(tmp_path)
    (tmp_path / TEST).write_bytes(content)
    with pytest.raises(UserError, match=r"attr_test\.txt is empty, but each of its lines is"):
        _read(tmp_path, BadFaces("skip"))


FORMAT = "196 coordinates, 4 of a box, 6 flags and an image's name"
COORDINATE = r"^\S+ "
BOX = r"(?<=\.\d{6} )\d+ \d+ \d+ \d+"
NAME = "0--Parade.*"


@pytest.mark.parametrize(
    ("pattern", "text", "sentence"),
    [
        (r"^\S+ (.*) 0--.*", r"\1 a.jpg", f"has 206 entries, but 207 were expected: {FORMAT}"),
        (COORDINATE, "", "entry 206 is '0--Parade/0_Parade', not a number; a line is"),
        (NAME, "", f"has 206 entries, but 207 were expected: {FORMAT}"),
        (".*", "1 2 3", f"has 3 entries, but 207 were expected: {FORMAT}"),
        (COORDINATE, "1 2 ", "the flag of pose is "),
        (COORDINATE, "12,5 ", f"entry 1 is '12,5', not a number; a line is {FORMAT}"),
        (COORDINATE, "x" * 99 + " ", f"entry 1 is '{'x' * 37}...', not a number"),
        (COORDINATE, "nan ", "entry 1 is 'nan', not a finite number"),
        (COORDINATE, "-inf ", "entry 1 is '-inf', not a finite number"),
        (COORDINATE, "1e999 ", "entry 1 is '1e999', not a finite number"),
        (" [01] 0--", " 2 0--", "the flag of blur is 2, not 0 or 1"),
        (r"(?<=\.\d{6} )\d+(?= )", "79", "the box from (79, "),
        (r"(?<=\.\d{6} )(\d+ \d+ \d+) \d+", r"\1 -1", ", -1) has no extent; x_min y_min"),
        (NAME, "gone.jpg", f"{IMAGES}/gone.jpg is missing"),
        (NAME, "0--Parade", f"{IMAGES}/0--Parade is missing"),
        (NAME, "../x.jpg", f"the image ../x.jpg does not lie within {IMAGES}"),
        (NAME, "a/../../x.jpg", f"the image a/../../x.jpg does not lie within {IMAGES}"),
        (NAME, "/x.jpg", f"the image /x.jpg does not lie within {IMAGES}"),
        (NAME, "a\0.jpg", "is missing"),
        (NAME, "a" * 5000, "is missing"),
        (".*", "\u00a0", "has 0 entries, but 207 were expected"),
    ],
)
def test_a_bad_line_stops_or_is_named_and_left_out(
    tmp_path: Path, pattern: str, text: str, sentence: str
) -> None:
    write_wflw(tmp_path, train=6, test=2)
    (tmp_path / "x.jpg").touch()
    _edit(tmp_path / TRAIN, 4, pattern, text)
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        _read(tmp_path)
    assert f"{tmp_path / TRAIN}, line 4: " in str(caught.value)

    bad = BadFaces("skip")
    names = [record.name for record in _read(tmp_path, bad)]
    assert names == [*(f"train/{i}" for i in (1, 2, 3, 5, 6)), "test/1", "test/2"]
    assert len(bad.sentences("train")) == 1
    assert sentence in bad.sentences("train")[0]


def test_a_line_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    write_wflw(tmp_path)
    content = (tmp_path / TRAIN).read_bytes()
    (tmp_path / TRAIN).write_bytes(content.replace("größe".encode(), "größe".encode("latin-1")))
    with pytest.raises(UserError, match=r"attr_train\.txt, line 1: is not UTF-8 text"):
        _read(tmp_path)
