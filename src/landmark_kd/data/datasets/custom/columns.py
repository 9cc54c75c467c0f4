"""Which columns of a table name the image and hold the points, as people and tools call them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.annotations import in_short
from landmark_kd.data.datasets.custom.config import repeated
from landmark_kd.imaging.images import IMAGE_SUFFIXES

BOX = ("box_x", "box_y", "box_width", "box_height")
EXPECTED = (
    "a column with the name of the image's file (image, file, filename, path, …) and an x and a y "
    "column for each point (x0, y0, x1, …, or part_0_x, part_0_y, …, or nose_x, nose_y, …)"
)
# Names of the image's column, small letters alone.
_IMAGE = re.compile(r"(image|img|photo|picture|pic|file)(file)?s?(name|path|id)?|path")
# x0, x_12, lm_x0 | 0_x, part_0_x, p1x | left_eye_x
_AXIS_INDEX = re.compile(r"(.*?)([xyXY])([_ .-]?)([0-9]{1,5})")
_INDEX_AXIS = re.compile(r"(.*?)([0-9]{1,5})([_ .-]?)([xyXY])")
_NAME_AXIS = re.compile(r"(.*[^\W_].*?)[_ .-]([xyXY])")
# Such columns are a box's or an image's, not a point's.
_NO_POINT = re.compile(r"(?i)(face|bounding|b)?[_ .-]?(box|rect|roi)|image|img|frame|crop|face")
# Numbers in one cell that are pixels rather than a name.
_PIXELS = 100


@dataclass(frozen=True)
class Columns:
    """The columns of a table that say where a face and its points are.

    Attributes:
        image: the name of the image's file.
        points: x and y of each point.
        names: of the points, None where they are numbered.
    """

    image: str
    points: tuple[tuple[str, str], ...]
    names: tuple[str, ...] | None

    @property
    def taken(self) -> set[str]:
        return {self.image, *BOX, *(name for pair in self.points for name in pair)}


def check_header(where: str, header: Sequence[str]) -> None:
    """Check that a table's first line names columns.

    Raises:
        UserError: it holds values, or has a name twice.
    """
    if any(re.fullmatch(r"-?[0-9.]+", name) for name in header):
        raise UserError(
            f"{where}: holds values ({in_short(header, 3)}), but the first line must name the "
            f"columns: {EXPECTED}."
        )
    twice = repeated(name for name in header if name)
    if twice is not None:
        raise UserError(f"{where}: has the column {twice} twice.")


def find_columns(where: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    """Find out which columns are the image's and the points'.

    Args:
        where: file and line of `header`, for messages.
        rows: cells of the first lines.

    Raises:
        UserError: there is none for the image or for the points, or one of a pair is missing; the
            sentence says which columns there are, and which were expected.
    """
    image = _image_column(header, rows)
    points = _numbered_points(where, header)
    names, named = _named_points(header)
    if len(named) > len(points):
        points = named
    lacking = [] if points else ["holds points"]
    if image is None:
        lacking.insert(0, "names an image")
    if lacking:
        raise UserError(
            f"{where}: none of its columns {' or '.join(lacking)}; they are {in_short(header)}, "
            f"but {EXPECTED} were expected."
        )
    assert image is not None
    pixels = max((len(row[header.index(image)].split()) for row in rows), default=0)
    if pixels >= _PIXELS:
        raise UserError(
            f"{where}: the column {image} holds {pixels} pixels rather than the name of a file; "
            f"write the pixels of each row to an image file and the file's name into {image}."
        )
    return Columns(image, points, names if points is named else None)


def _image_column(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str | None:
    """Return the column whose name says that it is the image's, or whose values do."""

    def named(name: str) -> bool:
        letters = re.sub(r"[^a-z]", "", name.casefold())
        return bool(letters and _IMAGE.fullmatch(letters))

    def of_files(name: str) -> bool:
        cells = [row[header.index(name)].strip().lower() for row in rows]
        return bool(cells) and all(cell.endswith(IMAGE_SUFFIXES) for cell in cells)

    wanted = [name for name in header if named(name)]
    files = [name for name in header if name and of_files(name)]
    return next(iter([name for name in wanted if name in files] or files or wanted), None)


def _numbered_points(where: str, header: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return x and y of each point, numbered from 0 or 1; of several kinds the most points.

    Raises:
        UserError: one of them is missing.
    """
    # The columns of one kind, as x0, y0, x1, … or part_0_x, … or X_0, … are, by number and axis.
    kinds: dict[tuple[str, ...], dict[tuple[int, str], str]] = {}
    for name in header:
        if name in BOX:
            continue
        kind: tuple[str, ...]
        if match := _AXIS_INDEX.fullmatch(name):
            before, axis, between, number = match.groups()
            kind = (before, "{axis}", between, "{number}")
        elif match := _INDEX_AXIS.fullmatch(name):
            before, number, between, axis = match.groups()
            kind = (before, "{number}", between, "{axis}")
        else:
            continue
        case = "capitals" if axis.isupper() else ""
        kinds.setdefault((*kind, case), {})[int(number), axis.lower()] = name
    if not kinds:
        return ()
    kind = max(kinds, key=lambda key: (len(kinds[key]), -len("".join(key))))
    columns = kinds[kind]
    numbers = {number for number, _ in columns}
    first, last = min(1, *numbers), max(numbers)
    pairs = [(number, axis) for number in range(first, last + 1) for axis in "xy"]
    missing = [pair for pair in pairs if pair not in columns]
    if missing:
        number, axis = missing[0]
        axis = axis.upper() if kind[-1] else axis
        name = "".join(kind[:-1]).format(axis=axis, number=number)
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{where}: has no column {name}{more}, but columns of points up to "
            f"{columns[max(columns)]}; each point needs an x and a y."
        )
    cells = [columns[pair] for pair in pairs]
    return tuple(zip(cells[::2], cells[1::2], strict=True))


def _named_points(
    header: Sequence[str],
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return names, and x and y, of the points whose columns have names."""
    columns: dict[str, dict[str, str]] = {}
    for name in header:
        match = _NAME_AXIS.fullmatch(name)
        if match and name not in BOX and not _NO_POINT.fullmatch(match[1]):
            columns.setdefault(match[1], {})[match[2].lower()] = name
    whole = {name: (pair["x"], pair["y"]) for name, pair in columns.items() if len(pair) == 2}
    return tuple(whole), tuple(whole.values())
