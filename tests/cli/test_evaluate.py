"""`landmark-kd evaluate`: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from landmark_kd.imaging.images import ImageFile
from landmark_kd.landmarks.scheme import IBUG_68
from tests.support.command import run, run_apart
from tests.support.constant_model import constant_model
from tests.support.raw_faces import landmarks_in, snapshot, write_300w


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return constant_model(tmp_path / "model.onnx", landmarks_in(80, 60), IBUG_68)


@pytest.mark.seconds
def test_scores_are_printed_and_written_with_their_protocol(model: Path, tmp_path: Path) -> None:
    folder = write_300w(tmp_path / "300w")
    before = snapshot(folder)
    written = tmp_path / "new/scores.json"
    ended = run_apart("evaluate", folder, "--model", model, "--json", written, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[:2] == [f"model: {model}", "licence: none"]
    assert lines[2] == "constant trained on constant, 5 test faces of 300w"
    assert lines[3] == "box: landmarks, margin 0.5; normaliser: outer eye corners; no jitter"
    assert [line.split()[:4] for line in lines[-4:]] == [
        ["common", "3", "of", "554"],
        ["challenging", "2", "of", "135"],
        ["full", "5", "of", "689"],
        ["yaw", "≥", "30°", "5"],
    ]
    found = json.loads(written.read_text())
    assert found["model"] == str(model)
    assert found["subsets"]["full"]["n"] == found["subsets"]["yaw ≥ 30°"]["n"] == 5
    assert found["protocol"]["dataset"] == "300w"
    assert found["protocol"]["box_jitter"] == {"shift": 0, "scale": 0, "seed": 0}
    assert snapshot(folder) == before


def test_every_choice_reaches_the_protocol(model: Path, tmp_path: Path) -> None:
    folder = write_300w(tmp_path / "300w")
    written = tmp_path / "scores.json"
    choices = ["--split", "train", "--box", "landmarks", "--shift", "0.05", "--scale", "0.1"]
    arguments = ["evaluate", folder, "--name", "300w", "--model", model, "--json", written]
    assert run(*arguments, *choices, "--seed", "7") == 0
    first = json.loads(written.read_text())
    assert first["protocol"]["split"] == "train"
    assert first["protocol"]["box_jitter"] == {"shift": 0.05, "scale": 0.1, "seed": 7}
    assert run(*arguments, *choices, "--seed", "7") == 0
    assert json.loads(written.read_text()) == first
    assert run(*arguments, *choices, "--seed", "8") == 0
    assert json.loads(written.read_text())["subsets"] != first["subsets"]


def test_a_missing_model_and_a_missing_folder_end_in_a_sentence(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_300w(tmp_path / "300w")
    assert run("evaluate", folder, "--model", tmp_path / "none.onnx") == 1
    assert "none.onnx is missing" in capsys.readouterr().err
    assert run("evaluate", tmp_path / "nowhere", "--model", model) == 1
    assert "nowhere does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [("--shift", "0.6"), ("--scale", "-0.1"), ("--scale", "nan"), ("--shift", "far"),
     ("--seed", "-1"), ("--seed", "1.5"), ("--split", "validation"), ("--box", "mine")],
)  # fmt: skip
def test_a_choice_that_cannot_be_is_a_usage_error(
    wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", "300w", *wrong) == 2
    assert f"argument {wrong[0]}: " in capsys.readouterr().err


def test_ctrl_c_ends_in_a_line_and_writes_nothing(
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(image: ImageFile) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageFile, "read", interrupted)
    folder = write_300w(tmp_path / "300w")
    written = tmp_path / "scores.json"
    assert run("evaluate", folder, "--model", model, "--json", written) == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: interrupted")
    assert not written.exists()
