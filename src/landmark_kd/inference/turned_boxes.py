"""Boxes that are turned as heads are, from one image or data set's habit to another."""

from __future__ import annotations

import numpy as np

from landmark_kd.imaging.face_detector import LANDMARK_BOX, RelativeBox, in_units_of
from landmark_kd.inference.boxes import around, centre_half
from landmark_kd.inference.face_detector import FoundFaces
from landmark_kd.landmarks import geometry


def turned_back(found: FoundFaces, quarters: int, shape: tuple[int, ...]) -> FoundFaces:
    """Return, in an image of the shape (H, W, …), the faces found after it was turned.

    It was turned by so many quarters clockwise.
    """
    if not quarters:
        return found
    height, width = shape[:2]
    turned = (width, height) if quarters % 2 else (height, width)
    middle, turned_middle = (np.array([w - 1, h - 1]) / 2 for h, w in ((height, width), turned))
    angle = quarters * np.pi / 2

    def moved_back(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centre, half = centre_half(boxes)
        return geometry.turned(centre - turned_middle, -angle) + middle, half

    seen_centre, seen_half = moved_back(found.seen)
    return found._replace(
        boxes=around(*moved_back(found.boxes)),
        rolls=wrapped(found.rolls - angle),
        # These stand upright in the image, whatever the face does.
        seen=around(seen_centre, seen_half[:, ::-1] if quarters % 2 else seen_half),
    )


def place(
    detector: str, box_in_haar: RelativeBox | None, box_in_yunet: RelativeBox | None
) -> np.ndarray | None:
    """Return where a network's boxes lie in the boxes of landmarks that a face detector tells.

    What was measured for this detector counts, else what was for the other one: it differs by no
    more than the packaged constants, which say where landmarks lie in either one's boxes.

    Args:
        detector: its name, haar or yunet.
        box_in_haar, box_in_yunet: see `inference.metadata.ModelInfo`.

    Returns:
        (4,) in units of these boxes; None where neither was measured: where the landmarks lie.
    """
    in_haar, in_yunet = (
        None if box_in_haar is None else in_units_of(np.array(LANDMARK_BOX), np.array(box_in_haar)),
        None if box_in_yunet is None else np.array(box_in_yunet),
    )
    first, second = (in_yunet, in_haar) if detector == "yunet" else (in_haar, in_yunet)
    return second if first is None else first


def moved(boxes: np.ndarray, rolls: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return boxes (M, 4) in boxes, `wanted` (4,) in units of these, along the face's own axes."""
    centre, half = centre_half(boxes)
    corners = wanted.reshape(1, 2, 2) * 2 * half[:, None]
    # From the landmarks' centre, along the face's own axes.
    offset = geometry.turned(corners.mean(axis=1) - half, rolls)
    return around(centre + offset, (corners[:, 1] - corners[:, 0]) / 2)


def wrapped(angles: np.ndarray) -> np.ndarray:
    """Return angles in radians from -pi to pi."""
    return (angles + np.pi) % (2 * np.pi) - np.pi
