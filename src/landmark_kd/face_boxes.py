"""Boxes of faces whose place is known, as a face detector would give them.

What a detector's box encloses differs from what the landmarks' box does. How the two lie to each
other is measured on train faces, so that a network meets the boxes it was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from landmark_kd import geometry, haar
from landmark_kd.sampling import sample

BoxInHaar = tuple[float, float, float, float]

# The detector looks at a square around the face, this many times as wide as its box, drawn at so
# many pixels: that is much faster than a whole photo and finds the same face.
REGION = 3.0
REGION_PIXELS = 200
# A Haar box belongs to a face when it overlaps its box this much (intersection / union): low,
# since the two boxes differ by nature, and high enough to leave out neighbours' faces.
SAME_FACE = 0.3
# Fewer faces found than this tell nothing about where boxes lie.
FEWEST_FACES = 30
DECIMALS = 4


def haar_box(image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """Return the Haar box (4,) of the face that has the box `box`, None if it is not found.

    Args:
        image: (H, W, 3) uint8 BGR.
        box: (4,) x0, y0, x1, y1 in pixels of `image`.
    """
    to_region = geometry.square_crop(box, REGION - 1, REGION_PIXELS)
    found, _ = haar.haar_boxes(sample(image, to_region, REGION_PIXELS))
    if not len(found):
        return None
    to_image = geometry.invert(to_region)
    found = geometry.apply(to_image, found.reshape(-1, 2, 2)).reshape(-1, 4)
    overlaps = overlap(found, box)
    best = int(overlaps.argmax())
    return found[best] if overlaps[best] >= SAME_FACE else None


def overlap(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return intersection over union of boxes (M, 4) with one box (4,)."""
    shared = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    common = shared.clip(min=0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return common / (areas - common)


def in_haar(box: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return a box (4,) in units of the Haar box `found` (4,)."""
    corner, extent = found[:2], found[2:] - found[:2]
    return (box - np.tile(corner, 2)) / np.tile(extent, 2)


def typical_box_in_haar(relative: Sequence[np.ndarray]) -> BoxInHaar | None:
    """Return the median of boxes (4,) in units of their Haar boxes; None if they are too few."""
    if len(relative) < FEWEST_FACES:
        return None
    x0, y0, x1, y1 = np.median(relative, axis=0).round(DECIMALS).tolist()
    return x0, y0, x1, y1
