"""What the pages' diagrams show, as numbers; charts.js draws them.

Everything returned is made of what JSON knows; None stands for a number that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from landmark_kd.core.errors import UserError
from landmark_kd.distillation.losses import KDLoss, PointsLoss
from landmark_kd.evaluation.bootstrap import mean_intervals
from landmark_kd.evaluation.evaluate import CED_LARGEST_ERROR, CED_STEPS
from landmark_kd.evaluation.report import kd_loss_curve
from landmark_kd.faces.prepared import Faces
from landmark_kd.html_report.page import MINUS
from landmark_kd.html_report.run import Curve
from landmark_kd.landmarks import metrics
from landmark_kd.landmarks.head import head_pose
from landmark_kd.landmarks.missing import complete, mean_present, present
from landmark_kd.landmarks.procrustes import to_complex
from landmark_kd.landmarks.scheme import IBUG_68, LandmarkScheme, convert
from landmark_kd.soft_landmarks.shape_model import ShapeModel

# Digits of a number in the page: more than any diagram shows.
DIGITS = 5
MODES_SHOWN = 5
# Degrees; the nose of a positive yaw points right in the image, a positive tilt is clockwise.
YAW_EDGES = (-30, -20, -10, 10, 20, 30)
TILT_EDGES = (-20, -10, -5, 5, 10, 20)
# Bins of as many faces each, of sizes and other numbers without fixed edges.
QUANTILES = 6
# Faces below which a bin's mean says nothing.
FEWEST = 2
HISTOGRAM_BINS = 60
# Of the main network's faces, whose errors the distribution shows at least.
SHOWN_SHARE = 0.9
# The histogram of the teachers' distances goes on to this share of them.
HISTOGRAM_SHARE = 0.98


def numbers(values: Any) -> list[Any]:
    """Return an array as nested lists of numbers with DIGITS significant digits, or None."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim > 1:
        return [numbers(row) for row in array]
    return [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in array.tolist()]


def columns(table: pd.DataFrame, x: str, names: Sequence[str]) -> dict[str, Any]:
    """Return {x, series: {name: values}} of the named columns that a table has."""
    there = [name for name in names if name in table.columns]
    return {
        "x": numbers(table[x]),
        "series": {name: numbers(table[name]) for name in there},
    }


def distributions(errors: Mapping[str, np.ndarray], main: str) -> dict[str, Any]:
    """Return {x, series} of the cumulative error distributions, shares of all faces.

    They go on to CED_LARGEST_ERROR as ced.csv does, or further where few faces of the main network
    have so small an error.
    """
    known = {name: e[np.isfinite(e)] for name, e in errors.items()}
    most = float(np.quantile(known[main], SHOWN_SHARE)) if len(known[main]) else 0.0
    largest = CED_LARGEST_ERROR * max(1, np.ceil(most / CED_LARGEST_ERROR))
    x = np.linspace(0, largest, CED_STEPS + 1)
    series = {name: numbers(metrics.ced(e, x)) for name, e in known.items() if len(e)}
    return {"x": numbers(x), "series": series}


def training(curves: Mapping[str, Curve]) -> dict[str, Any]:
    """Return {network: {epochs, nme, losses: {part: values}}}."""
    return {
        name: {
            "epochs": curve.epochs,
            "nme": numbers(curve.nme),
            "losses": {part: numbers(values) for part, values in curve.losses.items()},
        }
        for name, curve in curves.items()
    }


def scheme_drawing(scheme: LandmarkScheme) -> dict[str, Any]:
    """Return {contours: [[indices, closed]], names} of a landmark scheme."""
    lines = [[list(indices), bool(closed)] for indices, closed in scheme.contours]
    return {"contours": lines, "names": list(scheme.names)}


def mean_face(train: Faces, per_landmark: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
    """Return {points: the train faces' mean shape, errors: {network: (K,) percent}}."""
    mean = mean_present(train.crop_landmarks()[train.train_rows()], axis=0)
    errors = {name: numbers(per_landmark[name]) for name in names if name in per_landmark}
    return {"points": numbers(mean), "errors": errors}


def head_angles(landmarks: np.ndarray, scheme: LandmarkScheme) -> np.ndarray | None:
    """Return each head's yaw (N,) in degrees, NaN of incomplete faces; None of other schemes."""
    try:
        as_ibug = convert(landmarks, scheme, IBUG_68)
    except UserError:
        return None
    yaw = np.full(len(landmarks), np.nan)
    whole = complete(as_ibug)
    if whole.any():
        yaw[whole] = head_pose(as_ibug[whole])[:, 0]
    return yaw


def tilt(landmarks: np.ndarray, upright: np.ndarray) -> np.ndarray:
    """Return by how many degrees (N,) faces are turned against an upright shape, clockwise.

    Args:
        landmarks: (N, K, 2), NaN where missing.
        upright: (K, 2), NaN where nobody knows.
    """
    there = present(landmarks) & present(upright)
    z = np.where(there, to_complex(np.nan_to_num(landmarks)), 0)
    mean = np.where(there, to_complex(np.nan_to_num(upright)), 0)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    z = np.where(there, z - z.sum(axis=1, keepdims=True) / count, 0)
    mean = np.where(there, mean - mean.sum(axis=1, keepdims=True) / count, 0)
    turned = np.degrees(np.angle((z * mean.conj()).sum(axis=1)))
    return np.where(there.sum(axis=1) < 2, np.nan, turned)


def traits(test: Faces, train: Faces) -> dict[str, np.ndarray]:
    """Return what makes faces hard, (N,) each: yaw and tilt in degrees, size in pixels.

    Size is the root of the landmarks' box's area in the original image. Yaw is there where the
    landmarks are 300-W's 68, or can be turned into these.
    """
    mean = mean_present(train.crop_landmarks()[train.train_rows()], axis=0)
    yaw = head_angles(test.landmarks, test.info.scheme)
    found = {} if yaw is None else {"yaw": yaw}
    found["tilt"] = tilt(test.landmarks, mean)
    found["size"] = metrics.box_size(test.landmarks)
    return found


def binned_errors(
    values: np.ndarray,
    errors: Mapping[str, np.ndarray],
    edges: Sequence[float] | None,
    *,
    resamples: int,
    seed: int,
    unit: str,
) -> dict[str, Any]:
    """Return the mean errors of faces in bins of some value, with bootstrap intervals.

    Args:
        values: (N,); faces whose value is NaN are in no bin.
        errors: {network: (N,) percent}; faces without an error are in no bin.
        edges: inner edges of the bins; None takes QUANTILES bins of as many faces each.
        unit: of the values, for the bins' names.

    Returns:
        {bins: names, n: faces in each, series: {network: [[mean, low, high] of each bin]}}; bins
        of fewer than FEWEST faces are left out.
    """
    known = np.isfinite(values) & np.all([np.isfinite(e) for e in errors.values()], axis=0)
    result: dict[str, Any] = {"bins": [], "n": [], "series": {name: [] for name in errors}}
    if not known.any():
        return result
    if edges is None:
        inner = np.quantile(values[known], np.linspace(0, 1, QUANTILES + 1)[1:-1])
        edges = sorted({float(f"{edge:.3g}") for edge in inner})
    bin_of = np.digitize(values, edges)
    names = [f"< {edges[0]:g}"]
    names += [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    names.append(f"≥ {edges[-1]:g}")
    for number, name in enumerate(names):
        rows = np.flatnonzero(known & (bin_of == number))
        if len(rows) < FEWEST:
            continue
        of_bin = mean_intervals(
            {network: e[rows] for network, e in errors.items()}, resamples=resamples, seed=seed
        )
        result["bins"].append(f"{name}{unit}".replace("-", MINUS))
        result["n"].append(len(rows))
        for network, interval in of_bin.items():
            result["series"][network].append(numbers([interval.value, interval.low, interval.high]))
    return result


def shape_modes(model: ShapeModel, variance: pd.DataFrame | None) -> dict[str, Any]:
    """Return {mean, modes, shares, kept, cumulative, nme}.

    `modes` are (M, K, 2) moves of one standard deviation; `cumulative` and `nme` have an entry for
    each number of modes kept.
    """
    count = min(MODES_SHOWN, len(model.modes))
    moves = model.modes[:count] * np.sqrt(model.variances[:count])[:, None, None]
    shares = model.all_variances / model.all_variances.sum()
    found = {
        "mean": numbers(model.mean),
        "modes": numbers(moves),
        "shares": numbers(shares[:count]),
        "kept": len(model.modes),
        "explained": round(model.explained, 4),
    }
    if variance is not None:
        found["cumulative"] = numbers(variance["cumulative"])
        found["nme"] = numbers(variance["nme"])
    return found


def kd_regions(
    hard: np.ndarray,
    teachers: Mapping[str, np.ndarray],
    loss: KDLoss | PointsLoss,
    beta: float | None,
) -> dict[str, Any]:
    """Return how far the teachers are from the hard-landmarks, and KD-Loss at their medians.

    Args:
        hard: (N, K, 2) of the train faces, network coordinates, NaN where missing.
        teachers: the same of each teacher's predictions.
        loss: whose curve is drawn.
        beta: share of |t - g| at which low influence begins; None where the loss has no regions.

    Returns:
        `edges` of the histogram's bins and `medians` of |t - g|, percent of the crop's side;
        `histograms`: {teacher: shares of coordinates}; `curve`: {x: error, percent, series: total
        and weighted parts}, each teacher at its median; `beta`.
    """
    apart = {name: np.abs(points - hard) for name, points in teachers.items()}
    known = {name: 100 * values[np.isfinite(values)] for name, values in apart.items()}
    largest = max(float(np.quantile(values, HISTOGRAM_SHARE)) for values in known.values())
    edges = np.linspace(0, max(largest, 1e-6), HISTOGRAM_BINS + 1)
    medians = {name: float(np.median(values)) for name, values in known.items()}
    curve = kd_loss_curve(
        loss, {name: median / 100 for name, median in medians.items()}, float(edges[-1]) / 100
    )
    curve["error"] *= 100
    return {
        "edges": numbers(edges),
        "histograms": {
            name: numbers(np.histogram(values, edges)[0] / len(values))
            for name, values in known.items()
        },
        "medians": {name: float(f"{m:.{DIGITS}g}") for name, m in medians.items()},
        "curve": columns(curve, "error", ["total", "main", "tough", "tolerant"]),
        "beta": beta,
    }
