"""tools/trials.py: lines that are read, and trainings that run beside each other."""

from __future__ import annotations

import csv
import tarfile
from pathlib import Path

import pytest

from landmark_kd.errors import UserError
from tests.pipeline_copy import TINY
from tools import trials

PARAMS = {"base": {"seed": 1}, "student": {"epochs": 2}, "kd": {"points": {"share": 0.5}}}


def read(tmp_path: Path, text: str) -> list[trials.Trial]:
    path = tmp_path / "trials.txt"
    path.write_text(text)
    return trials.read_trials(path, PARAMS)


def test_a_line_changes_the_parameters_of_its_own_training(tmp_path: Path) -> None:
    text = "# two\na | tough | |\n\nb | kd | tough=a | student.epochs=3 kd.points.share=0.1\n"
    first, second = read(tmp_path, text)
    assert first.params == PARAMS
    assert second.params == PARAMS | {"student": {"epochs": 3}, "kd": {"points": {"share": 0.1}}}
    assert second.needs == {"tough": "a"}


def test_a_line_may_name_environment_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHERS_SHARE", "0.25")
    (trial,) = read(tmp_path, "a | tough | | kd.points.share=$TEACHERS_SHARE\n")
    assert trial.params["kd"]["points"]["share"] == 0.25


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a | tough |", "line 1: expected `name | tough or tolerant or baseline or kd"),
        ("a | teacher | |", "line 1: expected"),
        ("a | kd | |", "line 1: kd needs the line of its tough teacher"),
        ("a | kd | tough=b |", "line 1: no earlier line is named b"),
        ("a | tough | |\na | kd | tough=a |", "line 2: another line is named a"),
        ("a | tough | | student.epoch=3", "line 1: params.yaml has no student.epoch;"),
        ("a | tough | | students.epochs=3", "line 1: params.yaml has no students.epochs;"),
        ("a | tough | | student.epochs.x=3", "line 1: params.yaml has no student.epochs.x;"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(UserError, match=says.replace("|", r"\|")):
        read(tmp_path, line)


def test_trainings_run_on_the_same_faces_and_one_that_fails_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = " ".join(
        f"{section}.{key}={value}"
        for section, values in TINY.items()
        for key, value in values.items()
        if section in ("base", "synthetic", "crop", "teacher", "student")
    )
    (tmp_path / "lines.txt").write_text(
        "a | baseline | | student.seed=2\n"
        "b | tough | | teacher.epochs=0\n"
        "c | kd | tough=b |\n"
        "d | kd | tough=a | kd.variant=points kd.weights.tolerant=0\n"
    )
    out, work = tmp_path / "out", tmp_path / "work"
    command = ["trials", str(tmp_path / "lines.txt"), "--jobs", "2"]
    command += ["--work", str(work), "--out", str(out), "--common", tiny]
    monkeypatch.setattr("sys.argv", command)
    trials.main()
    with open(out / "results.csv", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    # c never started: the network that it needs was not trained.
    assert {name: row["state"] for name, row in rows.items()} == {
        "a": "done",
        "b": "failed",
        "d": "done",
    }
    assert float(rows["a"]["best_val_nme"]) > 0
    assert rows["d"]["needs"] == "tough=a"
    assert len(list(work.glob("faces-*"))) == 1
    with tarfile.open(out / "logs.tgz") as archive:
        log = archive.extractfile("b/log")
        assert log is not None
        assert "epochs" in log.read().decode()
    with pytest.raises(UserError, match="is there already"):
        trials.main()
