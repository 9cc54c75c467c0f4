"""Boxes that are turned as heads are, from one image or data set's habit to another."""

from __future__ import annotations

import numpy as np

from landmark_kd.imaging.face_detector import LANDMARK_BOX
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


def moved(boxes: np.ndarray, rolls: np.ndarray, box_in_haar: tuple[float, ...]) -> np.ndarray:
    """Turn boxes (M, 4) of landmarks into those that a network was trained on."""
    typical = np.asarray(LANDMARK_BOX)
    wanted = (np.reshape(box_in_haar, (2, 2)) - typical[:2]) / (typical[2:] - typical[:2])
    centre, half = centre_half(boxes)
    corners = wanted[None] * 2 * half[:, None]
    # From the landmarks' centre, along the face's own axes.
    offset = geometry.turned(corners.mean(axis=1) - half, rolls)
    return around(centre + offset, (corners[:, 1] - corners[:, 0]) / 2)


def wrapped(angles: np.ndarray) -> np.ndarray:
    """Return angles in radians from -pi to pi."""
    return (angles + np.pi) % (2 * np.pi) - np.pi
