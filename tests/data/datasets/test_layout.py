from __future__ import annotations

import re
from pathlib import Path

import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.cofw import COFW
from landmark_kd.data.datasets.layout import check_folder


def _holds(folder: Path) -> bool:
    if folder.name == "closed":
        raise PermissionError(13, "Permission denied", str(folder))
    return (folder / "faces").is_dir()


def _check(folder: Path) -> None:
    check_folder(COFW, folder, "the folder faces", _holds)


def test_a_folder_that_holds_something_of_the_set_is_taken(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    _check(tmp_path)


def test_folders_within_come_before_those_above(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    for name in ("given/b/faces", "given/a/faces", "given/z"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(UserError, match=re.escape(f"did you mean {tmp_path / 'given/a'}?")):
        _check(tmp_path / "given")
    with pytest.raises(UserError, match=re.escape(f"did you mean {tmp_path}?")):
        _check(tmp_path / "given/z")


def test_a_closed_folder_nearby_is_no_suggestion_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "given/closed").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds none of them: cofw is read from the folder faces;"):
        _check(tmp_path / "given")


def test_a_closed_folder_that_was_given_says_so(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    with pytest.raises(PermissionError, match="closed"):
        _check(tmp_path / "closed")
