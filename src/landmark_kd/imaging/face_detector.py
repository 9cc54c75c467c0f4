"""Where the faces of an image are: OpenCV's Haar detector, as landmark boxes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cv2
import numpy as np
from cv2.data import haarcascades

from landmark_kd.imaging.crops import sample
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.geometry import overlap

# A box x0, y0, x1, y1 in units of another one.
RelativeBox = tuple[float, float, float, float]

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

CASCADE = "haarcascade_frontalface_alt2.xml"
# On every eighth 300-W train image (253), this cascade with 3 neighbours found 92.5 % of the
# faces with 0.06 other boxes an image; frontalface_default with 5 found as many with 0.10.
SCALE_STEP = 1.1
NEIGHBOURS = 3
# The cascade was trained on windows of this side.
WINDOW = 20
# Smaller faces than this share of the image's shorter side are not looked for: time.
SMALLEST_FACE = 1 / 20

# A Haar box begins at the forehead and ends above the chin; a landmark box goes from the brows to
# the chin. Landmark box in units of the Haar box, x0, y0, x1, y1: medians over the 1818 faces
# found in the 2012 300-W train images at hand, by `python -m tools.measure_face_detector`. They
# stand in where `prepare` could not measure the same on a network's own train faces.
LANDMARK_BOX = (0.0783, 0.2327, 0.9345, 1.0779)
# Sum of the cascade's last stage: what a box must reach (the XML file's stageThreshold), and the
# 95th percentile of the same faces.
SCORE_ZERO = 53.755569
SCORE_ONE = 57.55


def find_faces(
    image: np.ndarray, box_in_haar: Sequence[float] = LANDMARK_BOX
) -> tuple[np.ndarray, np.ndarray]:
    """Find upright faces that look more or less at the camera.

    Args:
        image: (H, W, 3) uint8 BGR.
        box_in_haar: (4,) where the wanted boxes lie in the detector's, in units of these.

    Returns:
        boxes: (M, 4) float x0, y0, x1, y1 around the landmarks to expect, in pixels of `image`;
            they may reach out of it. The highest-scoring face comes first.
        scores: (M,) float, 0 for a box that the detector barely takes for a face to 1 for one as
            sure as the highest-scoring twentieth of 300-W's train faces.
    """
    haar, weights = haar_boxes(image)
    order = np.argsort(-weights, kind="stable")
    scores = np.clip((weights - SCORE_ZERO) / (SCORE_ONE - SCORE_ZERO), 0, 1)
    return landmark_boxes(haar, box_in_haar)[order], scores[order]


def haar_boxes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the detector's own boxes (M, 4) x0, y0, x1, y1 and last-stage sums (M,)."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    smallest = max(WINDOW, round(min(grey.shape) * SMALLEST_FACE))
    found, _, weights = _cascade().detectMultiScale3(
        grey,
        scaleFactor=SCALE_STEP,
        minNeighbors=NEIGHBOURS,
        minSize=(smallest, smallest),
        outputRejectLevels=True,
    )
    corners = np.array(found, dtype=np.float64).reshape(-1, 4)
    # OpenCV's rectangle is x, y, width, height of whole pixels, whose centres are at integers.
    corners[:, :2] -= 0.5
    corners[:, 2:] += corners[:, :2]
    return corners, np.array(weights, dtype=np.float64).reshape(-1)


def landmark_boxes(haar: np.ndarray, box_in_haar: Sequence[float] = LANDMARK_BOX) -> np.ndarray:
    """Turn Haar boxes (M, 4) into the boxes (M, 4) that the landmarks probably have."""
    corner, extent = haar[:, :2], haar[:, 2:] - haar[:, :2]
    return np.tile(corner, 2) + np.asarray(box_in_haar) * np.tile(extent, 2)


def _cascade() -> cv2.CascadeClassifier:
    # A cascade keeps what it works on within itself: one for each thread.
    if not hasattr(_own, "cascade"):
        _own.cascade = cv2.CascadeClassifier(haarcascades + CASCADE)
    return _own.cascade


_own = threading.local()


def haar_box(image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """Return the Haar box (4,) of the face that has the box `box`, None if it is not found.

    Args:
        image: (H, W, 3) uint8 BGR.
        box: (4,) x0, y0, x1, y1 in pixels of `image`.
    """
    to_region = geometry.square_crop(box, REGION - 1, REGION_PIXELS)
    found, _ = haar_boxes(sample(image, to_region, REGION_PIXELS))
    if not len(found):
        return None
    to_image = geometry.invert(to_region)
    found = geometry.apply(to_image, found.reshape(-1, 2, 2)).reshape(-1, 4)
    overlaps = overlap(found, box)
    best = int(overlaps.argmax())
    return found[best] if overlaps[best] >= SAME_FACE else None


def in_units_of(found: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return a box (4,) in units of a detector's box `found` (4,)."""
    corner, extent = found[:2], found[2:] - found[:2]
    return (box - np.tile(corner, 2)) / np.tile(extent, 2)


def typical_box(relative: Sequence[np.ndarray]) -> RelativeBox | None:
    """Return the median of boxes (4,) in units of a detector's; None if they are too few."""
    if len(relative) < FEWEST_FACES:
        return None
    x0, y0, x1, y1 = np.median(relative, axis=0).round(DECIMALS).tolist()
    return x0, y0, x1, y1
