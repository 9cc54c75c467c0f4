"""Tells whether a folder holds a data set and, where it does not, which one near it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from landmark_kd.core.errors import UserError
from landmark_kd.core.names import absence
from landmark_kd.data.datasets.base import Dataset


class NotHereError(UserError):
    """A folder holds nothing of a data set.

    Attributes:
        near: a folder within or above it that does, None where there is none.
    """

    def __init__(self, sentence: str, near: Path | None = None) -> None:
        super().__init__(sentence)
        self.near = near


def check_folder(
    dataset: Dataset, folder: Path, layout: str, holds: Callable[[Path], bool]
) -> None:
    """Check that a folder is there and holds something of a data set.

    Args:
        layout: what is looked for, as "the files a.mat and b.mat".
        holds: tells whether a folder, which may not be there, holds something of the set.

    Raises:
        NotHereError: it does not; the sentence says what was looked for and, where a folder
            within or above it fits, which.
    """
    layout = f"{dataset.name} is read from {layout}"
    source = f"; {dataset.source}" if dataset.source else ""
    if not folder.exists():
        raise NotHereError(f"the folder {folder} {absence(folder)}; {layout} in it{source}.")
    if holds(folder):
        return
    near = next((other for other in neighbours(folder, 2) if _may_hold(holds, other)), None)
    hint = f"; did you mean {near}?" if near else f"{source}."
    if not folder.is_dir():
        raise NotHereError(f"{folder} is a file, but {layout} in a folder{hint}", near)
    state = "holds none of them" if any(folder.iterdir()) else "is empty"
    raise NotHereError(f"{folder} {state}: {layout}{hint}", near)


def neighbours(folder: Path, above: int) -> Iterator[Path]:
    """Yield the folders right within a folder, then so many above it."""
    if folder.is_dir():
        yield from sorted(child for child in folder.iterdir() if child.is_dir())
    yield from folder.resolve().parents[:above]


def _may_hold(holds: Callable[[Path], bool], folder: Path) -> bool:
    # A neighbour that the user did not name may be closed to them.
    try:
        return holds(folder)
    except PermissionError:
        return False
