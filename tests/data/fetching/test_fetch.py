from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Literal

import pytest

from landmark_kd.config.params import DataParams, SyntheticParams
from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces
from landmark_kd.data.datasets.registry import dataset_at
from landmark_kd.data.fetching import fetch as fetch_module
from landmark_kd.data.fetching.fetch import fetch
from tests.support.raw_cofw_wflw import write_cofw, write_wflw
from tests.support.raw_custom import table_lines, write_pts_tree, write_table
from tests.support.raw_faces import STEMS_300W, snapshot, write_300w

pytestmark = pytest.mark.seconds

DataName = Literal["cofw", "wflw", "pts"]

FACES = SyntheticParams(train=4, test=2, resolution=64)


def fetch_alone(data: DataParams, out: Path, seed: int = 1) -> None:
    fetch(data, FACES, seed, unlabelled=None, unlabelled_box="detector", out=out)


def _fetch_300w(source: Path | str, out: Path) -> None:
    data = DataParams(name="300w", path=str(source), extra=[], on_bad="error")
    fetch_alone(data, out=out)


def test_images_and_landmarks_of_300w_are_copied_and_nothing_else(tmp_path: Path) -> None:
    source = write_300w(tmp_path / "mine", without=("ibug",))
    faces = snapshot(source)
    for other in ("afw/11_1_mirror.png", "afw/box.mat", "300w.zip", "more/x.png"):
        (source / other).parent.mkdir(exist_ok=True)
        (source / other).write_bytes(b"not asked for")
    _fetch_300w(source, tmp_path / "raw")
    assert snapshot(tmp_path / "raw" / "300w") == faces
    assert len(faces) == 2 * sum(len(s) for part, s in STEMS_300W.items() if part != "ibug")


@pytest.mark.parametrize("name", ["cofw", "wflw", "pts"])
def test_of_each_data_set_its_own_files_are_copied_and_they_are_all_that_prepare_needs(
    tmp_path: Path, name: DataName
) -> None:
    source = tmp_path / "mine"
    if name == "pts":
        write_table(source, table_lines(["a", "b", "c", "a"]))
    else:
        {"cofw": write_cofw, "wflw": write_wflw}[name](source)
    faces = snapshot(source)
    (source / "notes.txt").write_bytes(b"not asked for")
    data = DataParams(name=name, path=str(source), extra=[], on_bad="error")
    fetch_alone(data, out=tmp_path / "raw")
    assert snapshot(tmp_path / "raw" / name) == faces
    copy = dataset_at(name, tmp_path / "raw" / name)
    read = list(copy.read(tmp_path / "raw" / name, BadFaces("error")))
    assert {record.split for record in read} == {"train", "test"}


def test_without_a_path_the_data_set_is_downloaded_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(name: str, out: Path) -> None:
        write_cofw(out)

    monkeypatch.setattr(fetch_module, "download_dataset", download)
    data = DataParams(name="cofw", path=None, extra=[], on_bad="error")
    fetch_alone(data, out=tmp_path / "raw")
    before = snapshot(tmp_path / "raw")
    assert set(before) == {"cofw/COFW_test_color.mat", "cofw/COFW_train_color.mat"}

    # What was downloaded is not the set: nothing of before is lost.
    monkeypatch.setattr(fetch_module, "download_dataset", lambda name, out: write_300w(out))
    with pytest.raises(UserError, match="COFW_train_color"):
        fetch_alone(data, out=tmp_path / "raw")
    assert snapshot(tmp_path / "raw") == before


@pytest.mark.parametrize("kind", ["300w", "pts", "unlabelled"])
def test_a_name_that_dvc_cannot_hold_is_refused_before_anything_is_copied(
    tmp_path: Path, kind: Literal["300w", "pts", "unlabelled"]
) -> None:
    source, out = tmp_path / "mine", tmp_path / "raw"
    folder = write_pts_tree(source, ["a", "b"]) / "images" if kind == "pts" else source
    if kind == "300w":
        folder = write_300w(source) / "afw"
    folder.mkdir(exist_ok=True)
    for suffix in (".jpg", ".pts"):
        (folder / os.fsdecode(b"Zo\xeb" + suffix.encode())).write_bytes(b"x")
    data = DataParams(name="synthetic", path=None, extra=[], on_bad="error")
    if kind != "unlabelled":
        data = DataParams(name=kind, path=str(source), extra=[], on_bad="error")
    with pytest.raises(UserError, match=r"Zo\\xeb\.jpg .* a name that is not UTF-8: DVC and other"):
        fetch(
            data,
            FACES,
            1,
            unlabelled=str(source) if kind == "unlabelled" else None,
            unlabelled_box="detector",
            out=out,
        )
    assert not out.exists()


def test_copies_are_files_of_their_own_that_can_be_replaced(tmp_path: Path) -> None:
    source = write_300w(tmp_path / "mine")
    original = source / "afw" / "11_1.pts"
    original.chmod(0o444)
    _fetch_300w(source, tmp_path / "raw")
    copy = tmp_path / "raw" / "300w" / "afw" / "11_1.pts"
    assert not copy.is_symlink()
    assert copy.stat().st_ino != original.stat().st_ino
    assert copy.stat().st_mode & 0o200


def test_only_the_data_set_fetched_last_is_left(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    (out / "synthetic").mkdir(parents=True)
    _fetch_300w(write_300w(tmp_path / "mine"), out)
    assert [folder.name for folder in out.iterdir()] == ["300w"]


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_300w(tmp_path / "mine")
    _fetch_300w("~/mine", tmp_path / "raw")
    assert (tmp_path / "raw" / "300w" / "ibug").is_dir()


@pytest.mark.seconds
def test_synthetic_faces_are_made_the_same_from_the_same_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    data = DataParams(name="synthetic", path=None, extra=[], on_bad="error")
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        fetch_alone(data, tmp_path / out, seed)
    made = snapshot(tmp_path / "a")
    assert sum(name.endswith(".pts") for name in made) == 6
    assert made == snapshot(tmp_path / "b")
    assert made != snapshot(tmp_path / "c")


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_folder_that_cannot_be_read_leaves_what_was_there(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "raw"
    _fetch_300w(write_300w(tmp_path / "mine"), out)
    before = snapshot(out)
    source = tmp_path / kind
    if kind == "empty":
        source.mkdir()
    elif kind == "file":
        source.write_bytes(b"")
    with pytest.raises(UserError, match=str(source)):
        _fetch_300w(source, out)
    assert snapshot(out) == before


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_a_copy_that_breaks_off_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    source, out = write_300w(tmp_path / "mine"), tmp_path / "raw"
    _fetch_300w(source, out)
    before = snapshot(tmp_path)
    copied: list[Path] = []

    def copy_three(file: Path, copy: Path) -> None:
        if len(copied) == 3:
            raise failure
        copied.append(file)
        copy.write_bytes(b"new")

    monkeypatch.setattr(shutil, "copyfile", copy_three)
    with pytest.raises(type(failure)):
        _fetch_300w(source, out)
    assert len(copied) == 3
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("inside", ["", "300w"])
def test_the_users_own_data_set_is_not_deleted_by_fetching_it(tmp_path: Path, inside: str) -> None:
    out = tmp_path / "raw"
    write_300w(out / inside)
    before = snapshot(out)
    with pytest.raises(UserError, match="is deleted and written anew by each fetch"):
        _fetch_300w(out / inside, out)
    assert snapshot(out) == before


def _fetch_unlabelled(
    source: Path | str, out: Path, box: Literal["detector", "landmarks"] = "detector"
) -> None:
    data = DataParams(name="synthetic", path=None, extra=[], on_bad="error")
    fetch(data, FACES, 1, unlabelled=str(source), unlabelled_box=box, out=out)


@pytest.mark.seconds
def test_unlabelled_images_are_copied_from_all_folders_and_nothing_else(tmp_path: Path) -> None:
    source = write_300w(tmp_path / "mine")
    images = {name: b for name, b in snapshot(source).items() if not name.endswith(".pts")}
    for other in ("notes.txt", ".hidden/x.png", "afw/.x.png"):
        (source / other).parent.mkdir(exist_ok=True)
        (source / other).write_bytes(b"not asked for")
    (source / "PHOTO.JPG").write_bytes(b"a")
    _fetch_unlabelled(source, tmp_path / "raw")
    assert snapshot(tmp_path / "raw" / "unlabelled") == images | {"PHOTO.JPG": b"a"}
    assert {folder.name for folder in (tmp_path / "raw").iterdir()} == {"synthetic", "unlabelled"}


@pytest.mark.seconds
def test_of_an_unlabelled_data_set_whose_landmarks_tell_the_boxes_its_own_files_are_copied(
    tmp_path: Path,
) -> None:
    source = write_300w(tmp_path / "mine")
    faces = snapshot(source)
    (source / "afw/notes.txt").write_bytes(b"not asked for")
    _fetch_unlabelled(source, tmp_path / "raw", "landmarks")
    assert snapshot(tmp_path / "raw" / "unlabelled") == faces


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ("detector", "missing"),
        ("detector", "empty"),
        ("detector", "file"),
        ("landmarks", "missing"),
        ("landmarks", "empty"),
        ("detector", "inside"),
    ],
)
def test_an_unlabelled_folder_that_cannot_be_read_leaves_what_was_there(
    tmp_path: Path, box: Literal["detector", "landmarks"], kind: str
) -> None:
    out = tmp_path / "raw"
    _fetch_300w(write_300w(tmp_path / "mine"), out)
    before = snapshot(out)
    source = out / "300w" if kind == "inside" else tmp_path / kind
    if kind == "empty":
        source.mkdir()
    elif kind == "file":
        source.write_bytes(b"")
    with pytest.raises(UserError, match=str(source)):
        _fetch_unlabelled(source, out, box)
    assert snapshot(out) == before
