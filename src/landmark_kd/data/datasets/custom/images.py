"""Images of a custom data set, held against what its files say of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.imaging.images import SIDEWAYS, ImageFile, exif_orientation


@dataclass(frozen=True)
class MarkedImage(ImageFile):
    """An image whose size a file may state.

    Attributes:
        size: width and height that it must have; None where no file states them.
        where: the file that states them and the place in it.
    """

    size: tuple[int, int] | None = None
    where: str = field(default="", compare=False)

    def read(self) -> np.ndarray:
        """Return the image (H, W, 3) uint8 BGR.

        Raises:
            UserError: it does not decode, or has another size than is stated: its landmarks would
                lie elsewhere.
        """
        image = super().read()
        height, width = image.shape[:2]
        if self.size not in (None, (width, height)):
            raise UserError(self._contradiction(self.size, (width, height)))
        return image

    def _contradiction(self, stated: tuple[int, int] | None, found: tuple[int, int]) -> str:
        assert stated is not None
        orientation = exif_orientation(self.path)
        has = _pixels(found)
        if orientation in SIDEWAYS:
            as_read, otherwise = ("shown", "stored") if self.shown else ("stored", "shown")
            has = (
                f"{has} as {as_read} and {_pixels(found[::-1])} as {otherwise} (its EXIF "
                f"orientation is {orientation})"
            )
        if stated != found[::-1]:
            cure = (
                "bring the image that was annotated, this one was scaled or cut since; if the "
                "landmarks do lie on this one, correct the size stated or remove it"
            )
        elif orientation in SIDEWAYS:
            cure = (
                f"if the landmarks were placed on it as {otherwise}, set orientation: {otherwise} "
                "in landmark-kd.yaml, otherwise correct the size stated or remove it"
            )
        else:
            cure = (
                "width and height are swapped, or the image was turned since it was annotated; "
                "correct the size stated or remove it, or bring the image that was annotated"
            )
        return (
            f"{self.where}: the size of {self.path} is stated as {_pixels(stated)}, but it has "
            f"{has}; {cure}."
        )


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"
