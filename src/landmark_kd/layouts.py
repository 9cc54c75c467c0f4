"""Whether a folder holds a data set, and which one near it does where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from landmark_kd.errors import UserError
from landmark_kd.records import Dataset


def check_folder(
    dataset: Dataset, folder: Path, layout: str, holds: Callable[[Path], bool]
) -> None:
    """Check that a folder is there and holds something of a data set.

    Args:
        layout: what of the set is looked for, as "the files a.mat and b.mat".
        holds: whether a folder, which may not be there, holds something of the set.

    Raises:
        UserError: it does not; the sentence says what was looked for and, where a folder within
            or above it fits, which.
    """
    layout = f"{dataset.name} is read from {layout}"
    source = f"; {dataset.source}" if dataset.source else ""
    if not folder.exists():
        raise UserError(f"the folder {folder} does not exist; {layout} in it{source}.")
    if holds(folder):
        return
    near = next((other for other in _near(folder) if _may_hold(holds, other)), None)
    hint = f"; did you mean {near}?" if near else f"{source}."
    if not folder.is_dir():
        raise UserError(f"{folder} is a file, but {layout} in a folder{hint}")
    state = "holds none of them" if any(folder.iterdir()) else "is empty"
    raise UserError(f"{folder} {state}: {layout}{hint}")


def _near(folder: Path) -> Iterator[Path]:
    """The folders right within a folder, then the two above it."""
    if folder.is_dir():
        yield from sorted(child for child in folder.iterdir() if child.is_dir())
    yield from folder.resolve().parents[:2]


def _may_hold(holds: Callable[[Path], bool], folder: Path) -> bool:
    # A neighbour that the user did not name may be closed to them.
    try:
        return holds(folder)
    except PermissionError:
        return False
