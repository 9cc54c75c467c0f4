"""Images, boxes and rolls that a user gives, checked."""

from __future__ import annotations

import cv2
import numpy as np


def checked_image(image: np.ndarray) -> np.ndarray:
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image must be a numpy array, but is {type(image).__name__}")
    colour = image.ndim == 3 and image.shape[2] == 3
    if image.dtype != np.uint8 or image.size == 0 or not (colour or image.ndim == 2):
        raise ValueError(
            "image must be (H, W, 3) uint8 BGR as cv2.imread gives it, or (H, W) grey, "
            f"but is {image.shape} {image.dtype}"
        )
    return image if colour else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)


def checked_boxes(boxes: np.ndarray) -> np.ndarray:
    array = np.asarray(boxes, dtype=np.float64)
    if array.size == 0:
        return np.empty((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes must be (M, 4) x0, y0, x1, y1, but are {array.shape}")
    for row, box in enumerate(array):
        if not (np.isfinite(box).all() and (box[2:] > box[:2]).all()):
            raise ValueError(
                f"box {row} is {box.tolist()}, but must be finite with x0 < x1 and y0 < y1"
            )
    return array


def checked_rolls(rolls: np.ndarray | None, count: int) -> np.ndarray:
    if rolls is None:
        return np.zeros(count)
    try:
        array = np.asarray(rolls, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise ValueError(f"rolls must be ({count},) finite degrees, a box each, but are {rolls}")
    return np.radians(array)
