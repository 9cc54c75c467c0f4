"""Scratch folders: where an unfinished training keeps what it needs to go on. Needs no torch.

DVC deletes a stage's outs before it runs the stage, so what has to outlive a kill lies in a folder
that no stage declares and git ignores, one for each set of parameters, inputs and code.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from landmark_kd.errors import UserError

# Names another folder for all scratch, such as one that several copies of the project share.
VARIABLE = "LANDMARK_KD_SCRATCH"
RECORD_SUFFIX = ".json"
# A killed training's loader processes hold its lock until they notice (torch looks every 5 s).
LOCK_SECONDS = 30.0
_LOCK = "lock"
# Digits of the hash in a folder's name.
_DIGITS = 16
_NAME = re.compile(rf".+-[0-9a-f]{{{_DIGITS}}}")


@dataclass(frozen=True)
class Leftover:
    """An unfinished training.

    Attributes:
        folder: all it left.
        stage: what was being trained, such as tough or kd.
        written: local date and time of the last checkpoint; empty where there is none.
        epoch, epochs: the epoch it was in, and of how many; 0 where there is no checkpoint.
        size: bytes on disk.
        running: a process is training in it now.
    """

    folder: Path
    stage: str
    written: str
    epoch: int
    epochs: int
    size: int
    running: bool


def scratch_folder() -> Path:
    """The folder of all scratch: `scratch`, or what LANDMARK_KD_SCRATCH names."""
    return Path(os.environ.get(VARIABLE) or "scratch")


def folder_of(stage: str, fingerprint: str) -> Path:
    """The folder of one training, by its stage and the hash of all that its result depends on."""
    return scratch_folder() / f"{stage}-{fingerprint[:_DIGITS]}"


@contextmanager
def held(folder: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Make a training's folder and hold it; remove it on success, or where it has no checkpoint.

    Raises:
        UserError: another process holds it, and still did after `seconds`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise UserError(
            f"another process trains the same thing in {folder}; wait until it is done, or set "
            f"{VARIABLE} to another folder for this one."
        ) from None
    done = False
    try:
        yield
        done = True
    finally:
        if done or not records(folder):
            shutil.rmtree(folder)
        lock.release()


def write_durably(path: Path, content: bytes) -> None:
    """Write a file that is whole or not there, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    # The new name is on disk only when the folder is.
    opened = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def records(folder: Path) -> list[Path]:
    """The records of a folder's checkpoints, the newest first."""
    found = [path for path in folder.glob(f"*{RECORD_SUFFIX}") if path.stem.isdigit()]
    return sorted(found, key=lambda path: int(path.stem), reverse=True)


def leftovers() -> list[Leftover]:
    """All unfinished trainings, by name."""
    top = scratch_folder()
    if not top.is_dir():
        return []
    return [_leftover(folder) for folder in sorted(top.iterdir()) if _NAME.fullmatch(folder.name)]


def remove(leftover: Leftover) -> None:
    """Remove what an unfinished training left.

    Raises:
        UserError: it is running.
    """
    with held(leftover.folder, seconds=0):
        pass


def _leftover(folder: Path) -> Leftover:
    record: dict[str, Any] = {"written": "", "epoch": 0, "epochs": 0}
    for path in records(folder):
        try:
            record = record | json.loads(path.read_text(encoding="utf-8"))
            break
        except (OSError, ValueError, TypeError):
            continue
    return Leftover(
        folder,
        stage=folder.name.rpartition("-")[0],
        written=str(record["written"]),
        epoch=int(record["epoch"]),
        epochs=int(record["epochs"]),
        size=sum(path.stat().st_size for path in folder.iterdir()),
        running=_is_held(folder),
    )


def _is_held(folder: Path) -> bool:
    try:
        with FileLock(folder / _LOCK, timeout=0):
            return False
    except Timeout:
        return True
