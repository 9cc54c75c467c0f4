"""Boxes moved and scaled at random: how much a network depends on an exact face box."""

from __future__ import annotations

import numpy as np


def jitter_boxes(boxes: np.ndarray, shift: float, scale: float, seed: int) -> np.ndarray:
    """Move and scale each box at random, uniformly.

    Each face has draws of its own, by `seed` and its index: they do not depend on the other
    faces, and another `shift` or `scale` moves and scales a box in proportion.

    Args:
        boxes: (N, 4) x0, y0, x1, y1.
        shift: each centre moves by up to this share of the box's longer side, in x and in y; the
            longer side is what `geometry.square_crop` makes the crop from. 0 or more.
        scale: width and height are multiplied by one factor within 1 ± `scale`, about the
            centre; in [0, 1).
        seed: 0 or more.

    Returns:
        (N, 4) float64; exactly `boxes` where `shift` and `scale` are 0.

    Raises:
        ValueError: `boxes`, `shift` or `scale` is not as said.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be (N, 4) x0, y0, x1, y1, but are {boxes.shape}")
    if not (shift >= 0 and np.isfinite(shift)):
        raise ValueError(f"shift is {shift}; it must be a share of the box's side, 0 or more")
    if not 0 <= scale < 1:
        raise ValueError(f"scale is {scale}; it must be at least 0 and below 1")
    draws = [np.random.default_rng([seed, face]).uniform(-1, 1, 3) for face in range(len(boxes))]
    unit = np.array(draws).reshape(-1, 3)
    extent = boxes[:, 2:] - boxes[:, :2]
    moved = shift * unit[:, :2] * extent.max(axis=1, keepdims=True)
    grown = scale * unit[:, 2:] * extent / 2
    # Added to the corners, not built anew from centre and side: no jitter is no rounding either.
    return boxes + np.hstack([moved - grown, moved + grown])
