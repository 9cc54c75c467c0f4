"""A person's custom data set: its split, its records, its files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord, check_landmarks
from landmark_kd.data.datasets.custom import several
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.datasets.custom.split import choose_test
from landmark_kd.data.datasets.custom.table import Table, read_table
from landmark_kd.data.inspection.draft import write_draft
from tests.support.raw_custom import (
    coco_content,
    faces,
    table_lines,
    write_coco,
    write_config,
    write_pts_tree,
    write_table,
)

PEOPLE = [f"person{i // 4}" for i in range(40)]  # ten people, four faces each
BY_PERSON = {"column": "person", "test": 0.2, "seed": 0}
BY_IMAGE = {"column": None, "test": 0.2, "seed": 0}
AS_SAID = {"column": "part", "test": None, "seed": 0}
SAID = ["train"] * 30 + ["test"] * 10


def _read(folder: Path, bad: BadFaces | None = None) -> list[FaceRecord]:
    dataset = read_custom_dataset(folder)
    return list(dataset.read(folder, bad or BadFaces("error")))


def _check(folder: Path) -> None:
    dataset = read_custom_dataset(folder)
    dataset.check(folder)


def _files(folder: Path) -> list[str]:
    dataset = read_custom_dataset(folder)
    found = dataset.files(folder)
    return [file.relative_to(folder).as_posix() for file in found]


def _test_names(folder: Path) -> set[str]:
    return {record.name for record in _read(folder) if record.split == "test"}


WRITERS: dict[str, Callable[[Path], Path]] = {
    "table": lambda folder: write_table(folder, table_lines(PEOPLE), split=BY_PERSON),
    "coco": lambda folder: write_coco(folder, coco_content(PEOPLE), 40, split=BY_PERSON),
    "pts": lambda folder: write_pts_tree(folder, PEOPLE, split={**BY_PERSON, "column": "folder"}),
}


@pytest.mark.seconds
@pytest.mark.parametrize("kind", WRITERS)
def test_each_format_gives_the_same_faces_split_by_person(tmp_path: Path, kind: str) -> None:
    folder = WRITERS[kind](tmp_path / "mine")
    _check(folder)
    records = _read(folder)
    np.testing.assert_allclose([r.landmarks for r in records], faces(40), atol=1e-9)
    assert all(record.landmarks.dtype == np.float64 for record in records)
    assert [record.photo for record in records] == PEOPLE
    assert len({record.name for record in records}) == 40
    split_of = {record.photo: record.split for record in records}
    assert all(split_of[record.photo] == record.split for record in records)
    assert sum(record.split == "test" for record in records) == 8
    assert {record.part.subset for record in records if record.split == "test"} == {"mine"}
    for record in records:
        check_landmarks(record, read_custom_dataset(folder).scheme, width=80, height=80)
        assert record.image.read().shape == (80, 80, 3)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_copy_of_the_files_it_names_is_the_same_set(tmp_path: Path, kind: str) -> None:
    folder = WRITERS[kind](tmp_path / "mine")
    (folder / "notes.txt").write_text("not part of it")
    (folder / "images" / ".hidden.png").write_bytes(b"")
    copy = tmp_path / "copy"
    for name in _files(folder):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, copy / name)
    assert len(_files(folder)) == {"table": 42, "coco": 42, "pts": 81}[kind]
    ours, theirs = _read(folder), _read(copy)
    assert [(r.name, r.split, r.photo) for r in ours] == [
        (r.name, r.split, r.photo) for r in theirs
    ]


def test_the_annotations_are_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Path] = []

    def read_and_note(path: Path) -> Table:
        parsed.append(path)
        return read_table(path)

    monkeypatch.setattr(several, "read_table", read_and_note)
    folder = WRITERS["table"](tmp_path)
    dataset = read_custom_dataset(folder)
    dataset.check(folder)
    assert len(dataset.files(folder)) == 42
    assert len(list(dataset.read(folder, BadFaces("error")))) == 40
    assert parsed == [folder / "landmarks.csv"]


def test_the_first_pixel_that_files_count_from_is_taken_off(tmp_path: Path) -> None:
    table = write_table(tmp_path / "table", table_lines(PEOPLE), first_pixel=1)
    np.testing.assert_allclose(_read(table)[0].landmarks, faces(40)[0] - 1)
    pts = write_pts_tree(tmp_path / "pts", PEOPLE, first_pixel=0)
    # write_pts counts from 1, and a file that counts from 0 is taken as it is.
    np.testing.assert_allclose(_read(pts)[0].landmarks, faces(40)[0] + 1)


def test_the_split_does_not_depend_on_the_order_of_the_file(tmp_path: Path) -> None:
    header, *lines = table_lines(PEOPLE)
    forward = write_table(tmp_path / "a", [header, *lines], split=BY_PERSON)
    shuffled = np.random.default_rng(1).permutation(np.array(lines)).tolist()
    backward = write_table(tmp_path / "b", [header, *shuffled], split=BY_PERSON)
    assert _test_names(forward) == _test_names(backward)


def test_another_seed_is_another_split_and_a_bad_face_changes_none(tmp_path: Path) -> None:
    lines = table_lines(PEOPLE)
    first = _test_names(write_table(tmp_path, lines, split=BY_PERSON))
    other = _test_names(write_table(tmp_path, lines, split={**BY_PERSON, "seed": 1}))
    assert first != other
    lines[5] = re.sub(r"[^,]+$", "nan", lines[5])
    write_table(tmp_path, lines, split=BY_PERSON)
    bad = BadFaces("skip")
    kept = {r.name for r in _read(tmp_path, bad) if r.split == "test"}
    assert kept == first - {"p004.png"}
    assert len(bad.left_out) == 1


def test_without_a_column_each_image_is_on_its_own(tmp_path: Path) -> None:
    records = _read(write_table(tmp_path, table_lines(PEOPLE), split=BY_IMAGE))
    assert [record.photo for record in records] == [record.name for record in records]
    test = {record.name for record in records if record.split == "test"}
    assert len(test) == 8
    assert len({PEOPLE[int(name[1:4])] for name in test}) > 2


def test_a_column_may_say_train_or_test_itself(tmp_path: Path) -> None:
    records = _read(write_table(tmp_path, table_lines(SAID, column="part"), split=AS_SAID))
    assert [record.split for record in records] == SAID
    assert records[0].photo == "p000.png"


def test_folders_may_be_named_train_and_test(tmp_path: Path) -> None:
    split = {"column": "folder", "test": None, "seed": 0}
    records = _read(write_pts_tree(tmp_path, SAID, split=split))
    assert {(r.name.split("/")[0], r.split) for r in records} == {
        ("train", "train"),
        ("test", "test"),
    }


SAID_ALL = ["Train", "val", "TEST", "training", "valid", "test", "trainset", "dev", "train"]


@pytest.mark.parametrize(
    "split",
    [
        {"column": "part", "test": None, "seed": 0},
        {"column": "part", "test": ["test"], "validation": ["VAL", "valid", "dev"], "seed": 0},
    ],
)
def test_a_column_may_say_what_is_for_validation(tmp_path: Path, split: dict[str, object]) -> None:
    write_table(tmp_path, table_lines(SAID_ALL, column="part"), split=split)
    assert read_custom_dataset(tmp_path).own_validation
    uses = ["validation" if record.validation else record.split for record in _read(tmp_path)]
    assert uses == ["train", "validation", "test"] * 2 + ["train", "validation", "train"]


def test_test_faces_are_drawn_from_those_that_are_not_for_validation(tmp_path: Path) -> None:
    split = {"column": "part", "test": 0.2, "validation": ["val"], "seed": 0}
    write_table(tmp_path, table_lines(["train", "val"] * 10, column="part"), split=split)
    records = _read(tmp_path)
    assert [record.validation for record in records] == [False, True] * 10
    assert sum(record.split == "test" for record in records) == 2


def test_a_value_that_no_face_has_is_said(tmp_path: Path) -> None:
    split = {"column": "part", "test": ["tset"], "seed": 0}
    write_table(tmp_path, table_lines(SAID, column="part"), split=split)
    with pytest.raises(
        UserError, match=r"split\.test has 'tset', .* of no face; it is train, test"
    ):
        _check(tmp_path)


def test_folders_in_the_names_of_images_split_a_table(tmp_path: Path) -> None:
    lines = [
        re.sub(r"^(p\d+)", rf"{use}/\1", line)
        for use, line in zip(SAID, table_lines(SAID)[1:], strict=True)
    ]
    split = {"column": "folder", "test": None, "seed": 0}
    records = _read(write_table(tmp_path, [table_lines(SAID)[0], *lines], split=split))
    assert [record.split for record in records] == SAID


def test_people_who_share_an_image_are_in_one_split(tmp_path: Path) -> None:
    lines = table_lines(PEOPLE)
    for i in range(0, 40, 8):  # person 0 is in an image of person 1, person 2 in one of 3, …
        lines[1 + i] = lines[1 + i].replace(f"p{i:03}", f"p{i + 4:03}")
    records = _read(write_table(tmp_path, lines, split=BY_PERSON))
    images = {
        split: {str(r.image) for r in records if r.split == split} for split in ("train", "test")
    }
    assert not images["train"] & images["test"]
    assert len({record.photo for record in records}) == 5
    assert [r.name for r in records if "p004" in r.name] == ["p004.png#1", "p004.png#2"]


def test_one_image_under_two_spellings_is_one(tmp_path: Path) -> None:
    lines = table_lines(PEOPLE)
    lines[2] = lines[2].replace("p001.png", "./p000.png")
    records = _read(write_table(tmp_path, lines, split=BY_IMAGE))
    assert [r.name for r in records[:2]] == ["p000.png#1", "p000.png#2"]
    assert records[0].photo == records[1].photo


def test_test_faces_reach_their_share_and_no_split_is_empty() -> None:
    people = {f"p{i}": 3 for i in range(100)}
    assert sum(people[name] for name in choose_test(people, 0.2, 0)) == 60
    assert len(choose_test({"a": 1, "b": 1}, 0.999, 0)) == 1
    assert len(choose_test({"a": 1, "b": 1}, 0.001, 0)) == 1
    # Faces that are added later leave the others' split as it was, or nearly.
    more = choose_test({**people, "new": 3}, 0.2, 0)
    assert len(choose_test(people, 0.2, 0) - more) <= 1


@pytest.mark.parametrize(
    ("people", "split", "sentence"),
    [
        (
            ["ann"] * 4,
            BY_PERSON,
            "there is 1 value of person, but training and test",
        ),
        (
            ["ann"],
            BY_IMAGE,
            "there is 1 image, but training and test faces need at least one each; add",
        ),
        (["train", "extra"], AS_SAID, "line 3: part is 'extra', but with split.test: null in"),
        (["train", "val"], AS_SAID, "part says test of no face, but both must be; give a share"),
        (["train", "train"], AS_SAID, "part says test of no face"),
        (["test", "test"], AS_SAID, "part says train of no face"),
    ],
)
def test_a_split_that_cannot_be_made_is_said(
    tmp_path: Path, people: list[str], split: dict[str, object], sentence: str
) -> None:
    column = "part" if split is AS_SAID else "person"
    write_table(tmp_path, table_lines(people, column=column), split=split)
    with pytest.raises(UserError, match=re.escape(sentence)):
        _check(tmp_path)


def test_people_who_all_share_images_make_no_split(tmp_path: Path) -> None:
    lines = [re.sub(r"p00\d", "p000", line) for line in table_lines(["ann", "bob"])]
    write_table(tmp_path, lines, split=BY_PERSON)
    with pytest.raises(UserError, match="1 value of person once those that share an image are"):
        _check(tmp_path)


def test_an_image_said_to_be_of_both_splits_is_refused(tmp_path: Path) -> None:
    lines = [re.sub(r"p00\d", "p000", line) for line in table_lines(["train", "test"], "part")]
    write_table(tmp_path, lines, split=AS_SAID)
    with pytest.raises(UserError, match=r"line 3: part is test, but .*line 2 with the same image"):
        _check(tmp_path)


def _missing(lines: list[str]) -> None:
    lines[3] = lines[3].replace("p002.png", "gone.png")


def _above(lines: list[str]) -> None:
    lines[3] = lines[3].replace("p002.png", "../landmarks.csv")


def _absolute(lines: list[str]) -> None:
    lines[3] = lines[3].replace("p002.png", "/etc/hostname")


def _twice(lines: list[str]) -> None:
    lines[3] = lines[2]


def _nobody(lines: list[str]) -> None:
    lines[3] = lines[3].replace("person0", " ")


@pytest.mark.parametrize(
    ("make_bad", "sentence"),
    [
        (_missing, "landmarks.csv, line 4: the image gone.png is not in"),
        (_above, "landmarks.csv, line 4: the image ../landmarks.csv is not in"),
        (_absolute, "landmarks.csv, line 4: the image /etc/hostname is not in"),
        (_twice, "landmarks.csv, line 4: repeats"),
        (_nobody, "landmarks.csv, line 4: has no value of person"),
    ],
)
def test_a_bad_face_stops_or_is_named_and_left_out(
    tmp_path: Path, make_bad: Callable[[list[str]], None], sentence: str
) -> None:
    lines = table_lines(PEOPLE)
    write_table(tmp_path, lines, split=BY_PERSON)
    make_bad(lines)
    (tmp_path / "landmarks.csv").write_text("\n".join(lines))
    with pytest.raises(UserError, match=re.escape(sentence)):
        _read(tmp_path)
    bad = BadFaces("skip")
    assert len(_read(tmp_path, bad)) == 39
    assert len(bad.left_out) == 1
    assert sentence in bad.left_out[0][1]
    named = _files(tmp_path)
    assert not [name for name in named if ".." in name or "hostname" in name or "gone" in name]


def test_duplicate_rows_are_named_both(tmp_path: Path) -> None:
    lines = table_lines(PEOPLE)
    write_table(tmp_path, [*lines, lines[7]])
    with pytest.raises(
        UserError, match=r"csv, line 42: repeats .*csv, line 8, with the same image"
    ):
        _read(tmp_path)


def test_two_faces_of_one_image_are_no_duplicates(tmp_path: Path) -> None:
    lines = table_lines(PEOPLE)
    lines[2] = lines[2].replace("p001", "p000")
    assert len(_read(write_table(tmp_path, lines))) == 40


def test_images_looked_for_in_the_wrong_folder_are_said_once(tmp_path: Path) -> None:
    write_table(tmp_path, table_lines(PEOPLE), images="other")
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match=r"holds none of the 40 images .*: p000\.png, for one, is"):
        _check(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"annotations": "other.csv"}, "other.csv is not a file; annotations in"),
        (
            {"images": "Images"},
            "is not a folder, but there is images: only upper and lower case di",
        ),
        ({"images": "photos"}, "photos is not a folder; images in"),
    ],
)
def test_what_the_yaml_names_must_be_there(
    tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    write_table(tmp_path, table_lines(PEOPLE))
    write_config(tmp_path, **changes)
    with pytest.raises(UserError, match=re.escape(sentence)):
        read_custom_dataset(tmp_path)


@pytest.mark.seconds
def test_real_frames_of_347_people_are_split_by_person(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ytf"
    folder.mkdir()
    shutil.copyfile(shared / "data/ytf/landmarks.csv", folder / "landmarks.csv")
    (folder / "images").symlink_to(shared / "data/ytf/images")
    write_draft(folder)
    dataset = read_custom_dataset(folder)
    assert (dataset.name, dataset.points, dataset.boxes) == ("ytf", 68, False)
    records = _read(folder)
    assert len(records) == 4232
    people = {split: {r.photo for r in records if r.split == split} for split in ("train", "test")}
    assert len(people["train"]) + len(people["test"]) == 347
    assert not people["train"] & people["test"]
    share = sum(record.split == "test" for record in records) / 4232
    assert 0.2 <= share < 0.21
