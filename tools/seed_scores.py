"""Scores of a network that was trained with several seeds, and its comparison with another.

A network's error on a face is its mean over the seeds; intervals and the paired comparison resample
the faces (95 %), and say nothing of further seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from landmark_kd.evaluation.bootstrap import Interval, compare, mean_intervals
from landmark_kd.landmarks.metrics import THRESHOLDS, auc, failure_rate

RESAMPLES = 10_000
BOOTSTRAP_SEED = 0
DECIMALS = 4


def seed_scores(errors: np.ndarray) -> dict[str, Any]:
    """Return scores of errors (seeds, N) in percent; rates are means over the seeds."""
    (nme,) = mean_intervals(errors.mean(axis=0)[:, None], resamples=RESAMPLES, seed=BOOTSTRAP_SEED)
    scores: dict[str, Any] = {
        "nme_of_seeds": [round(float(v), DECIMALS) for v in errors.mean(axis=1)],
        "nme": _rounded(nme),
    }
    for key, measure in (("fr", failure_rate), ("auc", auc)):
        for threshold in THRESHOLDS:
            value = np.mean([measure(seed_errors, threshold) for seed_errors in errors])
            scores[f"{key}{threshold}"] = round(float(value), DECIMALS)
    return scores


def comparison(first: np.ndarray, second: np.ndarray) -> dict[str, dict[str, float]]:
    """Return first - second, first / second and the share of faces on which the first is nearer.

    Args:
        first, second: errors (N,) of the same faces.
    """
    found = compare(first, second, resamples=RESAMPLES, seed=BOOTSTRAP_SEED)
    return {key: _rounded(value) for key, value in vars(found).items()}


def interval_text(interval: dict[str, float], form: str) -> str:
    """Write a value and its interval with a format such as `.2f`."""
    return f"{interval['value']:{form}} [{interval['low']:{form}}, {interval['high']:{form}}]"


def _rounded(interval: Interval) -> dict[str, float]:
    return {key: round(value, DECIMALS) for key, value in vars(interval).items()}
