"""Where a page comes from: revision, versions, machine, durations."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import landmark_kd
from landmark_kd.core.files import write_json
from landmark_kd.html_report.provenance import NAMED, durations, provenance, revision

pytestmark = pytest.mark.seconds


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_changed_files_are_named_and_many_are_counted(tmp_path: Path) -> None:
    assert revision(tmp_path) == {"revision": None, "changed": []}
    git(tmp_path, "init", "--quiet")
    for number in range(NAMED + 3):
        (tmp_path / f"{number:02d}.txt").write_text("a")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "-m", "all")
    found = revision(tmp_path)
    assert len(found["revision"]) == 40
    assert found["changed"] == []
    for path in tmp_path.glob("*.txt"):
        path.write_text("b")
    changed = revision(tmp_path)["changed"]
    assert changed[0] == "00.txt"
    assert changed[-1] == "and 3 more"


def test_durations_are_in_order_of_time_and_damaged_notes_are_left_out(tmp_path: Path) -> None:
    write_json(tmp_path / "prepare.json", {"seconds": 2.5, "ended": "2026-11-27T06:05:00+00:00"})
    write_json(tmp_path / "fetch.json", {"seconds": 1, "ended": "2026-11-27T06:00:00+00:00"})
    (tmp_path / "teacher.json").write_text("{")
    write_json(tmp_path / "export.json", ["none"])
    found = durations(tmp_path)
    assert [entry["stage"] for entry in found] == ["fetch", "prepare"]
    assert durations(tmp_path / "none") == []


def test_a_folder_without_anything_has_versions_and_a_machine_all_the_same(tmp_path: Path) -> None:
    found = provenance(tmp_path)
    assert found["versions"]["landmark-kd"] == landmark_kd.__version__
    assert found["machine"]["cores"].isdecimal()
    assert found["durations"] == []
    assert found["times"] == {}
