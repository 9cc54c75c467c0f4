"""COFW: two Matlab files with the images, 29 landmarks and hidden points of faces.

Caltech publishes them in version 7.3 of Matlab's format, which is HDF5. HDF5 counts axes the
other way round: an image of H rows and W columns is stored as (3, W, H), a grey one as (W, H).
Of N faces a file holds

- IsTr or IsT (1, N): references to the images, uint8, RGB or grey;
- phisTr or phisT (87, N): 29 x, then 29 y, then 29 flags, 1 where a point is hidden;
- bboxesTr or bboxesT (4, N): x, y, width and height of a box.

Its pixels are counted from 1; read here they are 0-based, as everywhere in this project.

Source: Burgos-Artizzu, Perona and Dollár, "Robust face landmark estimation under occlusion",
ICCV 2013.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord, Part, Split
from landmark_kd.data.datasets.layout import check_folder
from landmark_kd.landmarks.scheme import COFW_29

# Matlab counts pixels from 1.
FIRST_PIXEL = 1.0
# Of the two editions that the authors hand out, the grey one has other names.
GREY_EDITION = {
    "COFW_train_color.mat": "COFW_train.mat",
    "COFW_test_color.mat": "COFW_test.mat",
}
# What h5py raises where content is damaged; which of them depends on the place.
DAMAGED = (OSError, RuntimeError, ValueError, KeyError)

# Bytes of a variable or an image; COFW's largest has about a million. More is damage, or a file
# made to fill the memory.
LARGEST = 2**28
# Links, virtual data sets and external storage would let a file read any other.
OTHER_FILES = "leads to another place or file, which nothing in COFW does"


@dataclass(frozen=True)
class _Variables:
    images: str
    landmarks: str
    boxes: str


_VARIABLES: dict[Split, _Variables] = {
    "train": _Variables("IsTr", "phisTr", "bboxesTr"),
    "test": _Variables("IsT", "phisT", "bboxesT"),
}


@dataclass(frozen=True)
class CofwImage:
    """An image in one of COFW's files, which is open only while the image is read.

    Attributes:
        file: the .mat file.
        variable: the variable with the references to its images.
        number: the face's number, counted from 1.
    """

    file: Path
    variable: str
    number: int

    def read(self) -> np.ndarray:
        """Return the image (H, W, 3) uint8 BGR.

        Raises:
            UserError: it is not there, is damaged or is not an image.
        """
        with _opened(self.file) as content:
            references = _references(self.file, content, self.variable)
            stored = _stored_image(content, references[self.number - 1], str(self))
            pixels = _values(stored, str(self))
        colours = cv2.COLOR_GRAY2BGR if pixels.ndim == 2 else cv2.COLOR_RGB2BGR
        return cv2.cvtColor(np.ascontiguousarray(pixels.T), colours)

    def __str__(self) -> str:
        return f"image {self.number} of {self.file}"


class Cofw(Dataset):
    """COFW; the faces of both files come in their order, and each image is a photo of its own."""

    def check(self, folder: Path) -> None:
        names = [part.folder for part in self.parts]
        known = [*names, *GREY_EDITION.values()]
        check_folder(
            self,
            folder,
            f"the files {' and '.join(names)}",
            lambda other: any((other / name).is_file() for name in known),
        )
        for name in names:
            if not (folder / name).is_file():
                grey = GREY_EDITION[name]
                beside = (
                    f"{grey} beside it is the grey edition, the colour one is needed"
                    if (folder / grey).is_file()
                    else f"{self.name} is {' and '.join(names)}"
                )
                raise UserError(f"{folder / name} is missing: {beside}; {self.source}.")

    def files(self, folder: Path) -> list[Path]:
        return [folder / part.folder for part in self.parts]

    def read(self, folder: Path, bad: BadFaces) -> Iterator[FaceRecord]:
        self.check(folder)
        for part in self.parts:
            yield from _read_file(self, part, folder / part.folder, bad)


def _read_file(dataset: Dataset, part: Part, file: Path, bad: BadFaces) -> Iterator[FaceRecord]:
    variables = _VARIABLES[part.split]
    with _opened(file) as content:
        references = _references(file, content, variables.images)
        landmarks = _matrix(file, content, variables.landmarks, 3 * dataset.points)
        boxes = _matrix(file, content, variables.boxes, 4)
        images = [CofwImage(file, variables.images, i + 1) for i in range(len(references))]
        faults = [
            _image_fault(content, reference, str(image))
            for reference, image in zip(references, images, strict=True)
        ]
    if not len(images) == len(landmarks) == len(boxes):
        raise UserError(
            f"{file} does not fit together: it has {len(images)} images in "
            f"{variables.images}, {len(landmarks)} faces in {variables.landmarks} and "
            f"{len(boxes)} in {variables.boxes}; get it anew: {dataset.source}."
        )
    for image, fault, values, box in zip(images, faults, landmarks, boxes, strict=True):
        where = f"{file}, face {image.number}"
        name = f"{part.split}/{image.number}"
        try:
            if fault:
                raise fault
            points, occluded = _points(values, f"{where} in {variables.landmarks}")
            record = FaceRecord(
                name=name,
                image=image,
                landmarks=points,
                photo=name,
                part=part,
                box=_box(box, f"{where} in {variables.boxes}"),
                occluded=occluded,
            )
        except UserError as error:
            bad.add(part, error)
        else:
            yield record


def _points(values: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return landmarks (K, 2), 0-based pixels, and flags (K,) bool from a face's 3 K numbers."""
    x, y, hidden = values.reshape(3, -1)
    landmarks = np.stack([x, y], axis=1) - FIRST_PIXEL
    for i, point in enumerate(landmarks, start=1):
        if not np.isfinite(point).all():
            raise UserError(f"{where}: point {i} is not finite.")
    for i, flag in enumerate(hidden, start=1):
        if flag not in (0, 1):
            raise UserError(
                f"{where}: the flag of point {i} is {flag:g}, but 1 is a hidden point and 0 one "
                "that is seen."
            )
    return landmarks, hidden == 1


def _box(values: np.ndarray, where: str) -> np.ndarray:
    """Return x0, y0, x1, y1, 0-based pixels, from x, y, width, height."""
    if not np.isfinite(values).all():
        raise UserError(f"{where}: the box is not finite.")
    x, y, width, height = values
    if not (width > 0 and height > 0):
        raise UserError(
            f"{where}: the box is {width:g} wide and {height:g} high, but both must be above 0."
        )
    return np.array([x, y, x + width, y + height]) - FIRST_PIXEL


@contextmanager
def _opened(file: Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises:
        UserError: it is not HDF5 or cut off.
    """
    with file.open("rb") as raw:
        start = raw.read(128)
    if not h5py.is_hdf5(file):
        raise UserError(
            f"{file} {_what_it_is(start)}, but COFW is published in Matlab's version 7.3, which "
            f"is HDF5; get it anew: {COFW.source}."
        )
    try:
        content = h5py.File(file, "r")
    except DAMAGED as error:
        raise UserError(
            f"{file} is cut off or damaged ({error}); get it anew: {COFW.source}."
        ) from None
    with content:
        yield content


def _what_it_is(start: bytes) -> str:
    if not start:
        return "is empty"
    if start.startswith(b"MATLAB 5.0 MAT-file"):
        return "is a Matlab file of version 5"
    return "is not an HDF5 file"


def _variable(file: Path, content: h5py.File, name: str) -> h5py.Dataset:
    try:
        names = [str(key) for key in content]
        link = content.get(name, getlink=True) if name in names else None
        elsewhere = link is not None and not isinstance(link, h5py.HardLink)
        found = content[name] if link and not elsewhere else None
    except DAMAGED as error:
        raise UserError(f"{name} of {file} is damaged ({error}).") from None
    if elsewhere:
        raise UserError(f"{file}: {name} {OTHER_FILES}; get it anew: {COFW.source}.")
    if not isinstance(found, h5py.Dataset):
        held = ", ".join(key for key in names if not key.startswith("#")) or "none at all"
        raise UserError(
            f"{file} has no variable {name}; it holds {held}. Is it another file under this name?"
        )
    return found


def _references(file: Path, content: h5py.File, name: str) -> np.ndarray:
    """Return the references (N,) to the images."""
    variable = _variable(file, content, name)
    dtype, shape = _form(variable, f"{name} of {file}")
    if h5py.check_ref_dtype(dtype) is not h5py.Reference or len(shape) != 2:
        raise UserError(
            f"{file}: {name} is {dtype} of shape {shape}, but a cell of images was expected, "
            "which is (1, faces) references."
        )
    references = _values(variable, f"{name} of {file}").ravel()
    if not len(references):
        raise UserError(f"{file}: {name} holds no images.")
    return references


def _matrix(file: Path, content: h5py.File, name: str, rows: int) -> np.ndarray:
    """Return a variable of numbers as (N, rows) float64."""
    variable = _variable(file, content, name)
    dtype, shape = _form(variable, f"{name} of {file}")
    if len(shape) != 2 or shape[0] != rows or dtype.kind not in "fiu":
        raise UserError(
            f"{file}: {name} is {dtype} of shape {shape}, but numbers of shape ({rows}, faces) "
            "were expected."
        )
    return _values(variable, f"{name} of {file}").astype(np.float64).T


def _image_fault(content: h5py.File, reference: Any, where: str) -> UserError | None:
    try:
        _stored_image(content, reference, where)
    except UserError as error:
        return error
    return None


def _stored_image(content: h5py.File, reference: Any, where: str) -> h5py.Dataset:
    try:
        stored = content[reference]
    except DAMAGED:
        raise UserError(f"{where} is not there: its reference leads nowhere.") from None
    if not isinstance(stored, h5py.Dataset):
        raise UserError(f"{where} is not there: its reference leads to something else.")
    dtype, shape = _form(stored, where)
    grey_or_colour = len(shape) == 2 or (len(shape) == 3 and shape[0] == 3)
    if not (grey_or_colour and all(shape) and dtype == np.uint8):
        raise UserError(
            f"{where} is {dtype} of shape {shape}, but uint8 of shape (3, width, height) or "
            "(width, height) was expected."
        )
    return stored


def _form(stored: h5py.Dataset, where: str) -> tuple[np.dtype, tuple[int, ...]]:
    """Return type and shape of what can be read without harm.

    Raises:
        UserError: it is damaged, would be read from other files, or is too large.
    """
    try:
        dtype, shape = stored.dtype, stored.shape or ()
        elsewhere = stored.is_virtual or stored.external
    except DAMAGED as error:
        raise UserError(f"{where} is damaged ({error}).") from None
    if elsewhere:
        raise UserError(f"{where} {OTHER_FILES}; get the file anew: {COFW.source}.")
    if math.prod(shape) * dtype.itemsize > LARGEST:
        raise UserError(f"{where} is {dtype} of shape {shape}, larger than anything in COFW.")
    return dtype, shape


def _values(stored: h5py.Dataset, where: str) -> np.ndarray:
    try:
        return stored[()]
    except DAMAGED as error:
        raise UserError(f"{where} is damaged ({error}).") from None


COFW = Cofw(
    name="cofw",
    scheme=COFW_29,
    parts=(
        Part("COFW_train_color.mat", "train", "train", 1345),
        Part("COFW_test_color.mat", "test", "cofw", 507),
    ),
    boxes=True,
    source=(
        "COFW (Caltech Occluded Faces in the Wild, its colour edition) comes from "
        "https://data.caltech.edu/records/bc0bf-nc666"
    ),
    licence=(
        "Trained on COFW (https://data.caltech.edu/records/bc0bf-nc666): CC BY 4.0, its authors "
        "Burgos-Artizzu, Perona and Dollár are to be named."
    ),
)
