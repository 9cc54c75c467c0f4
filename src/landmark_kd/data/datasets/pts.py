"""The .pts files of the iBUG group: one face's landmarks as text, counted from 1.

    version: 1
    n_points:  68
    {
    134.748 168.522
    …
    }

Read here they are 0-based, pixel centres at integers, as everywhere in this project.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from landmark_kd.core.errors import UserError

# The files count pixels from 1, as Matlab does.
FIRST_PIXEL = 1.0


def read_pts(path: Path, points: int | None, first_pixel: float = FIRST_PIXEL) -> np.ndarray:
    """Return the landmarks (K, 2) float64 of a file, 0-based pixels.

    Args:
        path: the file.
        points: K, the number of points that it must hold; None: as many as it says or holds.
        first_pixel: the coordinate that the file gives the first pixel.

    Raises:
        UserError: the file is not text, is cut off, holds another number of points, or something
            that is not a finite number; the sentence names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text, but a .pts file is.") from None
    entries = [(i, line.strip()) for i, line in enumerate(lines, start=1) if line.strip()]
    opened = next((k for k, (_, line) in enumerate(entries) if line == "{"), None)
    if opened is None:
        raise UserError(f"{path} has no line '{{', after which a .pts file's points begin.")
    for number, line in entries[:opened]:
        points = _checked_header(f"{path}, line {number}", line, points)
    found = []
    for number, line in entries[opened + 1 :]:
        if line == "}":
            break
        found.append(_point(f"{path}, line {number}", line))
    else:
        raise UserError(f"{path} is cut off after {len(found)} points: its last line is not '}}'.")
    if points is not None and len(found) != points:
        raise UserError(f"{path}, line {number}: ends after {len(found)} points, not {points}.")
    return np.array(found, dtype=np.float64).reshape(-1, 2) - first_pixel


def to_number(text: str) -> float:
    """Return the number that a text is, NaN and infinity included.

    Raises:
        ValueError: it is not a number. Python would take 1_5 for 15, and digits of any script;
            every other program that reads such files refuses them.
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def _checked_header(where: str, line: str, points: int | None) -> int | None:
    """Return the number of points that is known after a line of the header."""
    key, _, value = (part.strip() for part in line.partition(":"))
    if key not in ("version", "n_points"):
        raise UserError(f"{where}: '{_short(line)}' is neither version, n_points nor '{{'.")
    if key == "version":
        return points
    if points is None and re.fullmatch(r"[0-9]{1,6}", value):
        return int(value)
    if value != str(points):
        expected = "" if points is None else f", not {points}"
        raise UserError(f"{where}: has {value or 'no number of'} points{expected}.")
    return points


def _point(where: str, line: str) -> tuple[float, float]:
    try:
        x, y = map(to_number, line.split())
    except ValueError:
        raise UserError(f"{where}: '{_short(line)}' is not two numbers x y.") from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise UserError(f"{where}: '{_short(line)}' is not finite.")
    return x, y


def _short(line: str) -> str:
    return line if len(line) <= 40 else line[:37] + "..."
