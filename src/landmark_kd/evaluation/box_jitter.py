"""Moves and scales the boxes of faces at random, since a detector's boxes are a little off, too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from landmark_kd.config.params import BoxJitterParams
from landmark_kd.faces.prepared import Faces
from landmark_kd.imaging.crops import sample
from landmark_kd.landmarks import geometry


def jittered_faces(faces: Faces, jitter: BoxJitterParams, seed: int) -> Faces:
    """Return the faces as a detector with loose boxes would hand them to a network.

    Every face's box is shifted and scaled at random (`jitter_boxes`), and its crop sampled anew
    out of the stored image, which is `crop.context` times as wide as the crop; where a box reaches
    beyond that, edge pixels are repeated.
    """
    if not (jitter.shift or jitter.scale):
        return faces
    size, border = faces.info.crop_size, faces.info.border
    # The box within the crop, a square: the crop is 1 + margin times as wide.
    side = size / (1 + faces.info.margin)
    low, high = (size - 1 - side) / 2, (size - 1 + side) / 2
    boxes = np.tile([low, low, high, high], (len(faces), 1))
    moved = jitter_boxes(boxes, jitter.shift, jitter.scale, seed)
    to_crop = np.stack([geometry.square_crop(box, faces.info.margin, size) for box in moved])
    images = np.empty((len(faces), size, size, 3), np.uint8)
    to_stored = np.array([[1, 0, border], [0, 1, border]], dtype=np.float64)
    for row, matrix in enumerate(to_crop):
        from_stored = geometry.compose(matrix, geometry.invert(to_stored))
        images[row] = sample(np.asarray(faces.images[row]), from_stored, size)
    crop_to_image = np.stack(
        [
            geometry.compose(to_image, geometry.invert(matrix))
            for to_image, matrix in zip(faces.crop_to_image, to_crop, strict=True)
        ]
    )
    return replace(
        faces, images=images, crop_to_image=crop_to_image, info=replace(faces.info, border=0)
    )


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
