"""300W-LP and AFLW2000-3D: which landmarks are read, which faces stay together, what is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.data.datasets.w300_lp import W300_LP
from tests.support.raw_300w_lp import (
    STEMS_300W_LP,
    STEMS_AFLW2000,
    landmarks_of,
    write_300w_lp,
    write_aflw2000,
    write_image_and_mat,
)


def _read(folder: Path, bad: BadFaces | None = None) -> list[FaceRecord]:
    return list(W300_LP.read(folder, bad or BadFaces("error")))


@pytest.mark.parametrize(
    ("train", "test"),
    [(".", "AFLW2000"), ("300W_LP", "AFLW2000"), ("300W-LP", "AFLW2000-3D"), (".", None)],
)
def test_the_parts_are_read_in_order_wherever_the_archives_were_unpacked(
    tmp_path: Path, train: str, test: str | None
) -> None:
    folder = write_300w_lp(tmp_path / "lp", train=train, test=test)
    expected = [(part, "train", stem) for part, stems in STEMS_300W_LP.items() for stem in stems]
    expected += [("AFLW2000", "test", stem) for stem in STEMS_AFLW2000 if test]
    records = _read(folder)
    assert [(r.part.folder, r.split, r.name.split("/")[1]) for r in records] == expected
    assert recognised(folder) == ("300w_lp", W300_LP)


def test_landmarks_are_those_of_the_face_model_in_0_based_pixels(tmp_path: Path) -> None:
    for record in _read(write_300w_lp(tmp_path)):
        np.testing.assert_allclose(record.landmarks, landmarks_of(record.name.split("/")[1]))
        assert record.image.read().shape == (90, 90, 3)


def test_poses_and_faces_of_one_photo_share_it(tmp_path: Path) -> None:
    photos = [record.photo for record in _read(write_300w_lp(tmp_path))]
    assert photos == [
        *["AFW/AFW_11"] * 4,
        "AFW/AFW_12",
        *["HELEN/HELEN_20"] * 2,
        "IBUG/IBUG_image_003",
        "IBUG/IBUG_image_004",
        *["LFPW/LFPW_image_test_0001"] * 2,
        "LFPW/LFPW_image_train_0001",
        *[f"AFLW2000/{stem}" for stem in STEMS_AFLW2000],
    ]


def test_landmarks_beside_an_image_of_300w_lp_are_read_too(tmp_path: Path) -> None:
    write_300w_lp(tmp_path)
    shutil.rmtree(tmp_path / "landmarks")
    for part, stems in STEMS_300W_LP.items():
        for stem in stems:
            points = np.column_stack([landmarks_of(stem) + 1, np.zeros(68)]).T
            write_image_and_mat(tmp_path / part, stem, pt3d_68=points)
    for record in _read(tmp_path):
        np.testing.assert_allclose(record.landmarks, landmarks_of(record.name.split("/")[1]))


def test_aflw2000_alone_is_a_test_set(tmp_path: Path) -> None:
    name, dataset = recognised(write_aflw2000(tmp_path))
    records = _read(tmp_path)
    assert name == "300w_lp"
    assert {record.split for record in records} == {"test"}
    assert {n: len(rows) for n, rows in dataset.subsets(records).items()} == {"aflw2000": 2}


def test_a_copy_of_its_files_is_the_same_set(tmp_path: Path) -> None:
    folder = write_300w_lp(tmp_path / "a", train="300W_LP")
    for file in W300_LP.files(folder):
        copy = tmp_path / "b" / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    assert not list((tmp_path / "b").rglob("*_Flip"))
    for record, same in zip(_read(folder), _read(tmp_path / "b"), strict=True):
        np.testing.assert_array_equal(record.landmarks, same.landmarks)


def test_the_published_sizes_are_those_of_the_paper() -> None:
    assert W300_LP.published_counts("train") == {"train": 61_225}
    assert W300_LP.published_counts("test") == {"aflw2000": 2000}


def test_a_folder_of_other_images_and_matlab_files_is_not_the_set(tmp_path: Path) -> None:
    write_image_and_mat(tmp_path, "a", depth=np.zeros((4, 4)))
    with pytest.raises(UserError, match="300w_lp is read from the folders AFW, HELEN, IBUG, LFPW"):
        W300_LP.check(tmp_path)


def _no_file(file: Path) -> None:
    file.unlink()


def _cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:500])


def _text(file: Path) -> None:
    file.write_text("pts_3d = [1 2; 3 4]")


def _hdf5(file: Path) -> None:
    file.write_bytes(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(124) + b"\x00\x02IM")


def _few(file: Path) -> None:
    savemat(file, {"pts_3d": np.zeros((21, 2))})


def _nan(file: Path) -> None:
    savemat(file, {"pts_3d": np.full((68, 2), np.nan)})


def _cells(file: Path) -> None:
    savemat(file, {"pts_3d": np.array([["a"] * 2] * 68, dtype=object)})


def _endless(file: Path) -> None:
    with file.open("r+b") as content:
        content.truncate(2**30)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_no_file, "AFW_11_1_1.jpg has no landmarks: pts_3d in "),
        (_cut_off, "AFW_11_1_1_pts.mat is cut off or damaged"),
        (_text, "AFW_11_1_1_pts.mat is not a file of Matlab 5"),
        (_hdf5, "AFW_11_1_1_pts.mat is not a file of Matlab 5"),
        (_few, "AFW_11_1_1_pts.mat: pts_3d is (21, 2), but 68 points were expected"),
        (_nan, "AFW_11_1_1_pts.mat: pts_3d holds something that is not a finite number"),
        (_cells, "AFW_11_1_1.jpg has no landmarks: pts_3d in "),
        (_endless, "AFW_11_1_1_pts.mat is larger than 1048576 bytes, so it is not of 300w_lp"),
    ],
)
def test_a_damaged_file_is_named_and_the_other_faces_are_read(
    tmp_path: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    write_300w_lp(tmp_path)
    damage(tmp_path / "landmarks/AFW/AFW_11_1_1_pts.mat")
    with pytest.raises(UserError, match=re.escape(sentence)):
        _read(tmp_path)
    bad = BadFaces("skip")
    assert len(_read(tmp_path, bad)) == 13
    assert len(bad.left_out) == 1
