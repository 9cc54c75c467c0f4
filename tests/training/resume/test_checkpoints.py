"""Checkpoints and scratch folders: whole or not there, and only for what they belong to."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landmark_kd.cli.clean import add_clean
from landmark_kd.core.errors import UserError
from landmark_kd.training.resume.checkpoints import (
    Checkpoint,
    Checkpoints,
    random_state,
    restore_random_state,
)
from landmark_kd.training.resume.scratch import (
    VARIABLE,
    Leftover,
    folder_of,
    held,
    leftovers,
    remove,
)
from tests.conftest import PROJECT
from tests.support.limits import files_end_after
from tests.support.strategies import damaged, examples

pytestmark = pytest.mark.seconds

ME = "a" * 64
NESTED = "[" * 100_000
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
        lambda: change(newest(".json"), state={"best": 0.2}),
        lambda: change(newest(".json"), epoch=3),
        lambda: newest(".json").write_text(NESTED),
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


@pytest.mark.parametrize("name", ["00000².json", "٠٠٠٠٠٩.json", "1.json", "-00001.json", "a.json"])
def test_a_record_of_another_name_is_none_of_ours(
    store: Checkpoints, folder: Path, said: list[str], name: str
) -> None:
    store.save(checkpoint(1))
    (folder / name).write_bytes((folder / "000001.json").read_bytes())
    assert epoch_found(store) == 1
    assert leftovers()[0].epoch == 1
    store.save(checkpoint(2))
    assert epoch_found(store) == 2
    assert said == []


def test_a_folder_in_the_place_of_a_record_is_left_out(
    store: Checkpoints, folder: Path, said: list[str]
) -> None:
    store.save(checkpoint(1))
    (folder / "000009.json").mkdir()
    assert leftovers()[0].epoch == 1
    assert epoch_found(store) == 1
    assert "000009.json is left out" in said.pop()
    store.save(checkpoint(2))
    assert epoch_found(store) == 2


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, os.strerror(errno.EIO)), PermissionError(), MemoryError()]
)
def test_a_checkpoint_that_cannot_be_read_now_is_not_taken_for_damaged(
    store: Checkpoints, folder: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is away for a moment, or too little memory, must not cost hours of work."""

    def fail(path: Path) -> bytes:
        raise error

    store.save(checkpoint(1))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail)
        with pytest.raises(type(error)):
            store.load()
    assert epoch_found(store) == 1


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
KEYS = ["fingerprint", "digest", "written", "epoch", "epochs", "state", "more"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training with one checkpoint."""
    folder = tmp_path_factory.mktemp("scratch") / f"kd-{'a' * 16}"
    folder.mkdir()
    Checkpoints(folder, ME).save(checkpoint(4))
    return folder


def assert_shown_and_found_or_left_out(folder: Path, path: Path, content: bytes) -> None:
    """Put a record or tensors into a checkpoint's place, look at it and load it, put back."""
    before = {file: file.read_bytes() for file in (path, path.with_suffix(".safetensors"))}
    path.write_bytes(content)
    said: list[str] = []
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, str(folder.parent))
            (leftover,) = leftovers()
            assert_whole_line(leftover)
        found = Checkpoints(folder, ME, said.append).load()
        assert (found is None) == (len(said) == 1)
        if found:
            assert (found.epoch, found.epochs, found.state) == (4, 9, {"best": 0.1})
    finally:
        for file, good in before.items():
            file.write_bytes(good)


def assert_whole_line(leftover: Leftover) -> None:
    """What `clean` prints is one line that no terminal acts upon."""
    with redirect_stdout(StringIO()) as shown, pytest.MonkeyPatch.context() as patch:
        patch.setattr("landmark_kd.training.resume.scratch.leftovers", lambda: [leftover])
        clean()
    first = shown.getvalue().splitlines()[0]
    assert first.isprintable()
    assert f"{leftover.folder}: kd, stopped" in first
    assert len(first) < 300 + len(str(leftover.folder))


@pytest.mark.seconds
@examples(150)
@given(data=st.data())
def test_whatever_a_record_says_it_is_shown_and_taken_up_only_if_it_is_what_was_written(
    saved: Path, data: st.DataObject
) -> None:
    path = saved / "000001.json"
    record = json.loads(path.read_text())
    for key in data.draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3)):
        record[key] = data.draw(ODD)
    assert_shown_and_found_or_left_out(saved, path, json.dumps(record).encode())


@examples(100)
@given(data=st.data())
def test_a_damaged_record_is_shown_and_left_out(saved: Path, data: st.DataObject) -> None:
    path = saved / "000001.json"
    content = data.draw(damaged(path.read_bytes()))
    assert_shown_and_found_or_left_out(saved, path, content)


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": "7"},
        {"epoch": "x"},
        {"epoch": None},
        {"epoch": 10**30 + 0.5},
        {"epochs": [9]},
        {"written": 3},
        {"written": "\x1b[2J"},
        {"written": "2026-01-01 00:00:00" * 1000},
        {"state": []},
    ],
)
def test_a_record_of_odd_values_is_no_checkpoint_to_show(
    store: Checkpoints,
    folder: Path,
    changes: dict[str, object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    store.save(checkpoint(4))
    path = folder / "000001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    clean()
    shown = capsys.readouterr().out
    assert "kd, stopped before its first checkpoint, " in shown
    assert "\x1b" not in shown


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


def test_a_scratch_folder_that_is_gone_does_not_spoil_a_training_that_is_done(
    folder: Path, store: Checkpoints, said: list[str]
) -> None:
    with held(folder):
        shutil.rmtree(folder)
        store.save(checkpoint(1))
    assert "no checkpoint of epoch 1" in said.pop()
    assert not folder.exists()


def test_what_cannot_be_removed_does_not_spoil_a_training_that_is_done(
    folder: Path, store: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS an open file that is removed lives on under another name until it is closed."""

    def busy(path: Path | str, **options: object) -> None:
        if Path(path).exists() or "dir_fd" in options:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))

    store.save(checkpoint(1))
    store.save(checkpoint(2))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", busy)
        patch.setattr(Path, "unlink", busy)
        store.save(checkpoint(3))
        assert epoch_found(store) == 3
        with held(folder):
            pass
        with pytest.raises(UserError, match="cannot be removed whole; look at the rights"):
            remove(leftovers()[0])
    assert epoch_found(store) == 3


@pytest.fixture
def running(folder: Path) -> Iterator[None]:
    """Another process holds the folder."""
    code = (
        "import sys, pathlib; from landmark_kd.training.resume.scratch import held\n"
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


def test_clean_knows_nothing_of_other_folders(scratch: Path, tmp_path: Path) -> None:
    name = f"kd-{'0' * 16}"
    (scratch / "notes").mkdir(parents=True)
    (scratch / "kd-0123").mkdir()
    (scratch / name).write_text("a file")
    (tmp_path / name).mkdir()
    (scratch / f"kd-{'1' * 16}").symlink_to(tmp_path / name)
    assert leftovers() == []


def test_files_that_go_while_clean_looks_at_them_are_no_error(
    store: Checkpoints, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that runs writes under another name, renames and removes all the time."""
    store.save(checkpoint(1))
    stat = Path.stat

    def gone(path: Path, **options: bool) -> os.stat_result:
        if path.suffix == ".safetensors":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", gone)
    assert leftovers()[0].size == (folder / "000001.json").stat().st_size
