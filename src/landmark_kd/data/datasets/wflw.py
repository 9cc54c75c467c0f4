"""WFLW: folders of photos, and two lists with 98 landmarks, a box and six flags
for each face.

A line of a list is one face: 98 times x y, the box x_min y_min x_max y_max, the flags pose,
expression, illumination, make-up, occlusion and blur, then the image's name below WFLW_images,
all with blanks or tabs between. A photo may have several faces. Pixels are 0-based as they stand.

Source: Wu et al., "Look at Boundary: A Boundary-Aware Face Alignment Algorithm", CVPR 2018.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress
from pathlib import Path, PurePosixPath

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.core.names import absence
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord, Part
from landmark_kd.data.datasets.layout import check_folder
from landmark_kd.data.datasets.pts import to_number
from landmark_kd.imaging.images import ImageFile
from landmark_kd.landmarks.scheme import WFLW_98

IMAGES = "WFLW_images"
ANNOTATIONS = "WFLW_annotations"
LIST = ANNOTATIONS + "/list_98pt_rect_attr_train_test/list_98pt_rect_attr_{split}.txt"

# The six flags of a line, with the number of test faces that the authors counted for each.
FLAGS = {
    "pose": 326,
    "expression": 314,
    "illumination": 698,
    "make-up": 206,
    "occlusion": 736,
    "blur": 773,
}
COORDINATES = 2 * WFLW_98.points
BOX = 4
NUMBERS = COORDINATES + BOX + len(FLAGS)
LINE = f"{COORDINATES} coordinates, {BOX} of a box, {len(FLAGS)} flags and an image's name"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Wflw(Dataset):
    """WFLW; the faces of both lists come in their order, and a photo's faces name it."""

    def check(self, folder: Path) -> None:
        check_folder(
            self,
            folder,
            f"the folders {IMAGES} and {ANNOTATIONS}",
            lambda other: any((other / name).is_dir() for name in (IMAGES, ANNOTATIONS)),
        )
        if not (folder / IMAGES).is_dir():
            raise UserError(
                f"the folder {folder / IMAGES} is missing: it belongs beside {ANNOTATIONS} and "
                f"holds the photos; {self.source}."
            )
        for part in self.parts:
            if not (folder / part.folder).is_file():
                raise UserError(
                    f"{folder / part.folder} is missing: {self.name} needs a list of its train "
                    f"and one of its test faces; {self.source}."
                )

    def files(self, folder: Path) -> list[Path]:
        """Return the lists, and the images that they name as far as they are there."""
        lists = [folder / part.folder for part in self.parts]
        images: dict[Path, None] = {}
        for file in lists:
            for number, content in _lines(file):
                try:
                    image = _image(folder, _split(file, number, content))
                except UserError:  # for `read` to tell
                    continue
                images[image.path] = None
        return [*lists, *images]

    def read(self, folder: Path, bad: BadFaces) -> Iterator[FaceRecord]:
        self.check(folder)
        for part in self.parts:
            file = folder / part.folder
            number = 0
            for number, content in _lines(file):
                try:
                    record = _face(part, folder, _split(file, number, content))
                except UserError as error:
                    bad.add(part, error)
                else:
                    yield record
            if not number:
                raise UserError(f"{file} is empty, but each of its lines is a face: {LINE}.")


@dataclass(frozen=True)
class _Line:
    """A line of a list, its numbers not read yet.

    Attributes:
        where: file and number of the line, for messages.
        number: the line's number in its file, counted from 1.
        fields: NUMBERS texts.
        image: the rest of the line, exactly.
    """

    where: str
    number: int
    fields: list[str]
    image: str


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each line that is not blank.

    Only a line feed ends a line: an image's name may hold what Python takes for a line's end.
    """
    with file.open("rb") as content:
        for number, line in enumerate(content, start=1):
            text = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            if text.strip():
                yield number, text.removesuffix(b"\n").removesuffix(b"\r")


def _split(file: Path, number: int, content: bytes) -> _Line:
    where = f"{file}, line {number}"
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{where}: is not UTF-8 text, but a line is {LINE}.") from None
    # The last number is split off apart: a blank more would belong to the image's name.
    fields = text.split(maxsplit=NUMBERS - 1)
    image = ""
    if len(fields) == NUMBERS:
        fields[-1], *rest = re.split(r"\s", fields[-1], maxsplit=1)
        image = rest[0] if rest else ""
    if not image:
        raise UserError(
            f"{where}: has {len(fields)} entries, but {NUMBERS + 1} were expected: {LINE}."
        )
    return _Line(where, number, fields, image)


def _face(part: Part, folder: Path, line: _Line) -> FaceRecord:
    numbers = _numbers(line)
    # The flags first: they tell best where a line has a number too many.
    flags = numbers[COORDINATES + BOX :]
    for name, flag in zip(FLAGS, flags, strict=True):
        if flag not in (0, 1):
            raise UserError(
                f"{line.where}: the flag of {name} is {flag:g}, not 0 or 1; a line is {LINE}."
            )
    x0, y0, x1, y1 = box = numbers[COORDINATES : COORDINATES + BOX]
    if not (x0 < x1 and y0 < y1):
        raise UserError(
            f"{line.where}: the box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) has no extent; "
            "x_min y_min x_max y_max were expected."
        )
    image = _image(folder, line)
    return FaceRecord(
        name=f"{part.split}/{line.number}",
        image=image,
        landmarks=numbers[:COORDINATES].reshape(-1, 2),
        photo=image.path.relative_to(folder / IMAGES).as_posix(),
        part=part,
        subsets=tuple(compress(FLAGS, flags)) if part.split == "test" else (),
        box=box,
        where=line.where,
    )


def _numbers(line: _Line) -> np.ndarray:
    """Return the numbers (NUMBERS,) float64 of a line."""
    try:
        numbers = np.array([to_number(field) for field in line.fields])
    except ValueError:
        entry = next(i for i, field in enumerate(line.fields) if not _is_number(field))
        raise UserError(f"{_entry(line, entry)}, not a number; a line is {LINE}.") from None
    if not np.isfinite(numbers).all():
        entry = int(np.argmin(np.isfinite(numbers)))
        raise UserError(f"{_entry(line, entry)}, not a finite number.")
    return numbers


def _image(folder: Path, line: _Line) -> ImageFile:
    name = PurePosixPath(line.image)
    # More blanks or tabs than one are mostly between the columns.
    if not os.path.isfile(folder / IMAGES / name):
        name = PurePosixPath(line.image.strip())
    if name.is_absolute() or ".." in name.parts:
        raise UserError(f"{line.where}: the image {name} does not lie within {IMAGES}.")
    path = folder / IMAGES / name
    if not os.path.isfile(path):  # False too for a name that no file can have
        raise UserError(f"{line.where}: the image {path} {absence(path, 'is missing')}.")
    return ImageFile(path)


def _is_number(text: str) -> bool:
    try:
        to_number(text)
    except ValueError:
        return False
    return True


def _entry(line: _Line, i: int) -> str:
    text = line.fields[i]
    short = text if len(text) <= 40 else text[:37] + "..."
    return f"{line.where}: entry {i + 1} is '{short}'"


WFLW = Wflw(
    name="wflw",
    scheme=WFLW_98,
    parts=(
        Part(LIST.format(split="train"), "train", "train", 7500),
        Part(LIST.format(split="test"), "test", "all", 2500),
    ),
    published=FLAGS,
    boxes=True,
    source=(
        "WFLW (Wider Facial Landmarks in-the-wild, for non-commercial research only) comes from "
        "https://wywu.github.io/projects/LAB/WFLW.html"
    ),
    licence=(
        "Trained on WFLW (https://wywu.github.io/projects/LAB/WFLW.html), which was published with "
        "a research paper and without a licence that we know of: research only."
    ),
)
