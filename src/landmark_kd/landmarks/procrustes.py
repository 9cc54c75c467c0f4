"""Generalised Procrustes alignment: shapes without their pose (Cootes et al. 1995; Gower 1975)."""

from __future__ import annotations

from typing import Literal

import numpy as np

Align = Literal["similarity", "none"]

# Procrustes: the mean shape has size 1, so this is far below any landmark's accuracy.
MEAN_TOLERANCE = 1e-12
MAX_ALIGNMENTS = 100
# A shape smaller than this share of its distance from the origin is a single point.
NO_EXTENT = 1e-9


def checked_shapes(shapes: np.ndarray, align: Align) -> np.ndarray:
    shapes = np.asarray(shapes, dtype=np.float64)
    if shapes.ndim != 3 or shapes.shape[2] != 2 or shapes.shape[1] < 2:
        raise ValueError(
            f"shapes must be (N, K, 2) with at least 2 landmarks, found {shapes.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(shapes).all(axis=(1, 2)))
    if len(bad):
        raise ValueError(f"shape {bad[0]} has coordinates that are not finite numbers")
    if align == "similarity":
        extent = np.ptp(shapes, axis=1).max(axis=1)
        points = np.flatnonzero(extent <= NO_EXTENT * np.abs(shapes).max(axis=(1, 2)))
        if len(points):
            raise ValueError(f"all landmarks of shape {points[0]} are one point; it has no pose")
    return shapes


def procrustes_mean(shapes: np.ndarray) -> np.ndarray:
    """Mean shape (K, 2) of size 1 with which the mean of the shapes aligned to it agrees."""
    mean = shapes[0] - shapes[0].mean(axis=0)
    mean /= np.linalg.norm(mean)
    for _ in range(MAX_ALIGNMENTS):
        aligned, pose, _ = aligned_to_mean(shapes, mean)
        new = procrustes_fit(shapes, aligned, pose).mean(axis=0)
        new /= np.linalg.norm(new)
        moved = np.abs(new - mean).max()
        mean = new
        if moved < MEAN_TOLERANCE:
            break
    # So far the mean is turned as the first shape is; turn it as they are on average.
    pose = aligned_to_mean(shapes, mean)[1]
    turn = np.angle((pose / np.abs(pose)).sum())
    return to_real(to_complex(mean) * np.exp(1j * turn))


def aligned_to_mean(
    shapes: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take the pose off shapes: the similarity that brings the mean closest to each.

    Points are complex numbers x + iy here, for which a similarity is z -> pose * z + centroid.
    With the mean centred and of size 1, pose = <mean, z>, and what an aligned shape has beside
    the mean is orthogonal to the mean's translation, rotation and scaling: tangent space.

    Returns:
        aligned (N, K, 2), pose (N, 1) complex and centroid (N, 1) complex.
    """
    z = to_complex(shapes)
    centroid = z.mean(axis=1, keepdims=True)
    pose = (z - centroid) @ to_complex(mean).conj()[:, None]
    size = np.linalg.norm(z - centroid, axis=1, keepdims=True)
    unlike = np.flatnonzero(np.abs(pose) <= NO_EXTENT * size)
    if len(unlike):
        raise ValueError(f"shape {unlike[0]} has nothing in common with the mean shape")
    return to_real((z - centroid) / pose), pose, centroid


def procrustes_fit(shapes: np.ndarray, aligned: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Return shapes (N, K, 2) by the similarity that brings each closest to the mean.

    Beside `aligned_to_mean`, which fits the mean to the shape, it is smaller by the squared cosine
    of the angle between both, so that odd shapes count less in the mean and the modes.
    """
    centred = shapes - shapes.mean(axis=1, keepdims=True)
    square_size = np.square(centred).sum(axis=(1, 2), keepdims=True)
    return aligned * (np.abs(pose)[:, :, None] ** 2 / square_size)


def to_complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def to_real(points: np.ndarray) -> np.ndarray:
    return np.stack([points.real, points.imag], axis=-1)
