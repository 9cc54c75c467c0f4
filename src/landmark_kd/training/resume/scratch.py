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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock, Timeout
from pydantic import Field

from landmark_kd.core.errors import UserError
from landmark_kd.core.schema import Section

# Names another folder for all scratch, such as one that several copies of the project share.
VARIABLE = "LANDMARK_KD_SCRATCH"
RECORD_SUFFIX = ".json"
# A killed training's loader processes hold its lock until they notice (torch looks every 5 s).
LOCK_SECONDS = 30.0
_LOCK = "lock"
# Digits of the hash in a folder's name.
_DIGITS = 16
_NAME = re.compile(rf".+-[0-9a-f]{{{_DIGITS}}}")
_RECORD_NAME = re.compile(rf"[0-9]{{6,}}{re.escape(RECORD_SUFFIX)}")
_Epoch = Annotated[int, Field(ge=1, lt=2**63)]


class Record(Section):
    """What a checkpoint's record says: all but the tensors.

    Attributes:
        fingerprint: of all that the training's result depends on.
        digest: of the tensors and of all other attributes.
        written: local date and time.
        epoch: the epoch it is in or has just ended, from 1; epochs: of how many.
        state: of the training, as JSON has it.
    """

    fingerprint: str
    digest: str
    written: Annotated[str, Field(pattern=r"^[0-9]{4}(-[0-9]{2}){2} [0-9]{2}(:[0-9]{2}){2}$")]
    epoch: _Epoch
    epochs: _Epoch
    state: dict[str, Any]


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
            # On NFS the lock, which is open, stays until it is let go; and whatever else cannot
            # be removed must not turn a training that is done into one that failed.
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        with suppress(OSError):  # gone already, or not empty
            folder.rmdir()


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
    found = [path for path in folder.glob(f"*{RECORD_SUFFIX}") if _RECORD_NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem), reverse=True)


def read_record(path: Path) -> Record:
    """Read a checkpoint's record.

    Raises:
        OSError, ValueError: it cannot be read, or it is none.
    """
    try:
        return Record.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def leftovers() -> list[Leftover]:
    """All unfinished trainings, by name."""
    top = scratch_folder()
    if not top.is_dir():
        return []
    folders = (path for path in sorted(top.iterdir()) if _NAME.fullmatch(path.name))
    return [_leftover(folder) for folder in folders if folder.is_dir() and not folder.is_symlink()]


def remove(leftover: Leftover) -> None:
    """Remove what an unfinished training left.

    Raises:
        UserError: it is running, or a file of it cannot be removed.
    """
    with held(leftover.folder, seconds=0):
        pass
    if leftover.folder.exists():
        raise UserError(
            f"{leftover.folder} cannot be removed whole; look at the rights of what is left in it."
        )


def _leftover(folder: Path) -> Leftover:
    record = None
    for path in records(folder):
        with suppress(OSError, ValueError):  # damaged; the one before it may be whole
            record = read_record(path)
            break
    return Leftover(
        folder,
        stage=folder.name.rpartition("-")[0],
        written=record.written if record else "",
        epoch=record.epoch if record else 0,
        epochs=record.epochs if record else 0,
        size=_size(folder),
        running=_is_held(folder),
    )


def _size(folder: Path) -> int:
    """Bytes of a folder's files; a training that runs may remove one at any moment."""
    size = 0
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                size += path.stat().st_size
    return size


def _is_held(folder: Path) -> bool:
    try:
        with FileLock(folder / _LOCK, timeout=0):
            return False
    except Timeout:
        return True
