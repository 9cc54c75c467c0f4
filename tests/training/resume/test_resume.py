"""A training that is killed goes on where it was and ends with the same bits."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from landmark_kd.faces.prepared import Faces
from landmark_kd.training.resume.checkpoints import Checkpoint, Checkpoints
from landmark_kd.training.resume.scratch import VARIABLE
from tests.conftest import PROJECT
from tests.support.limits import files_end_after
from tests.support.prepared_faces import prepared_faces
from tests.support.tiny_training import (
    curve,
    curve_files,
    task_with,
    tiny_params,
    tiny_train,
    train_in,
    weights,
)

pytestmark = pytest.mark.seconds

KILLS = 10
# A checkpoint after nearly every step, so that many kills come in the middle of a write.
OFTEN = {"checkpoint_minutes": 0.0001}
LONG: dict[str, dict[str, Any]] = {"base": OFTEN, "student": {"epochs": 12}}


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return prepared_faces(tmp_path_factory.mktemp("faces"), 40, validation=8)


@pytest.fixture
def faces_folder(tmp_path: Path) -> Path:
    prepared_faces(tmp_path / "faces", 40, validation=8)
    return tmp_path


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Start a training in a process that is forked from one that has loaded torch already."""
    search = [str(PROJECT), str(PROJECT / "src")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(search))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.tiny_training"])
    started = []

    def begin(folder: Path, changes: dict[str, Any], scratch: Path) -> Any:
        process = context.Process(target=logged_training, args=(folder, changes, scratch))
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.join()


def logged_training(folder: Path, changes: dict[str, Any], scratch: Path) -> None:
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout = os.fdopen(1, "w")
    os.environ[VARIABLE] = str(scratch)
    train_in(folder, changes)


def checkpoints(scratch: Path) -> set[str]:
    """Names of all checkpoints that are whole."""
    return {path.name for path in scratch.glob("*/*.json")}


def kill_at_random(process: Any, scratch: Path, rng: random.Random, *, after_a_step: bool) -> None:
    """Kill a training, at once or only when it has come further than it was."""
    before, deadline = checkpoints(scratch), time.monotonic() + 240
    while after_a_step and process.is_alive() and checkpoints(scratch) <= before:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.join(rng.uniform(0, 0.15 if after_a_step else 1))
    process.kill()
    process.join()


def test_ten_kills_at_random_moments_leave_weights_and_curves_as_they_would_have_been(
    start: Callable[..., Any], faces_folder: Path, tmp_path: Path
) -> None:
    rng = random.Random(0)
    broken_off, whole = faces_folder, tmp_path / "whole"
    whole.mkdir()
    (whole / "faces").symlink_to(broken_off / "faces")
    for kill in range(KILLS):
        process = start(broken_off, LONG, tmp_path / "scratch")
        kill_at_random(process, tmp_path / "scratch", rng, after_a_step=kill % 2 == 0)
    last, uninterrupted = (
        start(broken_off, LONG, tmp_path / "scratch"),
        start(whole, LONG, tmp_path / "other scratch"),
    )
    for process in (last, uninterrupted):
        process.join()
        assert process.exitcode == 0
    assert (broken_off / "log").read_text().count("baseline goes on from epoch") >= KILLS // 2
    assert "goes on" not in (whole / "log").read_text()
    assert weights(broken_off) == weights(whole)
    assert curve_files(broken_off) == curve_files(whole)
    assert len(curve(broken_off, "val/nme")) == LONG["student"]["epochs"]
    assert list((tmp_path / "scratch").iterdir()) == []


class Noisy:
    """A task whose loss draws from every random generator, and which stops at a given step."""

    def __init__(self, faces: Faces, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.task = task_with(self.loss, faces)

    def loss(self, pred: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        if self.stop_at == 0:
            raise KeyboardInterrupt
        self.stop_at = None if self.stop_at is None else self.stop_at - 1
        noise = random.random() + np.random.random() + torch.rand(())  # noqa: NPY002
        loss = ((pred - targets[:, 0]).abs() * (1 + noise)).mean()
        return loss, {"half": loss / 2}


class Runs:
    """Trainings of three epochs, four steps each, in a folder of one test."""

    def __init__(self, faces: Faces, whole: Path, folder: Path) -> None:
        self.faces, self.whole, self.folder = faces, whole, folder

    def break_off(self, *, step: int, **base: Any) -> None:
        """Train until a step, counted from 0 over all epochs, and stop there."""
        with pytest.raises(KeyboardInterrupt):
            noisy_training(self.faces, self.folder, stop_at=step, base=base)

    def finish(self, **base: Any) -> None:
        noisy_training(self.faces, self.folder, base=base)

    def assert_as_if_never_stopped(self) -> None:
        assert weights(self.folder) == weights(self.whole)
        assert curve_files(self.folder) == curve_files(self.whole)


def noisy_training(
    faces: Faces,
    folder: Path,
    *,
    stop_at: int | None = None,
    base: dict[str, Any] | None = None,
    **student: Any,
) -> None:
    settings = tiny_params(OFTEN | (base or {}), epochs=3, **student)
    tiny_train(faces, folder, settings=settings, task=Noisy(faces, stop_at).task)


@pytest.fixture(scope="module")
def whole(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder / "scratch"))
        noisy_training(faces, folder)
    return folder


@pytest.fixture
def runs(faces: Faces, whole: Path, tmp_path: Path) -> Runs:
    return Runs(faces, whole, tmp_path)


@pytest.mark.parametrize("step", [1, 4, 11])
def test_what_the_loss_draws_by_chance_goes_on_too(
    runs: Runs, step: int, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.break_off(step=step)
    assert not (runs.folder / "model").exists()
    runs.finish()
    assert f"goes on from epoch {1 + step // 4}/3, step {1 + step % 4} " in capsys.readouterr().out
    runs.assert_as_if_never_stopped()


def test_without_minutes_it_goes_on_from_the_last_whole_epoch_with_any_number_of_workers(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.break_off(step=6, checkpoint_minutes=0)
    runs.finish(checkpoint_minutes=0, workers=1)
    assert "goes on from epoch 2/3, step 1 " in capsys.readouterr().out
    runs.assert_as_if_never_stopped()


def test_a_training_that_could_not_write_its_result_need_not_train_again(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_disk(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("landmark_kd.training.train.save_network", full_disk)
        with pytest.raises(OSError, match="No space"):
            runs.finish()
    runs.finish()
    assert "goes on from the end of the last epoch" in capsys.readouterr().out
    runs.assert_as_if_never_stopped()


@pytest.mark.parametrize("loss", ["l1", "rle"])
def test_what_a_loss_learns_beside_the_network_is_taken_up_as_well(
    loss: str, start: Callable[..., Any], faces_folder: Path, tmp_path: Path
) -> None:
    changes = {"student": {"loss": loss, "epochs": 3}}
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "faces").symlink_to(faces_folder / "faces")
    uninterrupted = start(whole, changes, tmp_path / "other scratch")
    kill_at_random(
        start(faces_folder, changes, tmp_path / "scratch"),
        tmp_path / "scratch",
        random.Random(1),
        after_a_step=True,
    )
    last = start(faces_folder, changes, tmp_path / "scratch")
    for process in (last, uninterrupted):
        process.join()
        assert process.exitcode == 0
    assert weights(faces_folder) == weights(whole)
    assert curve_files(faces_folder) == curve_files(whole)


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_checkpoint_is_said_and_left_out(
    runs: Runs, scratch: Path, damaged: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one torn file the checkpoint before it is taken, with both it starts anew."""
    runs.break_off(step=6)
    for path in sorted(scratch.glob("*/*.safetensors"))[-damaged:]:
        path.write_bytes(path.read_bytes()[:-1])
    runs.finish()
    said = capsys.readouterr()
    assert said.err.count("is left out, it is damaged") == damaged
    assert ("goes on from epoch 2/3, step 2 " in said.out) == (damaged == 1)
    runs.assert_as_if_never_stopped()


def test_a_changed_parameter_or_image_never_takes_up_an_old_checkpoint(
    runs: Runs, tmp_path: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.break_off(step=3)
    noisy_training(runs.faces, tmp_path, learning_rate=0.001)
    other = prepared_faces(tmp_path / "faces", 40, validation=8, seed=1)
    noisy_training(other, tmp_path)
    assert "goes on" not in capsys.readouterr().out
    # Those two are done and gone; the one that was broken off is still there.
    assert len(list(scratch.iterdir())) == 1


def test_a_checkpoint_that_cannot_be_written_costs_no_training_and_not_the_one_before(
    runs: Runs, scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_little_space(self: Checkpoints, checkpoint: Checkpoint) -> None:
        with files_end_after(1000):
            save(self, checkpoint)

    save = Checkpoints.save
    runs.break_off(step=6)
    before = checkpoints(scratch)
    monkeypatch.setattr(Checkpoints, "save", with_little_space)
    runs.break_off(step=3)
    assert checkpoints(scratch) == before
    assert not list(scratch.glob("*/.*"))
    runs.finish()
    said = capsys.readouterr().err
    assert "no checkpoint of epoch 2 in" in said
    assert "(File too large); the training goes on, but if it is stopped now it goes back" in said
    runs.assert_as_if_never_stopped()


def clock(*steps: float) -> SimpleNamespace:
    """A clock that goes on by these steps, over and over."""
    now = 1e6

    def monotonic() -> float:
        nonlocal now
        now += next(endless)
        return now

    endless = cycle(steps)
    return SimpleNamespace(monotonic=monotonic)


@pytest.mark.parametrize(
    "steps", [(0.0,), (-100.0,), (1e6,), (1e6, -1e6, 0.0), (-1e6, 1e6 + 1e-9, 1e-9)]
)
def test_a_clock_that_stands_or_jumps_to_and_fro_between_checkpoints_changes_no_bit(
    runs: Runs,
    steps: tuple[float, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As after the sleep or the move of a virtual machine; checkpoints go by this clock."""
    monkeypatch.setattr("landmark_kd.training.trainer.time", clock(*steps))
    runs.break_off(step=6)
    runs.finish()
    said = capsys.readouterr().out
    assert "goes on from epoch 2/3, step " in said
    rates = re.findall(r"(\S+) images/s  (\S+) min left", said)
    assert len(rates) == 3
    assert all(float(rate) >= 0 and float(left) >= 0 for rate, left in rates)
    runs.assert_as_if_never_stopped()


def test_dates_of_files_that_lie_in_the_future_or_in_the_wrong_order_mean_nothing(
    runs: Runs, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.break_off(step=6)
    tomorrow = time.time() + 86_400
    for age, path in enumerate(sorted(scratch.glob("*/0*"))):
        os.utime(path, (tomorrow - 3600 * age, tomorrow - 3600 * age))
    assert isinstance(runs.faces.images, np.memmap)
    os.utime(str(runs.faces.images.filename), (tomorrow, tomorrow))
    runs.finish()
    assert "goes on from epoch 2/3, step 3 " in capsys.readouterr().out
    runs.assert_as_if_never_stopped()


def test_a_clock_that_jumps_changes_neither_bits_nor_rates(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jumps = iter(range(10**9, 0, -(10**5)))
    monkeypatch.setattr(time, "time", lambda: float(next(jumps)))
    runs.break_off(step=6)
    runs.finish()
    rates = re.findall(r"(\S+) images/s  (\S+) min left", capsys.readouterr().out)
    assert len(rates) == 3
    assert all(float(rate) > 0 and 0 <= float(left) < 60 for rate, left in rates)
    runs.assert_as_if_never_stopped()
