"""The console command as a whole: its commands, help, version, and what it needs installed."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

import landmark_kd
from landmark_kd.cli import main as command
from tests.conftest import PROJECT
from tests.support.clips import write_clip
from tests.support.command import run
from tests.support.exported_model import exported_model
from tests.support.raw_faces import write_300w

# Runs the command as where none but the packages of prediction are installed.
WITHOUT_TRAIN_PACKAGES = """
import importlib.abc, sys
MISSING = {
    "dvc", "dvclive", "filelock", "h5py", "matplotlib", "onnx", "pandas", "pooch", "pydantic",
    "yaml", "requests", "safetensors", "sklearn", "scipy", "timm", "torch", "torchvision",
}
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
from landmark_kd.cli.main import main
main(sys.argv[1:])
"""


def run_without_train_packages(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TRAIN_PACKAGES, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src")},
        check=False,
    )


@pytest.mark.seconds
def test_prediction_needs_no_package_of_the_extra_train(tmp_path: Path) -> None:
    model = exported_model(tmp_path)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((90, 90, 3), np.uint8))
    ended = run_without_train_packages(
        *("predict", tmp_path / "a.png", write_clip(tmp_path / "b.avi", 1)),
        *("--out", tmp_path / "out", "--model", model),
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out/a.json").is_file()
    assert (tmp_path / "out/b.csv").is_file()


@pytest.mark.parametrize("command", ["data check", "data init", "evaluate", "compare"])
def test_a_command_that_needs_more_packages_says_what_to_install(
    command: str, tmp_path: Path
) -> None:
    folder = write_300w(tmp_path / "300w")
    ended = run_without_train_packages(*command.split(), folder)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: `landmark-kd {command}` needs the package ")
    assert "pip install 'landmark-kd[train]'" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("predict", "landmark-kd predict photo.jpg --out found"),
        ("evaluate", "landmark-kd evaluate /data/300w --box detector"),
        ("compare", "landmark-kd compare main no-tolerant"),
        ("data check", "landmark-kd data check /data/WFLW --sheet /tmp/wflw.png"),
        ("data init", "landmark-kd data init /data/mine"),
    ],
)
def test_help_of_each_command_shows_examples_and_the_status(
    command: str, example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*command.split(), "--help") == 0
    shown = capsys.readouterr().out
    assert example in shown
    assert "Status: 0 " in shown


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"landmark-kd {landmark_kd.__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("data",), ("data", "mend"), ("evaluate",)])
def test_what_is_no_command_is_a_usage_error(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert "usage: landmark-kd" in capsys.readouterr().err


def test_a_warning_is_one_sentence_without_the_line_of_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    parser.set_defaults(run=lambda arguments: warnings.warn("mind the gap", stacklevel=1))
    monkeypatch.setattr(command, "_parser", lambda: parser)
    command._run([])
    assert capsys.readouterr().err == "warning: mind the gap\n"
