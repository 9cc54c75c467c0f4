"""dlib's frontal face detector (HOG), to compare with where dlib is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import numpy as np

from landmark_kd.inference.face_detector import FoundFaces


def installed() -> bool:
    """Tell whether dlib is there; it is no requirement of this project."""
    return find_spec("dlib") is not None


class DlibDetector:
    """Upright faces of some 80 pixels and more, in images as they are (not enlarged).

    Its boxes are taken for those of the landmarks.
    """

    name = "dlib"

    def __init__(self) -> None:
        self._detector = import_module("dlib").get_frontal_face_detector()

    def find(self, image: np.ndarray, min_face: float | None = None) -> FoundFaces:
        """Find the faces of an image (H, W, 3) uint8 BGR; `min_face` makes no difference."""
        rectangles, scores, _ = self._detector.run(np.ascontiguousarray(image[..., ::-1]), 0, 0.0)
        boxes = np.array([[r.left(), r.top(), r.right(), r.bottom()] for r in rectangles], float)
        boxes, count = boxes.reshape(-1, 4), len(rectangles)
        # The margin of a classifier, from 0 on; faces have 1 and more.
        sure = np.clip(np.array(scores, float), 0, 1)
        return FoundFaces(boxes, np.zeros(count), sure, boxes, np.ones(count, bool))

    def look_closer(self, image: np.ndarray, found: FoundFaces) -> FoundFaces:
        """Return the faces as they are: one that it finds is upright."""
        return found
