"""Images of data sets, read as their annotators saw them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from landmark_kd.core.errors import UserError, is_out_of_memory
from landmark_kd.core.files import replaced_file

# By these an image in a folder is known, and these can be written; one that is named by itself is
# read whatever its ending.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class Image(Protocol):
    """An image that is not read yet; `str(image)` says where it is. Equal ones are the same."""

    def read(self) -> np.ndarray:
        """Return the image (H, W, 3) uint8 BGR, its pixels as stored.

        Raises:
            UserError: it does not decode.
        """


@dataclass(frozen=True)
class ImageFile:
    """An image in a file of its own."""

    path: Path

    def read(self) -> np.ndarray:
        return read_image(self.path)

    def __str__(self) -> str:
        return str(self.path)


def read_image(path: Path) -> np.ndarray:
    """Return an image (H, W, 3) uint8 BGR, its pixels as stored.

    An EXIF orientation is ignored: the landmarks of these sets were placed on images as
    Matlab reads them, which ignores it too. Read by way of numpy, since OpenCV cannot open
    every file name on every system.

    Raises:
        UserError: it does not decode.
    """
    content = np.fromfile(path, dtype=np.uint8)
    image = None
    if content.size:
        try:
            image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error as error:  # more pixels than OpenCV takes
            if is_out_of_memory(error):
                raise
            image = None
    if image is None:
        state = "is cut off, damaged or not an image" if content.size else "is empty"
        raise UserError(f"the image {path} does not decode: it {state}.")
    return image


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image (H, W, 3) uint8 BGR, in the format of the path's ending."""
    content = cv2.imencode(path.suffix, image)[1]
    # Written by Python, not by OpenCV, which says nothing of a full disk.
    with replaced_file(path) as temporary:
        temporary.write_bytes(content.tobytes())
