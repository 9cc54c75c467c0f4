"""Files that are either whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from landmark_kd.core.errors import UserError


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name in `path`'s folder; rename it to `path` if the block succeeds.

    If the block fails, whatever stood at `path` before is untouched and the temporary file is
    removed. The temporary name keeps the suffix, since writers go by it (OpenCV, numpy).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of a name as long as names may be, the end has to give way to what makes it temporary.
    handle, name = tempfile.mkstemp(
        prefix=f".{path.stem[:40]}.", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        with _named(path):
            yield temporary
        # mkstemp makes files private; results are as readable as any other file.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; put it in `path`'s place if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", dir=path.parent))
    try:
        with _named(path):
            yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.old.", dir=path.parent))
            os.replace(path, old / path.name)
            os.replace(temporary, path)
            shutil.rmtree(old)
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON; NaN and infinity are refused (they are no JSON)."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with replaced_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy, without pickle.

    `np.save` into a file leaves the writing to C, which says nothing when a disk takes all but
    the last few kilobytes.
    """
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    path.write_bytes(content.getbuffer())


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote.

    Raises:
        UserError: the file is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except (ValueError, RecursionError) as error:  # no JSON, no text, nested too deep
        raise UserError(
            f"{path} is damaged ({error}); run `dvc checkout` or `dvc repro -f` to restore it."
        ) from None


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let errors of the system say which file or folder was being written."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load_array(path: Path) -> np.ndarray:
    """Memory-map a .npy file of an earlier stage, read-only and without pickle.

    Raises:
        UserError: it is missing or truncated.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except (OSError, MemoryError):  # of the disk or the memory, and no fault of the file
        raise
    except Exception as error:  # numpy reads a header as Python text: SyntaxError, TokenError, …
        raise damaged(path, error) from None
    if not (isinstance(array, np.ndarray) and array.dtype.kind in "biuf"):
        raise damaged(path, "it holds no array of numbers")
    return array


def check_finite(path: Path, array: np.ndarray) -> None:
    """Check the numbers of an array.

    Args:
        path: the file that it is from.

    Raises:
        UserError: one is infinite or none at all.
    """
    if not np.isfinite(array).all():
        raise damaged(path, "it has numbers that are not finite")


def damaged(path: Path, why: object) -> UserError:
    return UserError(
        f"{path} is damaged ({why}); delete it and run `dvc checkout` or `dvc repro` again."
    )


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
