"""Bootstrap over faces: how far a mean may be off, and whether two networks differ.

Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13: percentile intervals.
NME, failure rate and AUC are all means of one number a face, so a resample of the faces needs
nothing but the mean of each column. All columns see the same resamples, which is what makes the
comparison of two networks a paired one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from landmark_kd.landmarks.missing import mean_present

LEVEL = 0.95
# Of tables outside the pipeline; the evaluate stage takes its own from params.yaml.
RESAMPLES, SEED = 10_000, 0
# Counts of one block of resamples, as float64, take at most 64 MiB.
BLOCK_BYTES = 64 * 2**20

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Interval:
    """A mean over faces and its interval at LEVEL."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedComparison:
    """Network a against network b on the same faces.

    Attributes:
        difference: of the means, a - b; below zero where a's errors are smaller.
        ratio: of the means, a / b.
        better: share of faces, 0 to 1, on which a's error is smaller than b's.
    """

    difference: Interval
    ratio: Interval
    better: Interval


def resampled_means(values: np.ndarray, *, resamples: int, seed: int) -> np.ndarray:
    """Means of each column over faces drawn with replacement.

    Args:
        values: (N, C) float, a row a face, a column a measure; NaN where a face has none, which
            the mean is then without.
        resamples: B.
        seed: the same seed and N give the same resamples.

    Returns:
        (B, C) float64.

    Raises:
        ValueError: no faces, values that are not finite, or no resamples.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or len(values) == 0:
        raise ValueError(f"values must be (N, C) of at least one face, found {values.shape}")
    known = ~np.isnan(values)
    if not (np.isfinite(values) | ~known).all() or not known.any(axis=0).all():
        raise ValueError("values must be finite numbers")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; it must be at least 1")
    faces = len(values)
    generator = np.random.default_rng(seed)
    block = max(1, BLOCK_BYTES // (8 * faces))
    # How often each face is drawn in N draws with replacement is multinomial.
    chances = np.full(faces, 1 / faces)
    means = []
    for start in range(0, resamples, block):
        drawn = generator.multinomial(faces, chances, size=min(block, resamples - start))
        if known.all():
            means.append(drawn @ values / faces)
        else:
            counted = drawn @ known
            total = drawn @ np.where(known, values, 0.0)
            # NaN of a resample in which no face has the measure.
            means.append(np.where(counted > 0, total / np.maximum(counted, 1), np.nan))
    return np.concatenate(means)


def mean_intervals(
    columns: Mapping[Name, np.ndarray], *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[Name, Interval]:
    """Return mean and interval of each column (N,) of the same faces; see `resampled_means`."""
    values = np.stack(list(columns.values()), axis=1)
    drawn = resampled_means(values, resamples=resamples, seed=seed)
    return {
        name: _interval(mean, column)
        for name, mean, column in zip(columns, mean_present(values, axis=0), drawn.T, strict=True)
    }


def compare(
    a: np.ndarray, b: np.ndarray, *, resamples: int = RESAMPLES, seed: int = SEED
) -> PairedComparison:
    """Compare the errors (N,) of two networks on the same faces, resampled together.

    Raises:
        ValueError: not the same number of faces, none, or errors that are not finite or below
            zero, or all zero.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"errors must be two (N,) of the same faces, found {a.shape}, {b.shape}")
    if (a < 0).any() or (b <= 0).any():
        raise ValueError("errors must not be below zero, and b's must be above it")
    columns = np.stack([a, b, a < b], axis=1)
    drawn_a, drawn_b, drawn_better = resampled_means(columns, resamples=resamples, seed=seed).T
    mean_a, mean_b, better = columns.mean(axis=0)
    return PairedComparison(
        difference=_interval(mean_a - mean_b, drawn_a - drawn_b),
        ratio=_interval(mean_a / mean_b, drawn_a / drawn_b),
        better=_interval(better, drawn_better),
    )


def _interval(value: float, drawn: np.ndarray) -> Interval:
    low, high = np.quantile(drawn[~np.isnan(drawn)], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))
