"""Where the errors of a student and of its teachers lie in KD-Loss: which part ever sees them.

With e = |p - g| of the student and d = |t - g| of a teacher, coordinate by coordinate, KD-Loss
pulls the student harder where e > d, less where beta x d <= e <= d, and fades below
(docs/kd_loss.md). Where e > d for both teachers its gradient is that of L1 times a constant, which
Adam takes out again: what a teacher can change at all is what lies below its own error.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# Of histograms of errors: shares of the crop's side, evenly spaced in their logarithm.
EDGES = np.logspace(-5, 0, 61)

REGIONS = ("positive", "negative", "low")


def region_shares(
    errors: np.ndarray, teachers: Mapping[str, np.ndarray], beta: float
) -> dict[str, dict[str, float] | float]:
    """Return how large a share of the coordinates lies in each region of each teacher.

    Args:
        errors: (N, K, 2) of the student, in shares of the crop's side; NaN where a landmark is
            missing, which then counts nowhere.
        teachers: the same of each teacher.
        beta: in (0, 1); the low influence ends at beta times the teacher's error.

    Returns:
        {teacher: {positive, negative, low}}, and `beyond_all`: the share with e > d for every
        teacher, where KD-Loss is L1 times a constant. Shares are from 0 to 1.
    """
    known = ~np.isnan(errors)
    found: dict[str, dict[str, float] | float] = {}
    beyond_all = np.ones(int(known.sum()), bool)
    e = errors[known]
    for name, of_teacher in teachers.items():
        d = of_teacher[known]
        beyond, low = e > d, e < beta * d
        shares = (beyond.mean(), 1 - beyond.mean() - low.mean(), low.mean())
        found[name] = dict(zip(REGIONS, map(float, shares), strict=True))
        beyond_all &= beyond
    found["beyond_all"] = float(beyond_all.mean())
    return found


def histogram(errors: np.ndarray) -> list[float]:
    """Return the share of errors in each of EDGES' bins; errors outside count at the ends."""
    known = np.clip(errors[~np.isnan(errors)], EDGES[0], EDGES[-1])
    counts, _ = np.histogram(known, EDGES)
    return [float(share) for share in counts / len(known)]


def cumulative(shares: list[float]) -> np.ndarray:
    """Return the share of errors up to each of EDGES, of what `histogram` gave."""
    return np.concatenate([[0.0], np.cumsum(shares)])
