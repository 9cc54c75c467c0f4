"""Boxes x0, y0, x1, y1 as centres and half sides, and back."""

from __future__ import annotations

import numpy as np


def centre_half(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres (…, 2) and half the sides (…, 2) of boxes (…, 4)."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, (high - low) / 2


def around(centre: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return the boxes (…, 4) around centres (…, 2), of half the sides (…, 2)."""
    return np.concatenate([centre - half, centre + half], axis=-1)
