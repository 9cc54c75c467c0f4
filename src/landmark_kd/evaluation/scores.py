"""Scores the errors of faces by NME, failure rates and AUCs, and writes scores.

Errors are percent of the normaliser (`landmarks.metrics.nme`). A face that was not found has an
infinite error: it counts as a failure at every threshold and adds nothing to an AUC, and the NME is
the mean over the faces that were found. A face whose error is NaN cannot be measured, since the
normaliser's points are missing, and is in none of the numbers. Intervals and paired comparisons:
`evaluation.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from landmark_kd.landmarks import metrics
from landmark_kd.landmarks.missing import mean_present

# Enough to tell runs apart, few enough that no rounding error shows.
DECIMALS = 6

# A face decides a mean if it is more than this share of the sum, and so many times as large as the
# median of the others.
DECIDING_SHARE, DECIDING_TIMES = 0.1, 5.0

MEASURES = ("nme", *(f"{key}{t}" for key in ("fr", "auc") for t in metrics.THRESHOLDS))


def rates(
    errors: np.ndarray, thresholds: Sequence[float] = metrics.THRESHOLDS
) -> dict[str, np.ndarray]:
    """Return numbers of each face whose means are the failure rates and AUCs.

    Args:
        errors: (N,) percent, infinite where a face was not found, NaN where it has no error.

    Returns:
        {fr8, fr10, auc8, auc10: (N,) percent}, by the thresholds.

    Raises:
        ValueError: there are no errors.
    """
    unknown = np.isnan(errors)
    counted = np.where(np.isposinf(errors), 2 * max(thresholds), np.where(unknown, 0.0, errors))
    parts = {"fr": metrics.failures, "auc": metrics.areas}
    return {
        f"{key}{t}": np.where(unknown, np.nan, part(counted, t))
        for key, part in parts.items()
        for t in thresholds
    }


def scores(errors: np.ndarray) -> dict[str, Any]:
    """Return the MEASURES of errors (N,), percent.

    The NME is None where no face was found, all are where no face can be measured.

    Raises:
        ValueError: see `rates`.
    """
    if len(errors) and np.isnan(errors).all():
        return dict.fromkeys(MEASURES)
    means = {key: mean_present(values) for key, values in rates(errors).items()}
    found = errors[np.isfinite(errors)]
    return {"nme": found.mean() if len(found) else None, **means}


def deciding(errors: np.ndarray) -> dict[int, float]:
    """Return the faces that a mean of errors hangs on, by their share of it, the largest first.

    Args:
        errors: (N,) percent, not finite where a face has none, which adds nothing to the mean.

    Returns:
        {row: share of the sum, 0 to 1}; none where there are fewer than two errors.
    """
    measured = np.flatnonzero(np.isfinite(errors))
    found = {}
    for row in measured[np.argsort(-errors[measured], kind="stable")]:
        others = errors[measured[measured != row]]
        share = errors[row] / max(errors[measured].sum(), np.finfo(float).tiny)
        if share <= DECIDING_SHARE or not len(others):
            break
        if errors[row] > DECIDING_TIMES * np.median(others):
            found[int(row)] = float(share)
    return found


def deciding_sentences(
    errors: Mapping[str, np.ndarray],
    subsets: Mapping[str, np.ndarray],
    names: Sequence[str],
    normalizer: np.ndarray,
) -> list[str]:
    """Return a sentence for each face that a mean error in a table hangs on.

    Args:
        errors: {network: (N,) percent}.
        subsets: {subset: (n,) rows} that means are taken of.
        names: of the N faces.
        normalizer: (N,) distances of the faces that the errors are measured in, pixels.
    """
    most: dict[int, tuple[float, str, str]] = {}
    for network, of_faces in errors.items():
        for subset, rows in subsets.items():
            for place, share in deciding(of_faces[rows]).items():
                row = int(rows[place])
                most[row] = max(most.get(row, (0.0, "", "")), (share, network, subset))
    return [
        f"{names[row]} makes {100 * share:.0f} % of the mean NME of {network} on {subset}: its "
        f"error is {errors[network][row]:.6g} %, its normaliser {normalizer[row]:.4g} pixels; look "
        "at its landmarks"
        for row, (share, network, subset) in sorted(most.items(), key=lambda item: -item[1][0])
    ]


def rounded(found: Any, decimals: int = DECIMALS) -> Any:
    """Return nested scores as JSON has them: floats rounded, intervals and comparisons as dicts."""
    if is_dataclass(found):
        found = vars(found)
    if isinstance(found, Mapping):
        return {key: rounded(value, decimals) for key, value in found.items()}
    if isinstance(found, list):
        return [rounded(value, decimals) for value in found]
    return round(float(found), decimals) if isinstance(found, float) else found


def interval_text(interval: Mapping[str, float], form: str = ".2f") -> str:
    """Write a rounded interval with a format: `3.18 [3.10, 3.26]`."""
    return f"{interval['value']:{form}} [{interval['low']:{form}}, {interval['high']:{form}}]"
