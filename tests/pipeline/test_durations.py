"""Each stage notes how long it took, and no result depends on the note."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from landmark_kd.config import paths
from landmark_kd.core.errors import UserError
from stages import run_stage


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/somewhere/stages/teacher.py", "tough"])
    return tmp_path


def test_a_stage_that_ends_notes_its_seconds_under_its_name(project: Path) -> None:
    run_stage(lambda: None)
    (note,) = (project / paths.DURATIONS).iterdir()
    assert note.name == "teacher_tough.json"
    content = json.loads(note.read_text())
    assert content["seconds"] < 60
    assert content["ended"].endswith("+00:00")


def test_a_stage_that_fails_leaves_the_note_of_before(project: Path) -> None:
    run_stage(lambda: None)
    note = project / paths.DURATIONS / "teacher_tough.json"
    note.write_text("before")

    def fail() -> None:
        raise UserError("wrong.")

    with pytest.raises(SystemExit):
        run_stage(fail)
    assert note.read_text() == "before"


def test_a_note_that_cannot_be_written_fails_no_stage(project: Path) -> None:
    (project / "reports").write_text("a file where the folder would be")
    run_stage(lambda: None)
    assert (project / "reports").is_file()
