"""Landmarks that are missing: NaN in x and in y, wherever landmarks stand.

A data set does not give them (`missing` in landmark-kd.yaml), or they are masked. No loss is
learnt from a missing landmark and no error counted; a box is that of the landmarks which are there.
Occluded landmarks are something else: the data set says where they are.
"""

from __future__ import annotations

import numpy as np


def present(landmarks: np.ndarray) -> np.ndarray:
    """Return which of landmarks (..., K, 2) are there, (..., K) bool."""
    return np.asarray(~np.isnan(landmarks).any(axis=-1))


def complete(landmarks: np.ndarray) -> np.ndarray:
    """Return which faces (...) of landmarks (..., K, 2) have all of them."""
    return np.asarray(present(landmarks).all(axis=-1))


def sound(landmarks: np.ndarray) -> np.ndarray:
    """Return which faces (...) of landmarks (..., K, 2) have finite or missing ones alone."""
    finite, missing = np.isfinite(landmarks).all(axis=-1), np.isnan(landmarks).all(axis=-1)
    return np.asarray((finite | missing).all(axis=-1))


def mean_present(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the mean of the values that are not NaN along an axis, NaN where there is none."""
    known = ~np.isnan(values)
    if known.all():
        return values.mean(axis=axis)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
