"""Folders of images and .pts files, at any depth."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.annotations import Marks, folder_columns
from landmark_kd.data.datasets.custom.pts_tree import read_pts_tree
from tests.support.raw_custom import FIVE, write_images, write_pts_tree
from tests.support.raw_faces import write_pts

PEOPLE = ["ann", "bob", "bob/deep", "."]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_pts_tree(tmp_path, PEOPLE) / "images"


def test_faces_are_found_in_subfolders_and_grouped_by_the_top_one(images: Path) -> None:
    tree = read_pts_tree(images)
    assert tree.points == 5
    assert [(f.image, f.group) for f in tree.faces(5, 1, "folder")] == [
        ("p003.png", None),
        ("ann/p000.png", "ann"),
        ("bob/p001.png", "bob"),
        ("bob/deep/p002.png", "bob"),
    ]
    assert folder_columns([f.image for f in tree.faces(5, 1, None)]) == {
        "folder": ["", "ann", "bob", "bob"],
        "folder_2": ["", "", "", "deep"],
    }
    assert [f.group for f in tree.faces(5, 1, "folder_2")] == [None, None, None, "deep"]


def test_mixed_numbers_of_points_are_said_with_file_and_line(images: Path) -> None:
    write_pts(images / "bob/p001.pts", FIVE[:4])
    found = read_pts_tree(images).faces(5, 1, None)
    assert [isinstance(face.marks, Marks) for face in found] == [True, True, False, True]
    assert f"{images / 'bob/p001.pts'}, line 2: has 4 points, not 5." in str(found[2].marks)


def test_a_face_of_one_file_is_bad(images: Path) -> None:
    (images / "ann/p000.png").unlink()
    write_images(images, ["bob/alone.png"])
    wrong = [str(f.marks) for f in read_pts_tree(images).faces(5, 1, None) if f.image is None]
    assert len(wrong) == 2
    assert "p000.pts has no image" in wrong[0]
    assert "alone.png has no alone.pts beside it" in wrong[1]


def test_names_in_two_unicode_forms_or_letter_cases_are_a_pair(images: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD"))
    (images / "ann/p000.png").rename(images / f"ann/{composed}.png")
    (images / "ann/p000.pts").rename(images / f"ann/{decomposed}.pts")
    (images / "bob/p001.pts").rename(images / "bob/P001.PTS")
    found = read_pts_tree(images).faces(5, 1, None)
    assert [isinstance(face.marks, Marks) for face in found] == [True] * 4
    # Where each has its own, names that differ in case alone are two faces.
    for name in ("a.png", "A.png"):
        write_images(images, [name])
        write_pts((images / name).with_suffix(".pts"), FIVE)
    found = read_pts_tree(images).faces(5, 1, None)
    assert [isinstance(face.marks, Marks) for face in found] == [True] * 6


def test_hidden_and_mirrored_files_and_links_upwards_are_passed_by(images: Path) -> None:
    write_images(images, [".thumbs/a.png", "ann/._p000.png", "ann/p000_mirror.png"])
    (images / "ann" / "again").symlink_to(images)
    assert len(read_pts_tree(images).faces(5, 1, None)) == 4


def test_a_folder_without_pts_files_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path, ["a/b.png"])
    with pytest.raises(UserError, match=r"and its subfolders hold no \.pts file"):
        read_pts_tree(tmp_path)


def test_the_number_of_points_is_the_first_readable_files(images: Path) -> None:
    (images / "p003.pts").write_text("broken")
    assert read_pts_tree(images).points == 5
    for path in images.rglob("*.pts"):
        path.write_text("broken")
    with pytest.raises(UserError, match=r"none of the 4 \.pts files .*p003\.pts has no line '\{'"):
        _ = read_pts_tree(images).points
