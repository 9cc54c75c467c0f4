"""Measures of landmark accuracy: NME, failure rate, AUC and cumulative error distribution.

Errors and thresholds are in percent of the normaliser, as papers print them. All measures but
the CED are in percent too; the CED is a share. Every function raises ValueError on input that is
empty, not finite or of the wrong shape, rather than to return a number that means nothing.

Hard-landmarks may be missing (NaN in x and y, see `landmarks.missing`): an error is that of those
which are there. A face without any, or whose normaliser is NaN since its points are missing, has no
error: NaN, which the means over faces do not take; say how many faces are left.
"""

from __future__ import annotations

import numpy as np

from landmark_kd.landmarks.geometry import landmarks_box
from landmark_kd.landmarks.missing import mean_present, present, sound
from landmark_kd.landmarks.scheme import LandmarkScheme

# Of failure rates and areas, in percent of the normaliser; every data set gets the same two.
THRESHOLDS = (8, 10)


def nme(pred: np.ndarray, true: np.ndarray, normalizer: np.ndarray | float) -> np.ndarray:
    """Normalised mean error of each face: 100 / K * sum of |pred - true| / normaliser.

    Of missing hard-landmarks nothing is counted: K is the number of those which are there.

    Args:
        pred: (N, K, 2) predicted landmarks.
        true: (N, K, 2) hard-landmarks in the same coordinates, NaN where missing.
        normalizer: (N,) distance in the same unit, NaN where its points are missing, or one number
            for all faces.

    Returns:
        (N,) float64, percent; NaN where nothing can be measured.

    Raises:
        ValueError: shapes that do not fit, no faces, numbers that are not finite, a normaliser
            that is not above zero.
    """
    return mean_present(landmark_errors(pred, true, normalizer), axis=1)


def landmark_errors(
    pred: np.ndarray, true: np.ndarray, normalizer: np.ndarray | float
) -> np.ndarray:
    """Error of each landmark of each face, (N, K) percent of the normaliser; else as `nme`.

    NaN where a landmark or its face's normaliser is missing.
    """
    pred, true = np.asarray(pred, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if pred.shape != true.shape:
        raise ValueError(f"pred has the shape {pred.shape}, true {true.shape}; they must agree")
    if true.ndim != 3 or true.shape[2] != 2 or true.size == 0:
        raise ValueError(f"landmarks must be (N, K, 2) of at least one face, found {true.shape}")
    _check_finite(np.where(present(true)[..., None], pred, 0), "pred, face")
    _check_finite(np.where(sound(true), 0, np.inf), "true, face")
    distance = np.asarray(normalizer, dtype=np.float64)
    if distance.shape not in ((), (len(true),)):
        raise ValueError(f"normalizer must be ({len(true)},) or a number, found {distance.shape}")
    of_faces = np.where(np.isnan(distance), 1, distance) if distance.shape else distance
    _check_finite(np.atleast_1d(of_faces), "normalizer")
    if (distance <= 0).any():
        face = int(np.nanargmin(distance))
        raise ValueError(f"normalizer {face} is {np.nanmin(distance):g}; it must be above zero")
    return 100 * np.linalg.norm(pred - true, axis=-1) / distance.reshape(-1, 1)


def per_landmark(pred: np.ndarray, true: np.ndarray, normalizer: np.ndarray | float) -> np.ndarray:
    """Mean error of each landmark over all faces, (K,) percent; arguments as `nme`'s.

    NaN where no face has the landmark.
    """
    return mean_present(landmark_errors(pred, true, normalizer), axis=0)


def failure_rate(errors: np.ndarray, threshold: float) -> float:
    """Percentage of faces whose error is above `threshold`; both in percent.

    Args:
        errors: (N,) of `nme`.

    Raises:
        ValueError: no errors, errors that are not finite, or a threshold that is not above zero.
    """
    return float(failures(errors, threshold).mean())


def auc(errors: np.ndarray, threshold: float) -> float:
    """Area under the CED from 0 to `threshold` as a percentage of the whole.

    The area of a step function is known: the mean of max(0, 1 - error / threshold). It needs no
    numerical integration.

    Args:
        errors: (N,) of `nme`.

    Raises:
        ValueError: no errors, errors that are not finite, or a threshold that is not above zero.
    """
    return float(areas(errors, threshold).mean())


def failures(errors: np.ndarray, threshold: float) -> np.ndarray:
    """Each face's part in the failure rate, (N,): 100 above the threshold, else 0."""
    _check_threshold(threshold)
    return np.where(_checked_errors(errors) > threshold, 100.0, 0.0)


def areas(errors: np.ndarray, threshold: float) -> np.ndarray:
    """Each face's part in the AUC, (N,): 100 at no error, falling to 0 at the threshold."""
    _check_threshold(threshold)
    return 100 * np.maximum(0, 1 - _checked_errors(errors) / threshold)


def ced(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Cumulative error distribution: share of faces, 0 to 1, with an error up to each threshold.

    Args:
        errors: (N,) of `nme`.
        thresholds: (T,) percent.

    Returns:
        (T,) float64.

    Raises:
        ValueError: no errors, or errors or thresholds that are not finite.
    """
    thresholds = np.asarray(thresholds, dtype=np.float64)
    if not np.isfinite(thresholds).all():
        raise ValueError("thresholds must be finite numbers")
    ordered = np.sort(_checked_errors(errors))
    return np.searchsorted(ordered, thresholds, side="right") / len(ordered)


def normalizing_distance(true: np.ndarray, scheme: LandmarkScheme) -> np.ndarray:
    """Distances (N,) between the normaliser's two points of landmarks (N, K, 2), NaN if missing.

    In the schemes of 300-W, COFW and WFLW these are the outer eye corners.
    """
    first, second = scheme.normalizer
    return np.linalg.norm(true[:, first] - true[:, second], axis=-1)


def interpupil(true: np.ndarray, scheme: LandmarkScheme) -> np.ndarray:
    """Distances (N,) between the pupils, or what stands for them, of landmarks (N, K, 2).

    NaN where a point of a pupil's is missing: the mean of the others lies elsewhere.

    Raises:
        ValueError: the scheme has no pupils.
    """
    if scheme.pupils is None:
        raise ValueError("the scheme of these landmarks names no pupils")
    first, second = (true[:, list(group)].mean(axis=1) for group in scheme.pupils)
    return np.linalg.norm(first - second, axis=-1)


def box_size(true: np.ndarray) -> np.ndarray:
    """Square roots (N,) of width times height of the bounding boxes of landmarks (N, K, 2)."""
    if not np.isnan(true).any():
        return np.sqrt(np.prod(np.ptp(true, axis=1), axis=-1))
    # Of the landmarks that are there, which may be a smaller box than the face's.
    box = landmarks_box(true)
    size = np.sqrt(np.prod(box[:, 2:] - box[:, :2], axis=-1))
    return np.where(size > 0, size, np.nan)


def _checked_errors(errors: np.ndarray) -> np.ndarray:
    errors = np.asarray(errors, dtype=np.float64)
    if errors.ndim != 1 or errors.size == 0:
        raise ValueError(f"errors must be (N,) of at least one face, found {errors.shape}")
    _check_finite(errors, "error")
    return errors


def _check_finite(values: np.ndarray, what: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if len(bad):
        raise ValueError(f"{what} {bad[0]} is not finite")


def _check_threshold(threshold: float) -> None:
    if not (np.isfinite(threshold) and threshold > 0):
        raise ValueError(f"threshold is {threshold}; it must be above zero, in percent")
