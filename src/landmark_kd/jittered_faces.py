"""Prepared faces in boxes that are a little off, as a detector's are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from landmark_kd import geometry
from landmark_kd.faces import Faces
from landmark_kd.jitter import jitter_boxes
from landmark_kd.params import BoxJitterParams
from landmark_kd.sampling import sample


def jittered_faces(faces: Faces, jitter: BoxJitterParams, seed: int) -> Faces:
    """Return the faces as a detector with loose boxes would hand them to a network.

    Every face's box is shifted and scaled by chance (`jitter_boxes`), and its crop sampled anew
    out of the stored picture, which is `crop.context` times as wide as the crop; what a box takes
    in from beyond that are repeated edge pixels.
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
