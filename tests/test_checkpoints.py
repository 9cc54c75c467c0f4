"""Checkpoints and scratch folders: whole or not there, and only for what they belong to."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from landmark_kd.checkpoints import (
    Checkpoint,
    Checkpoints,
    random_state,
    restore_random_state,
)
from landmark_kd.cli_clean import add_clean
from landmark_kd.errors import UserError
from landmark_kd.scratch import VARIABLE, folder_of, held, leftovers
from tests.conftest import PROJECT

ME = "a" * 64
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "scratch"))
    return tmp_path / "scratch"


@pytest.fixture
def folder(scratch: Path) -> Path:
    made = folder_of("kd", ME)
    made.mkdir(parents=True)
    return made


def checkpoint(epoch: int) -> Checkpoint:
    return Checkpoint({"weight": torch.full((3,), float(epoch))}, {"best": 0.1}, epoch, epochs=9)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def store(folder: Path, said: list[str]) -> Checkpoints:
    return Checkpoints(folder, ME, said.append)


def epoch_found(store: Checkpoints) -> int | None:
    found = store.load()
    return found.epoch if found else None


def test_what_was_saved_last_is_found_again(store: Checkpoints) -> None:
    for epoch in (1, 2, 3):
        store.save(checkpoint(epoch))
    found = store.load()
    assert found is not None
    assert (found.epoch, found.epochs, found.state) == (3, 9, {"best": 0.1})
    torch.testing.assert_close(found.tensors["weight"], torch.full((3,), 3.0), rtol=0, atol=0)


def test_the_newest_and_one_before_it_are_kept(store: Checkpoints, folder: Path) -> None:
    for epoch in range(1, 13):
        store.save(checkpoint(epoch))
    names = sorted(path.name for path in folder.iterdir())
    assert [name.split(".")[0] for name in names] == ["000011", "000011", "000012", "000012"]


def test_every_way_to_break_the_newest_leads_to_the_one_before(
    store: Checkpoints, folder: Path, said: list[str]
) -> None:
    def newest(suffix: str) -> Path:
        return max(folder.glob(f"*{suffix}"))

    def tear(path: Path) -> None:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def flip_a_bit(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)

    def change(path: Path, **values: object) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    ways = [
        lambda: tear(newest(".safetensors")),
        lambda: flip_a_bit(newest(".safetensors")),
        lambda: newest(".safetensors").unlink(),
        lambda: tear(newest(".json")),
        lambda: newest(".json").write_text("[]"),
        lambda: change(newest(".json"), fingerprint="b" * 64),
    ]
    for way in ways:
        store.save(checkpoint(1))
        store.save(checkpoint(2))
        way()
        assert epoch_found(store) == 1
        assert "is left out" in said.pop()
    assert said == []


def test_tensors_whose_record_was_never_written_are_no_checkpoint(
    store: Checkpoints, folder: Path, said: list[str]
) -> None:
    (folder / "000001.safetensors").write_bytes(b"half")
    (folder / ".000001.safetensors.77").write_bytes(b"ha")
    assert epoch_found(store) is None
    assert list(folder.iterdir()) == []
    assert said == []


@contextmanager
def files_end_after(size: int) -> Iterator[None]:
    """Let the system write no more than so many bytes of a file, as on a disk that gets full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [10, 1000])
def test_a_checkpoint_that_finds_no_space_leaves_nothing_but_the_one_before(
    store: Checkpoints, folder: Path, said: list[str], size: int
) -> None:
    """Space ends in the tensors, or behind them in the record."""
    store.save(checkpoint(1))
    before = sorted(folder.iterdir())
    with files_end_after(size):
        store.save(replace(checkpoint(2), state={"long": "x" * 2000}))
    assert sorted(folder.iterdir()) == before
    assert "no checkpoint of epoch 2" in said.pop()
    assert epoch_found(store) == 1


def test_random_generators_go_on_as_they_would_have() -> None:
    def draw() -> tuple[float, float, float]:
        # A normal number leaves a second one in store, which is part of the state.
        numpy = np.random.standard_normal()  # noqa: NPY002
        return random.gauss(0, 1), float(numpy), float(torch.randn(()))

    draw()
    tensors, state = random_state(CPU)
    expected = [draw(), draw()]
    restore_random_state(tensors, json.loads(json.dumps(state)), CPU)
    assert [draw(), draw()] == expected


def test_a_scratch_folder_is_gone_after_success_and_after_a_failure_without_checkpoint(
    folder: Path, store: Checkpoints
) -> None:
    with pytest.raises(KeyError), held(folder):
        raise KeyError
    assert not folder.exists()
    folder.mkdir()
    store.save(checkpoint(1))
    with pytest.raises(KeyError), held(folder):
        raise KeyError
    assert epoch_found(store) == 1
    with held(folder):
        pass
    assert not folder.exists()


@pytest.fixture
def running(folder: Path) -> Iterator[None]:
    """Another process holds the folder."""
    code = (
        "import sys, pathlib; from landmark_kd.scratch import held\n"
        "with held(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        cwd=PROJECT,
        env={"PYTHONPATH": str(PROJECT / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.kill()


@pytest.mark.usefixtures("running")
def test_two_processes_never_train_in_one_folder(folder: Path) -> None:
    with pytest.raises(UserError, match="another process trains the same"), held(folder, 0.1):
        pass
    assert folder.exists()


def clean(*arguments: str) -> None:
    parser = ArgumentParser()
    add_clean(parser.add_subparsers())
    parsed = parser.parse_args(["clean", *arguments])
    parsed.run(parsed)


def test_clean_shows_leftovers_and_removes_them_only_when_told(
    store: Checkpoints, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.save(checkpoint(4))
    clean()
    shown = capsys.readouterr().out
    assert "kd, stopped in epoch 4 of 9, checkpoint of 20" in shown
    assert "1 unfinished training, 0.0 MB; remove with `landmark-kd clean --yes`" in shown
    assert folder.exists()
    clean("--yes")
    assert "removed 1 unfinished training" in capsys.readouterr().out
    assert not folder.exists()
    clean("--yes")
    assert "no unfinished trainings" in capsys.readouterr().out


@pytest.mark.usefixtures("running")
def test_clean_leaves_a_running_training_alone(
    store: Checkpoints, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.save(checkpoint(4))
    clean("--yes")
    assert "running now" in capsys.readouterr().out
    assert folder.exists()


def test_clean_knows_nothing_of_other_folders(scratch: Path) -> None:
    (scratch / "notes").mkdir(parents=True)
    (scratch / "kd-0123").mkdir()
    assert leftovers() == []
