"""Images of data sets, read as their annotators saw them.

A camera that is held upright may store an image lying down and note in it (EXIF orientation) how
to turn it. Most programs show such an image turned; Matlab, and whoever decodes the pixels alone,
has it as it is stored. Landmarks fit one of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from landmark_kd.core.errors import UserError, is_out_of_memory
from landmark_kd.core.files import replaced_file

# Images can be written with these endings.
WRITTEN_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
# By these an image in a folder is known; one that is named by itself is read whatever its ending.
# HEIC, which OpenCV does not decode, is among them so that it is not passed over in silence.
IMAGE_SUFFIXES = (
    *WRITTEN_SUFFIXES,
    *(".jpe", ".jfif", ".dib", ".jp2", ".pbm", ".pgm", ".ppm", ".pnm", ".gif", ".avif"),
    *(".heic", ".heif"),
)

ORIENTATION_TAG = 0x0112
# Orientations that swap width and height.
SIDEWAYS = (5, 6, 7, 8)
# Steps along rows and columns of the stored image (after the swap) that show it.
_FLIPS = {
    **{1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1)},
    **{5: (1, 1), 6: (-1, 1), 7: (-1, -1), 8: (1, -1)},
}
# At the fifth byte.
HEIC_HEADS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc", b"ftypmsf1")
TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Image(Protocol):
    """An image that is not read yet; `str(image)` says where it is. Equal ones are the same."""

    def read(self) -> np.ndarray:
        """Return the image (H, W, 3) uint8 BGR, in the pixels that its landmarks count.

        Raises:
            UserError: it does not decode.
        """


@dataclass(frozen=True)
class ImageFile:
    """An image in a file of its own.

    Attributes:
        path: the file.
        shown: whether it is turned as its EXIF orientation says, or its pixels are as stored.
    """

    path: Path
    shown: bool = False

    def read(self) -> np.ndarray:
        return read_image(self.path, shown=self.shown)

    @property
    def way(self) -> str:
        """How it is read, in the words of landmark-kd.yaml."""
        return "shown" if self.shown else "stored"

    @property
    def other_way(self) -> str:
        """How it is not read."""
        return "stored" if self.shown else "shown"

    def __str__(self) -> str:
        return str(self.path)


def fits_the_other_way(image: Image, points: np.ndarray, width: int, height: int) -> bool:
    """Tell whether points fit an image with an EXIF rotation, but not as it is read.

    Args:
        image: the image; only one in a file of its own may have such a rotation.
        points: (N, 2) pixels, NaN where there is none.
        width, height: of the image as it is read.
    """
    last = points[np.isfinite(points).all(axis=1)].max(axis=0, initial=0)
    if (last < [width, height]).all() or not (last < [height, width]).all():
        return False
    return isinstance(image, ImageFile) and exif_orientation(image.path) in SIDEWAYS


def read_image(path: Path, *, shown: bool = False) -> np.ndarray:
    """Return an image (H, W, 3) uint8 BGR.

    Read by way of numpy, since OpenCV cannot open every file name on every system.

    Args:
        path: the file.
        shown: turn it as its EXIF orientation says. The landmarks of the published sets were
            placed on images as Matlab reads them, whose pixels are as stored.

    Raises:
        UserError: it does not decode.
    """
    content = np.fromfile(path, dtype=np.uint8)
    flags = cv2.IMREAD_COLOR if shown else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = None
    if content.size:
        try:
            image = cv2.imdecode(content, flags)
        except cv2.error as error:  # more pixels than OpenCV takes
            if is_out_of_memory(error):
                raise
            image = None
    if image is None:
        raise UserError(f"the image {path} does not decode: it {_fault(content)}.")
    if not shown and content[:4].tobytes() in TIFF_HEADS:
        # OpenCV turns a TIFF file in any case.
        return _as_stored(image, exif_orientation(path))
    return image


def _fault(content: np.ndarray) -> str:
    """Return what is wrong with a file that does not decode, in words after 'it'."""
    if not content.size:
        return "is empty"
    if content[4:12].tobytes() in HEIC_HEADS:
        return "is a HEIC file, which OpenCV cannot read; convert it to JPEG or PNG"
    return "is cut off, damaged or not an image"


def exif_orientation(path: Path) -> int:
    """Return how an image is to be turned before it is shown: 1 (not at all) to 8 (EXIF 0x0112).

    Only the head of the file is read; one that is not an image has 1.
    """
    # Not for prediction, which has images as shown and gets along without it.
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as opened:
            exif = Pillow.Exif()
            if opened.format == "TIFF":
                exif = opened.getexif()
            else:
                # Not getexif, which also believes XMP; programs that show images do not.
                exif.load(opened.info.get("exif") or b"")
            orientation = exif.get(ORIENTATION_TAG)
    except Exception:  # whatever is wrong with the file, decoding it will tell
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _as_stored(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image that was turned as its EXIF orientation says back."""
    if orientation in SIDEWAYS:
        image = image.transpose(1, 0, 2)
    rows, columns = _FLIPS[orientation]
    return np.ascontiguousarray(image[::rows, ::columns])


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image (H, W, 3) uint8 BGR, in the format of the path's ending."""
    content = cv2.imencode(path.suffix, image)[1]
    # Written by Python, not by OpenCV, which says nothing of a full disk.
    with replaced_file(path) as temporary:
        temporary.write_bytes(content.tobytes())
