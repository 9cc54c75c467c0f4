"""Faces in a table, a line for each: an image, x and y of each point, and any other columns."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.annotations import (
    CustomFace,
    Marks,
    box_of,
    check_pairs,
    image_name,
    stated_size,
)
from landmark_kd.data.datasets.custom.columns import BOX, Columns, check_header, find_columns
from landmark_kd.data.datasets.custom.config import EMPTY, FOLDER_COLUMN
from landmark_kd.data.datasets.pts import to_number

# Lines of which the cells are looked at to find the image's column.
_LOOKED_AT = 50
# Columns of the image's width and height, in small letters without _.
SIZES = (("imagewidth", "imageheight"), ("imgwidth", "imgheight"), ("width", "height"))
# What programs write in a cell that has no number.
EMPTY_CELLS = frozenset(("", "nan", "na", "n/a", "null", "none"))


@dataclass(frozen=True)
class Table:
    """A .csv file as text.

    Attributes:
        path: the file.
        header: names of its columns.
        roles: which of them say what.
        rows: line number and cells of each face.
    """

    path: Path
    header: tuple[str, ...]
    roles: Columns
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    @property
    def points(self) -> int:
        """Number of landmarks that there are columns for."""
        return len(self.roles.points)

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the points, where columns name rather than number them."""
        return self.roles.names

    @property
    def has_boxes(self) -> bool:
        return any(name in self.header for name in BOX)

    def columns(self) -> dict[str, list[str]]:
        """Return the values of columns of other things; lines of a wrong length are left out."""
        taken = self.roles.taken
        rows = [cells for _, cells in self.rows if len(cells) == len(self.header)]
        return {
            name: [cells[i].strip() for cells in rows]
            for i, name in enumerate(self.header)
            if name not in taken and name
        }

    def faces(
        self, points: int, first_pixel: int, column: str | None, missing: Collection[str] = ()
    ) -> list[CustomFace]:
        """Read all faces, lines in order.

        Raises:
            UserError: a column is missing or there is one too many; the sentence names it.
        """
        self._check_columns(points, column)
        image = self.roles.image
        coordinates = [name for pair in self.roles.points for name in pair]
        boxes = self.has_boxes
        found = []
        for line, cells in self.rows:
            where = f"{self.path}, line {line}"
            if len(cells) != len(self.header):
                # No cell can be trusted: which one is missing or too many is not known.
                error = UserError(
                    f"{where}: has {len(cells)} columns, but line 1 names {len(self.header)}."
                )
                found.append(CustomFace(where, None, None, error))
                continue
            row = dict(zip(self.header, cells, strict=True))
            marks: Marks | UserError
            try:
                empty = EMPTY in missing
                numbers = [_number(where, name, row[name], empty) for name in coordinates]
                landmarks = np.array(numbers).reshape(-1, 2) - first_pixel
                check_pairs(where, landmarks)
                box = None
                if boxes:
                    numbers = [_number(where, name, row[name]) for name in BOX]
                    box = box_of(where, numbers, first_pixel)
                if not row[image].strip():
                    raise UserError(f"{where}: {image} is empty; it must name the face's image.")
                marks = Marks(landmarks, box)
            except UserError as error:
                marks = error
            group = row.get(column, "").strip() or None if column else None
            found.append(CustomFace(where, image_name(row[image]), group, marks))
        return self._with_sizes(found)

    def _with_sizes(self, faces: list[CustomFace]) -> list[CustomFace]:
        """Return the faces with the sizes that columns state for their images."""
        plain = [re.sub(r"[ _.-]", "", name).lower() for name in self.header]
        for width, height in SIZES:
            if width in plain and height in plain:
                columns = plain.index(width), plain.index(height)
                break
        else:
            return faces
        sized = [
            replace(face, size=stated_size(*(cells[i] for i in columns)))
            if len(cells) == len(plain)
            else face
            for face, (_, cells) in zip(faces, self.rows, strict=True)
        ]
        # Of a face, or of what else, they cannot be the image's where landmarks lie beyond.
        is_images = width != "width" or all(
            face.size is None or not _beyond(face.marks.landmarks, face.size)
            for face in sized
            if isinstance(face.marks, Marks)
        )
        return sized if is_images else faces

    def _check_columns(self, points: int, column: str | None) -> None:
        where = f"{self.path}, line 1"
        if points != self.points:
            pairs = self.roles.points
            raise UserError(
                f"{where}: has columns of {len(pairs)} points, {', '.join(pairs[0])} to "
                f"{', '.join(pairs[-1])}, but landmark-kd.yaml has points: {points}; correct that, "
                "or the columns."
            )
        missing = [name for name in BOX if self.has_boxes and name not in self.header]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UserError(
                f"{where}: has no column {missing[0]}{more}; for boxes there must be "
                f"{', '.join(BOX)}."
            )
        if column and column not in self.header and not FOLDER_COLUMN.fullmatch(column):
            known = list(self.columns())
            near = difflib.get_close_matches(column, known, n=1)
            listed = ", ".join(known) or "none beside image and coordinates"
            hint = f"did you mean {near[0]}?" if near else f"there are {listed}."
            raise UserError(f"{where}: has no column {column}, which split.column names; {hint}")


def read_table(path: Path) -> Table:
    """Read a .csv file (UTF-8, comma-separated, names of columns first) as text.

    By the csv module, since pandas tells no line numbers, fills short lines up without a word and
    refuses the whole file for one that is too long.

    Raises:
        UserError: it is not text, not a table, has no line for a face, or other columns than it
            should.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            # A blank line has no cells.
            lines = [(reader.line_num, tuple(cells)) for cells in reader if cells]
        except csv.Error as error:
            raise UserError(
                f"{path}, line {reader.line_num}: is not a line of a .csv file: {error}."
            ) from None
        except UnicodeDecodeError:
            raise UserError(f"{path} is not UTF-8 text; save it as 'CSV UTF-8'.") from None
    if not lines:
        raise UserError(f"{path} is empty, but a table of faces begins with image,x0,y0,x1,y1.")
    header = tuple(name.strip() for name in lines[0][1])
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        raise UserError(f"{path}, line 1: its columns must be separated by commas.")
    check_header(f"{path}, line 1", header)
    if len(lines) == 1:
        raise UserError(f"{path} holds no face: it ends after the names of its columns.")
    rows = tuple(lines[1:])
    whole = [cells for _, cells in rows[:_LOOKED_AT] if len(cells) == len(header)]
    return Table(path, header, find_columns(f"{path}, line 1", header, whole), rows)


def _number(where: str, name: str, text: str, empty: bool = False) -> float:
    """Return the number of a cell; NaN for an empty one, if those may be."""
    if empty and text.strip().casefold() in EMPTY_CELLS:
        return math.nan
    try:
        number = to_number(text.strip())
    except ValueError:
        state = f"'{text.strip()[:40]}', which is not a number" if text.strip() else "empty"
        hint = ""
        if text.strip().casefold() in EMPTY_CELLS and name not in BOX:
            hint = "; if such points are missing, say `missing: empty` in landmark-kd.yaml"
        raise UserError(f"{where}: {name} is {state}{hint}.") from None
    if not math.isfinite(number):
        raise UserError(f"{where}: {name} is {text.strip()}, which is not finite.")
    return number


def _beyond(landmarks: np.ndarray, size: tuple[int, int]) -> bool:
    return bool((landmarks > max(size)).any())  # missing ones are not
