"""Boxes that are turned as heads are, from one image or data set's habit to another."""

from __future__ import annotations

import numpy as np

from landmark_kd.imaging.face_detector import LANDMARK_BOX
from landmark_kd.inference.face_detector import FoundFaces
from landmark_kd.landmarks import geometry


def turned_back(
    found: FoundFaces, quarters: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and rolls in an image of the shape (H, W, …) of faces found after it was turned.

    It was turned by so many quarters clockwise.
    """
    boxes, rolls = found.boxes, found.rolls
    if not quarters or not len(boxes):
        return boxes, rolls
    height, width = shape[:2]
    turned = (width, height) if quarters % 2 else (height, width)
    middle, turned_middle = (np.array([w - 1, h - 1]) / 2 for h, w in ((height, width), turned))
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    angle = quarters * np.pi / 2
    centre = geometry.turned(centre - turned_middle, -angle) + middle
    return np.concatenate([centre - half, centre + half], axis=1), wrapped(rolls - angle)


def moved(boxes: np.ndarray, rolls: np.ndarray, box_in_haar: tuple[float, ...]) -> np.ndarray:
    """Turn boxes (M, 4) of landmarks into those that a network was trained on."""
    typical = np.asarray(LANDMARK_BOX)
    wanted = (np.reshape(box_in_haar, (2, 2)) - typical[:2]) / (typical[2:] - typical[:2])
    extent = boxes[:, 2:] - boxes[:, :2]
    corners = wanted[None] * extent[:, None]
    # From the landmarks' centre, along the face's own axes.
    offset = geometry.turned(corners.mean(axis=1) - extent / 2, rolls)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + offset
    half = (corners[:, 1] - corners[:, 0]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def wrapped(angles: np.ndarray) -> np.ndarray:
    """Return angles in radians from -pi to pi."""
    return (angles + np.pi) % (2 * np.pi) - np.pi
