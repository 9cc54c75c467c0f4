"""Scores a network that was trained with several seeds, and compares it with another.

A network's error on a face is its mean over the seeds; intervals and the paired comparison resample
the faces (95 %), and say nothing of further seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from landmark_kd.evaluation.bootstrap import compare, mean_intervals
from landmark_kd.evaluation.scores import MEASURES, rounded, scores

DECIMALS = 4


def seed_scores(errors: np.ndarray) -> dict[str, Any]:
    """Return scores of errors (seeds, N) in percent; rates are means over the seeds."""
    of_seeds = [scores(of_seed) for of_seed in errors]
    found: dict[str, Any] = {
        "nme_of_seeds": [of_seed["nme"] for of_seed in of_seeds],
        **mean_intervals({"nme": errors.mean(axis=0)}),
    }
    for key in MEASURES[1:]:
        found[key] = np.mean([of_seed[key] for of_seed in of_seeds])
    return rounded(found, DECIMALS)


def comparison(first: np.ndarray, second: np.ndarray) -> dict[str, dict[str, float]]:
    """Return first - second, first / second and the share of faces on which the first is nearer.

    Args:
        first, second: errors (N,) of the same faces.
    """
    return rounded(compare(first, second), DECIMALS)
