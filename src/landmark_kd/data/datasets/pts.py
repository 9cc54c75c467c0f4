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
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path

import numpy as np

from landmark_kd.core.errors import UserError

# The files count pixels from 1, as Matlab does.
FIRST_PIXEL = 1.0

_COMMENT = re.compile(r"(#|//).*")
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")
# Bytes that no text has.
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x19]")


def read_pts(
    path: Path, points: int | None, first_pixel: float = FIRST_PIXEL, *, missing: bool = False
) -> np.ndarray:
    """Return the landmarks (K, 2) float64 of a file, 0-based pixels.

    Read as well: comments (# or //), a header in any letter case, braces on the lines of others,
    and a comma or semicolon between x and y.

    Args:
        path: the file.
        points: K, the number of points that it must hold; None: as many as it says or holds.
        first_pixel: the coordinate that the file gives the first pixel.
        missing: points may be 'nan nan', and are NaN then.

    Raises:
        UserError: the file is not text, is cut off, holds another number of points, or something
            that is not a finite number; the sentence names file and line.
    """
    entries = _entries(_text(path))
    opened = next((k for k, (_, entry) in enumerate(entries) if entry == "{"), None)
    if opened is None:
        found_in = (
            f"line {entries[0][0]} is '{_short(entries[0][1])}'" if entries else "it is empty"
        )
        raise UserError(
            f"{path} has no line '{{', after which a .pts file's points begin: {found_in}, but "
            "first come 'version: 1' and 'n_points: 68'."
        )
    for number, line in entries[:opened]:
        points = _checked_header(f"{path}, line {number}", line, points)
    found = []
    for number, line in entries[opened + 1 :]:
        if line == "}":
            break
        found.append(_point(f"{path}, line {number}", line, missing))
    else:
        raise UserError(f"{path} is cut off after {len(found)} points: its last line is not '}}'.")
    if points is not None and len(found) != points:
        raise UserError(f"{path}, line {number}: ends after {len(found)} points, not {points}.")
    return np.array(found, dtype=np.float64).reshape(-1, 2) - first_pixel


def pts_text(landmarks: np.ndarray) -> str:
    """Return landmarks (K, 2), 0-based pixels, as the text of a .pts file, which counts from 1."""
    points = "".join(f"{x:.3f} {y:.3f}\n" for x, y in landmarks + FIRST_PIXEL)
    return f"version: 1\nn_points: {len(landmarks)}\n{{\n{points}}}\n"


def to_number(text: str) -> float:
    """Return the number that a text is, NaN and infinity included.

    Raises:
        ValueError: it is not a number. Python would take 1_5 for 15, and digits of any script;
            every other program that reads such files refuses them.
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def _text(path: Path) -> str:
    """Return a file's text without comments.

    Raises:
        UserError: it is UTF-16 or no text at all.
    """
    content = path.read_bytes()
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or _is_every_second_byte_zero(content):
        raise UserError(
            f"{path} is UTF-16 text, which Windows calls Unicode; save it, and any others, as "
            "UTF-8 (`iconv -f UTF-16 -t UTF-8`)."
        )
    if _BINARY.search(content):
        raise UserError(
            f"{path} is not text, but a .pts file is: it has binary content; have the tool that "
            "wrote it write text, with the lines 'version: 1', 'n_points: 68', '{', one 'x y' for "
            "each point, and '}'."
        )
    try:
        return _COMMENT.sub("", content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        # A comment in the encoding of some old system harms nobody.
        text = _COMMENT.sub("", content.decode("latin-1"))
    if not text.isascii():
        raise UserError(f"{path} is not text, but a .pts file is; save it as UTF-8.")
    return text


def _is_every_second_byte_zero(content: bytes) -> bool:
    """Tell whether content is ASCII in UTF-16 without a byte order mark."""
    return any(
        len(content) > 1 and not any(content[k::2]) and all(content[1 - k :: 2]) for k in (0, 1)
    )


def _entries(text: str) -> list[tuple[int, str]]:
    """Return the lines that are not blank with their numbers; braces count as lines."""
    return [
        (number, entry.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        for entry in re.split(r"([{}])", line)
        if entry.strip()
    ]


def _checked_header(where: str, line: str, points: int | None) -> int | None:
    """Return the number of points that is known after a line of the header."""
    key, _, value = (part.strip() for part in line.partition(":"))
    if key.lower() not in ("version", "n_points"):
        raise UserError(f"{where}: '{_short(line)}' is neither version, n_points nor '{{'.")
    if key.lower() == "version":
        return points
    said = int(value) if re.fullmatch(r"[0-9]{1,6}", value) else None
    if said is None or points not in (None, said):
        expected = "" if points is None else f", not {points}"
        raise UserError(f"{where}: has {_short(value) or 'no number of'} points{expected}.")
    return said


def _point(where: str, line: str, missing: bool) -> tuple[float, float]:
    try:
        numbers = [to_number(field) for field in _SEPARATOR.split(line.strip(" \t,;"))]
    except ValueError:
        numbers = []
    if len(numbers) == 3:
        raise UserError(
            f"{where}: '{_short(line)}' is three numbers, not two numbers x y; remove the third "
            "of each point (a depth, or whether it is visible)."
        )
    if len(numbers) == 4 and line.count(",") >= 2:
        raise UserError(
            f"{where}: '{_short(line)}' is not two numbers x y; write a point, not a comma, "
            "before decimals."
        )
    if len(numbers) != 2:
        raise UserError(f"{where}: '{_short(line)}' is not two numbers x y.")
    x, y = numbers
    if missing and math.isnan(x) and math.isnan(y):
        return x, y
    if not (math.isfinite(x) and math.isfinite(y)):
        raise UserError(f"{where}: '{_short(line)}' is not finite.")
    return x, y


def _short(line: str) -> str:
    return line if len(line) <= 40 else line[:37] + "..."
