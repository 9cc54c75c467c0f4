"""Names of files that DVC cannot hold are refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.core.names import absence, check_names, existing


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (b"Zo\xeb.jpg", "Zo\\xeb.jpg in {folder} has a name that is not UTF-8: DVC and other syst"),
        (b"Zo\xeb/a.jpg", "Zo\\xeb/a.jpg in {folder} has a name that is not UTF-8"),
        (b"a\nb.jpg", "a\\nb.jpg in {folder} has a name that has control characters"),
        (b"a\x7f.jpg", "a\\x7f.jpg in {folder} has a name that has control characters"),
        (b".dvc/a.jpg", ".dvc/a.jpg in {folder} has a name that DVC keeps for itself"),
    ],
)
def test_a_name_that_dvc_cannot_hold_is_refused(tmp_path: Path, name: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence.format(folder=tmp_path))):
        check_names(tmp_path, [tmp_path / "a.jpg", tmp_path / os.fsdecode(name)])


def test_the_cure_is_a_command_and_the_others_are_counted(tmp_path: Path) -> None:
    files = [tmp_path / os.fsdecode(name) for name in (b"\xeb.jpg", b"\xe4.jpg", b"\xf6.jpg")]
    with pytest.raises(UserError, match=rf"and 2 more files in .* --notest {tmp_path}`\)\.$"):
        check_names(tmp_path, files)


def test_a_folder_that_dvc_cannot_keep_is_refused() -> None:
    folder = Path(os.fsdecode(b"/data/Zo\xeb"))
    with pytest.raises(UserError, match=r"the folder /data/Zo\\xeb has a path that is not UTF-8"):
        check_names(folder, [])


@pytest.mark.parametrize("name", ["Zoë ☺.jpg", "a b.jpg", "a\\b.jpg", "x" * 251 + ".jpg", ".a.jpg"])
def test_other_names_are_kept(tmp_path: Path, name: str) -> None:
    check_names(tmp_path, [tmp_path / name])


def test_a_folder_is_found_in_another_letter_case_unless_there_is_one_in_this(
    tmp_path: Path,
) -> None:
    (tmp_path / "Helen/TrainSet").mkdir(parents=True)
    assert existing(tmp_path, "helen/trainset") == tmp_path / "Helen/TrainSet"
    assert existing(tmp_path, "helen/testset") == tmp_path / "Helen/testset"
    (tmp_path / "helen").mkdir()
    assert existing(tmp_path, "helen/trainset") == tmp_path / "helen/trainset"
    assert existing(tmp_path / "gone", "a/b") == tmp_path / "gone/a/b"


def test_why_a_file_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.JPG").write_bytes(b"")
    (tmp_path / "Zoe\u0308").write_bytes(b"")
    (tmp_path / "link").symlink_to("/gone")
    assert absence(tmp_path / "a.jpg").endswith("there is a.JPG: only upper and lower case differ")
    assert "in another Unicode form" in absence(tmp_path / "Zo\u00eb")
    assert absence(tmp_path / "link") == "is a link to /gone, which is not there"
    assert absence(tmp_path / "b.jpg", "is missing") == "is missing"
    assert (
        absence(tmp_path / ("a" * 5000)) == absence(tmp_path / "gone/a\0.jpg") == "does not exist"
    )
