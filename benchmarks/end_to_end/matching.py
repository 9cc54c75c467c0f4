"""Which detected faces are which annotated ones."""

from __future__ import annotations

import numpy as np

from landmark_kd.landmarks import geometry

# An annotated face is found by landmarks whose upright box and its own share this much
# (intersection / union). It is low enough that bad landmarks on the face count as found, with their
# error, and high enough that a neighbour's do not.
SAME_FACE = 0.4
# What `matched` says of an annotated face that no detection found.
MISSED = -1


def matched(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the index (F,) of the detection of each annotated face, or MISSED.

    A detection finds one face at most and a face is found by one detection at most; the pairs
    whose boxes overlap most are taken first.

    Args:
        found: (M, K, 2) landmarks of the detections.
        true: (F, K, 2) hard-landmarks of the same image.
    """
    of_face = np.full(len(true), MISSED)
    if not len(found) or not len(true):
        return of_face
    boxes = geometry.landmarks_box(found)
    overlaps = np.stack([geometry.overlap(boxes, box) for box in geometry.landmarks_box(true)])
    while overlaps.max() >= SAME_FACE:
        face, detection = np.unravel_index(overlaps.argmax(), overlaps.shape)
        of_face[face] = detection
        overlaps[face], overlaps[:, detection] = MISSED, MISSED
    return of_face
