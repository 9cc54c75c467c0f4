"""Boxes, square crops and 2 x 3 affine maps between an image and its crop.

Points are (…, K, 2) in pixels, x right, y down, pixel centres at integers. An affine map `m` of
shape (2, 3) sends a point p to `m[:, :2] @ p + m[:, 2]`.
"""

from __future__ import annotations

import numpy as np


def landmarks_box(landmarks: np.ndarray) -> np.ndarray:
    """Return the bounding boxes (…, 4) x0, y0, x1, y1 of landmarks (…, K, 2).

    Missing ones (NaN) do not count; where all are, the box is NaN.
    """
    low, high = np.fmin.reduce(landmarks, axis=-2), np.fmax.reduce(landmarks, axis=-2)
    return np.concatenate([low, high], axis=-1)


def square_crop(box: np.ndarray, margin: float, size: int, roll: float = 0.0) -> np.ndarray:
    """Return the map (2, 3) from image pixels to a `size` x `size` crop around `box`.

    The crop is a square with the box's centre; its side is the box's longer side times
    1 + `margin`. With a `roll` (radians, clockwise as one sees it) box and crop are turned by it
    about their centre, so that a head that is tilted by it is upright in the crop. Nothing is
    stretched, and a square that leaves the image is padded when it is sampled. The outer edges of
    the crop (pixel -0.5 and `size` - 0.5) fall on the square's.

    Raises:
        ValueError: the box has no extent.
    """
    x0, y0, x1, y1 = (float(v) for v in box)
    side = max(x1 - x0, y1 - y0) * (1 + margin)
    if not side > 0:
        raise ValueError(f"the box {box} has no extent")
    zoom = size / side
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    linear = np.eye(2) * zoom
    if roll:
        cosine, sine = np.cos(roll), np.sin(roll)
        linear = zoom * np.array([[cosine, sine], [-sine, cosine]])
    offset = np.full(2, (size - 1) / 2) - linear @ centre
    return np.column_stack([linear, offset])


def turned(vectors: np.ndarray, angles: np.ndarray | float) -> np.ndarray:
    """Turn vectors (…, 2) clockwise, as one sees it with y down, by angles (…) in radians."""
    cosine, sine = np.cos(angles), np.sin(angles)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (…, K, 2) with `matrix` (…, 2, 3); leading dimensions broadcast."""
    linear, offset = matrix[..., :2], matrix[..., 2]
    return points @ np.swapaxes(linear, -1, -2) + offset[..., None, :]


def scale(matrix: np.ndarray) -> np.ndarray:
    """Return how many pixels maps (…, 2, 3) make of one, (…); the root of areas' ratio."""
    return np.sqrt(np.abs(np.linalg.det(matrix[..., :2])))


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Return the map that applies `inner` (2, 3) first and `outer` (2, 3) second."""
    linear = outer[:, :2] @ inner[:, :2]
    offset = outer[:, :2] @ inner[:, 2] + outer[:, 2]
    return np.column_stack([linear, offset])


def invert(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of affine maps (…, 2, 3)."""
    linear = np.linalg.inv(matrix[..., :2])
    offset = -(linear @ matrix[..., 2:])
    return np.concatenate([linear, offset], axis=-1)


def to_network(points: np.ndarray, size: int) -> np.ndarray:
    """Pixels of a `size` x `size` crop to the network's coordinates in [-0.5, 0.5]."""
    return (points + 0.5) / size - 0.5


def from_network(points: np.ndarray, size: int) -> np.ndarray:
    """The network's coordinates in [-0.5, 0.5] to pixels of a `size` x `size` crop."""
    return (points + 0.5) * size - 0.5


def overlap(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return intersection over union of boxes (M, 4) with one box (4,)."""
    shared = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    common = shared.clip(min=0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return common / (areas - common)
