"""Whether the coordinates of a whole set are pixels at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import FaceRecord
from landmark_kd.landmarks import geometry

# Percent of width and height, with points a little outside of the image.
LARGEST_PERCENT = 105.0
# Images larger than this in which all faces of a set lie so near to the first pixel.
LARGER_THAN = 200
FEWEST_FACES, IMAGES_READ = 2, 10


def check_units(faces: Sequence[FaceRecord]) -> None:
    """Refuse a set in percent of the images' width and height.

    One face in such units may be a small one in the corner of a large image, a whole set cannot.

    Raises:
        UserError: all coordinates of all faces are from 0 to 100 or so, and the images are larger.
    """
    if len(faces) < FEWEST_FACES:
        return
    boxes = np.stack([geometry.landmarks_box(face.landmarks) for face in faces])
    low, high = float(np.nanmin(boxes)), float(np.nanmax(boxes))
    sizes = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    if low < 100 - LARGEST_PERCENT or high > LARGEST_PERCENT or np.nanmax(sizes) <= 2:
        return
    for face in faces[:: -(-len(faces) // IMAGES_READ)]:
        try:
            height, width = face.image.read().shape[:2]
        except (UserError, OSError):  # told of where the face is read
            continue
        if min(height, width) <= LARGER_THAN:
            return
    raise UserError(
        f"all coordinates of the {len(faces)} faces are from {low:.4g} to {high:.4g}, though "
        f"images such as {faces[0].image} have more than {LARGER_THAN} pixels either way: they "
        "look like percent of the image's width and height, not pixels; multiply x by the width "
        "and y by the height, and divide both by 100."
    )
