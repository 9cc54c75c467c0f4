"""Runs single stages of a tiny pipeline in processes of their own, whose disk or memory ends.

The processes are forked from one that has imported all stages, so that a run takes a second.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Timer

import yaml

from landmark_kd.training.resume.scratch import VARIABLE
from tests.conftest import PROJECT
from tests.support.pipeline_copy import TINY

# A run takes a second or five.
SECONDS = 60
NETWORK = {"backbone": "test_efficientnet", "epochs": 2, "batch_size": 8, "warmup_epochs": 0}
# Each command of the pipeline, in order, and what it writes.
STAGES = {
    "fetch": ["data/raw"],
    "prepare": ["data/faces"],
    "soft_landmarks": ["data/soft_landmarks", "reports/asm", "reports/soft_landmarks.json"],
    "teacher tough": ["models/tough", "reports/curves/tough"],
    "teacher tolerant": [
        "models/tolerant",
        "reports/curves/tolerant",
    ],
    "teacher_predictions": ["data/teacher_predictions"],
    "student_baseline": [
        "models/baseline",
        "reports/curves/baseline",
    ],
    "student_kd": ["models/kd", "reports/curves/kd"],
    "evaluate": [
        "reports/metrics.json",
        "reports/cost.json",
        "reports/training.json",
        "reports/evaluation",
        "reports/kd_loss",
    ],
    "export": [
        "models/landmarks.onnx",
        "models/landmarks_fp16.onnx",
        "models/landmarks_int8.onnx",
        "reports/export.json",
    ],
    "report": ["reports/index.html"],
}


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status (negative: the signal that killed it) and what it printed."""

    status: int
    out: str
    err: str


class StageRuns:
    """A folder with the params.yaml of a tiny pipeline, in which stages run as they do for DVC."""

    def __init__(self, folder: Path, **crop: float) -> None:
        """Write params.yaml to `folder`; `crop` replaces values of that section."""
        self.folder = folder
        content = yaml.safe_load((PROJECT / "params.yaml").read_text())
        for section, values in TINY.items():
            content[section].update(values)
        content["teacher"].update(NETWORK)
        content["student"].update(NETWORK)
        content["crop"].update(crop)
        (folder / "params.yaml").write_text(yaml.safe_dump(content))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.support.stage_runs", *map(_module, STAGES)])

    def run(self, command: str, limit: Callable[[], None] | None = None) -> Ended:
        """Run a stage, such as "teacher tough", after `limit` was called in its process."""
        printed = {name: self._context.Pipe(duplex=False) for name in ("out", "err")}
        process = self._context.Process(
            target=_run, args=(self.folder, command, limit, *(p[1] for p in printed.values()))
        )
        process.start()
        # Without memory Python may wait for a thread that was never able to begin.
        timer = Timer(SECONDS, process.kill)
        timer.start()
        for _, end in printed.values():
            end.close()
        texts = {name: _read(begin) for name, (begin, _) in printed.items()}
        process.join()
        timer.cancel()
        assert process.exitcode is not None
        return Ended(process.exitcode, **texts)

    def files(self) -> dict[str, bytes]:
        """The content of all files by name, hidden ones too."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}


def _module(command: str) -> str:
    return f"stages.{command.split(maxsplit=1)[0]}"


def _run(
    folder: Path, command: str, limit: Callable[[], None] | None, out: Connection, err: Connection
) -> None:
    os.chdir(folder)
    os.environ[VARIABLE] = str(folder / "scratch")
    for number, end in ((1, out), (2, err)):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    stage = importlib.import_module(_module(command))
    sys.argv = [stage.__file__ or "", *command.split()[1:]]
    if limit:
        limit()
    stage.run_stage(stage.main)


def _read(connection: Connection) -> str:
    with os.fdopen(os.dup(connection.fileno()), errors="replace") as file:
        return file.read()
