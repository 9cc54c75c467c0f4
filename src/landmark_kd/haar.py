"""Where the faces of a picture are: OpenCV's Haar detector, as landmark boxes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cv2
import numpy as np
from cv2.data import haarcascades

CASCADE = "haarcascade_frontalface_alt2.xml"
# On every eighth 300-W train picture (253), this cascade with 3 neighbours found 92.5 % of the
# faces with 0.06 other boxes a picture; frontalface_default with 5 found as many with 0.10.
SCALE_STEP = 1.1
NEIGHBOURS = 3
# The cascade was trained on windows of this side.
WINDOW = 20
# Smaller faces than this share of the picture's shorter side are not looked for: time.
SMALLEST_FACE = 1 / 20

# A Haar box begins at the forehead and ends above the chin; a landmark box goes from the brows to
# the chin. Landmark box in units of the Haar box, x0, y0, x1, y1: medians over the 1818 faces
# found in the 2012 300-W train pictures at hand, by `python tools/measure_haar_box.py`. They stand
# in where `prepare` could not measure the same on a network's own train faces.
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
            they may reach out of it. The surest face comes first.
        scores: (M,) float, 0 for a box that the detector barely takes for a face to 1 for one as
            sure as the surest twentieth of 300-W's train faces.
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
