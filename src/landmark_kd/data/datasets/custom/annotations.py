"""What the files of a custom data set say of each face, before splits and images."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.config import FOLDER_COLUMN

# Levels of folders that faces may be split by.
DEEPEST = 9


@dataclass(frozen=True)
class Marks:
    """What is marked in a face, in 0-based pixels.

    Attributes:
        landmarks: (K, 2) float64, NaN where missing.
        box: (4,) float64 x0, y0, x1, y1 where the files bring one.
        occluded: (K,) bool where the files mark hidden landmarks.
    """

    landmarks: np.ndarray
    box: np.ndarray | None = None
    occluded: np.ndarray | None = None


@dataclass(frozen=True)
class CustomFace:
    """A face of the files, good or bad.

    Attributes:
        where: the file and the place in it, for sentences.
        image: name of its image as the files have it; None where they have none.
        group: value of the split column; None without a column, or where the value is missing.
        marks: what is marked, or what is wrong with it.
        size: width and height that the files state for the image, None where they state none.
    """

    where: str
    image: str | None
    group: str | None
    marks: Marks | UserError
    size: tuple[int, int] | None = None


class Annotations(Protocol):
    """The annotations of a data set in one of the formats that are read."""

    @property
    def points(self) -> int:
        """Number of landmarks per face, as the first one has them."""

    @property
    def has_boxes(self) -> bool:
        """Whether each face brings a box."""

    def columns(self) -> dict[str, list[str]]:
        """Return the values, face by face, of what the faces could be split by, besides folders."""

    def faces(
        self, points: int, first_pixel: int, column: str | None, missing: Collection[str] = ()
    ) -> list[CustomFace]:
        """Read all faces, in a fixed order.

        Args:
            points: number of landmarks each face must have.
            first_pixel: the coordinate that the files give the first pixel, 0 or 1.
            column: one of `columns` or of `folder_columns`, or None.
            missing: which of MISSING_WORDS make a landmark missing, not a face bad.

        Raises:
            UserError: the files as a whole cannot be read so; what is wrong with single faces is
                in their `marks`.
        """


def check_pairs(where: str, landmarks: np.ndarray) -> None:
    """Check that landmarks (K, 2) are there, or missing, in x and in y.

    Raises:
        UserError: one has x or y alone.
    """
    half = np.flatnonzero(np.isnan(landmarks).any(axis=1) & ~np.isnan(landmarks).all(axis=1))
    if len(half):
        raise UserError(f"{where}: point {half[0]} has only one of x and y.")


def folder_columns(images: Sequence[str | None]) -> dict[str, list[str]]:
    """Return the folders that images lie in as columns, empty for those in none.

    `folder` is the top folder of each, `folder_2` the one in that, and so on; one that all images
    share is left out.
    """
    depth = max((name.count("/") for name in images if name), default=0)
    found = {}
    for level in range(1, min(depth, DEEPEST) + 1):
        column = "folder" if level == 1 else f"folder_{level}"
        values = [folder_of(name, column) or "" for name in images]
        if len(set(values)) > 1:
            found[column] = values
    return found


def folder_of(image: str | None, column: str) -> str | None:
    """Return the folder of an image in a column of `folder_columns`, None where it is in none."""
    known = FOLDER_COLUMN.fullmatch(column)
    folders = image.split("/")[:-1] if image and known else []
    level = int(known[1] or 1) if known else 1
    return folders[level - 1] if len(folders) >= level else None


def in_short(values: Iterable[str], most: int = 8, *, longest: int = 40) -> str:
    """Return values as a list to read, the first `most` of them, none longer than `longest`."""
    names = [name if len(name) <= longest else name[: longest - 3] + "..." for name in values]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def image_name(text: str) -> str | None:
    """Return an image's name as it stands; None where it is empty."""
    return text.strip() or None


def stated_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Return width and height of an image, numbers or texts; None unless both are above 0."""
    try:
        size = float(width), float(height)
    except (TypeError, ValueError):
        return None
    if not all(math.isfinite(side) and side >= 1 for side in size):
        return None
    return round(size[0]), round(size[1])


def box_of(where: str, numbers: Sequence[float], first_pixel: int) -> np.ndarray:
    """Return a box (4,) x0, y0, x1, y1 from its corner, width and height.

    Raises:
        UserError: a number is not finite, or width or height is not above 0.
    """
    x, y, width, height = numbers
    if not all(math.isfinite(number) for number in numbers):
        raise UserError(f"{where}: the box {_listed(numbers)} is not finite.")
    if width <= 0 or height <= 0:
        raise UserError(
            f"{where}: the box (x, y, width, height) is {_listed(numbers)}, but width and height "
            "must be greater than 0."
        )
    return np.array([x, y, x + width, y + height], dtype=np.float64) - first_pixel


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
