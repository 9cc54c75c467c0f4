"""Boxes of faces as a face detector finds them, moved to where `predict` expects landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from landmark_kd.imaging import face_detector
from landmark_kd.imaging.face_detector import SAME_FACE, RelativeBox, haar_box, in_units_of
from landmark_kd.inference.face_detector import FaceDetector, FoundFaces
from landmark_kd.inference.turned_boxes import moved, place
from landmark_kd.landmarks import geometry


class TurnedBox(NamedTuple):
    """A box (4,) x0, y0, x1, y1, turned by `roll` radians clockwise about its centre."""

    box: np.ndarray
    roll: float


@dataclass(frozen=True)
class DetectedBoxes:
    """The boxes that `detector` means in `crop.box` and `unlabelled.box`, by `crop.detector`.

    Attributes:
        box_in_haar: where the box of `crop.box` lies in those of OpenCV's Haar detector, None
            where that is not known.
        box_in_yunet: the same in the boxes of landmarks that YuNet tells.
        yunet: the detector whose boxes are taken, upright as the heads are; None takes Haar's.
    """

    box_in_haar: RelativeBox | None
    box_in_yunet: RelativeBox | None = None
    yunet: FaceDetector | None = None

    def of_face(self, image: np.ndarray, box: np.ndarray) -> TurnedBox | None:
        """Return the box of the face that has the box (4,), None where it is not found."""
        if self.yunet is None:
            haar = haar_box(image, box)
            return None if haar is None else self._of_haar(haar)
        found = yunet_face(self.yunet, image, box)
        return None if found is None else self._of_yunet(found)

    def highest_scoring(self, image: np.ndarray) -> TurnedBox | None:
        """Return the box of the highest-scoring face, None where there is none."""
        if self.yunet is None:
            boxes, _ = face_detector.find_faces(image, self._place_in_haar())
            return TurnedBox(boxes[0], 0.0) if len(boxes) else None
        found = self.yunet.find(image)
        if not len(found.boxes):
            return None
        return self._of_yunet(_upright(self.yunet, image, found.at(np.array([0]))))

    def _of_haar(self, haar: np.ndarray) -> TurnedBox:
        boxes = face_detector.landmark_boxes(haar[None], self._place_in_haar())
        return TurnedBox(boxes[0], 0.0)

    def _place_in_haar(self) -> RelativeBox:
        return self.box_in_haar or face_detector.LANDMARK_BOX

    def _of_yunet(self, found: FoundFaces) -> TurnedBox:
        # As `predict` does with the model's metadata.
        wanted = place("yunet", self.box_in_haar, self.box_in_yunet)
        boxes = found.boxes if wanted is None else moved(found.boxes, found.rolls, wanted)
        return TurnedBox(boxes[0], float(found.rolls[0]))


def yunet_face(detector: FaceDetector, image: np.ndarray, box: np.ndarray) -> FoundFaces | None:
    """Return the face that has the box (4,), None if it is not found.

    YuNet looks at the whole image, as it does in `predict`: in a small square around the face it
    misses most heads that lie on their side.

    Args:
        image: (H, W, 3) uint8 BGR.

    Returns:
        One face.
    """
    found = detector.find(image)
    overlaps = geometry.overlap(found.seen, box)
    if overlaps.max(initial=0) < SAME_FACE:
        return None
    return _upright(detector, image, found.at(np.array([overlaps.argmax()])))


def box_in_yunet(detector: FaceDetector, image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """Return a face's box (4,) in units of the box of landmarks that YuNet tells.

    It is None of faces that are tilted, whose own axes are not those of their boxes, and of those
    that are not found.
    """
    found = yunet_face(detector, image, box)
    if found is None or not found.upright[0]:
        return None
    return in_units_of(found.boxes[0], box)


def _upright(detector: FaceDetector, image: np.ndarray, found: FoundFaces) -> FoundFaces:
    """Look closer at a face that may be tilted otherwise, as `predict` does."""
    return found if found.upright[0] else detector.look_closer(image, found)
