"""Finds faces and landmarks in photos as a user does, and says what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks.end_to_end.matching import MISSED, matched
from landmark_kd.evaluation.cost import percentiles
from landmark_kd.evaluation.scores import rounded
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.face import Face
from landmark_kd.landmarks import geometry, metrics
from landmark_kd.landmarks.scheme import IBUG_68

# Percent of the distance of the outer eye corners.
THRESHOLD = 10
# Shares of landmarks whose regions are looked at.
REGIONS = (0.5, 0.9)
DECIMALS = 4
# How often batches are timed.
ROUNDS = 5


class Photo(NamedTuple):
    """An image (H, W, 3) uint8 BGR and the hard-landmarks (F, 68, 2) of its annotated faces."""

    image: np.ndarray
    landmarks: np.ndarray


class Outcome(NamedTuple):
    """What came of one photo.

    Attributes:
        errors: (F,) NME of the annotated faces in percent, NaN where not found.
        spreads: (found, K) distances from the truth in sigma, no columns without uncertainty.
        false: number of detections that are none of the annotated faces.
    """

    errors: np.ndarray
    spreads: np.ndarray
    false: int


def rotated(photo: Photo, degrees: float) -> Photo:
    """Return a photo turned clockwise as a whole, on a black canvas that holds all of it."""
    height, width = photo.image.shape[:2]
    # Rounded, so that quarters move whole pixels.
    linear = np.round(geometry.turned(np.eye(2), np.radians(degrees)).T, 12)
    size = np.ceil(np.round(np.abs(linear) @ [width, height], 6)).astype(int)
    middle = (np.array([width, height]) - 1) / 2
    matrix = np.column_stack([linear, (size - 1) / 2 - linear @ middle])
    image = cv2.warpAffine(photo.image, matrix, tuple(size.tolist()), flags=cv2.INTER_LINEAR)
    return Photo(image, geometry.apply(matrix, photo.landmarks))


def outcome(faces: Sequence[Face], true: np.ndarray) -> Outcome:
    """Compare the faces detected in a photo with its annotated ones (F, 68, 2)."""
    found = np.array([face.landmarks for face in faces]).reshape(-1, *true.shape[1:])
    of_face = matched(found, true)
    seen = of_face != MISSED
    errors = np.full(len(true), np.nan)
    spreads = []
    if seen.any():
        pred = found[of_face[seen]]
        distance = metrics.normalizing_distance(true[seen], IBUG_68)
        errors[seen] = metrics.nme(pred, true[seen], distance)
        for detection, points in zip(of_face[seen], true[seen], strict=True):
            sigma = faces[detection].uncertainty
            if sigma is not None:
                away = np.linalg.norm(faces[detection].landmarks - points, axis=-1)
                spreads.append(away / sigma)
    return Outcome(errors, np.array(spreads), len(faces) - int(seen.sum()))


def summary(outcomes: Sequence[Outcome], regions: Mapping[float, float]) -> dict[str, Any]:
    """Return what came of many photos.

    Args:
        regions: multiple of sigma of each share of landmarks, none without uncertainty.

    Returns:
        images; faces, those annotated; found and fr10, percent of them, where a face that is not
        found is a failure; nme of those found, in percent, None where there are none; false and
        images_with_false: detections that are no annotated face, and images that have any;
        coverage: percent of the found faces' landmarks within each region.
    """
    errors = np.concatenate([o.errors for o in outcomes])
    found = errors[np.isfinite(errors)]
    failed = np.where(np.isfinite(errors), errors, np.inf) > THRESHOLD
    spreads = [o.spreads.ravel() for o in outcomes if o.spreads.size]
    away = np.concatenate(spreads) if spreads else np.empty(0)
    coverage = {f"{s:g}": 100 * float((away <= k).mean()) for s, k in regions.items() if len(away)}
    result = {
        "images": len(outcomes),
        "faces": len(errors),
        "found": 100 * len(found) / len(errors),
        "nme": float(found.mean()) if len(found) else None,
        f"fr{THRESHOLD}": 100 * float(failed.mean()),
        "false": sum(o.false for o in outcomes),
        "images_with_false": sum(o.false > 0 for o in outcomes),
        "coverage": coverage,
    }
    return rounded(result, DECIMALS)


def batch_times(
    detectors: Mapping[str, LandmarkDetector], images: Sequence[np.ndarray], sizes: Sequence[int]
) -> dict[str, dict[str, dict[str, float]]]:
    """Time detectors on images in batches of several sizes, which take turns.

    Returns:
        {detector: {size: {image, face}}}: medians over ROUNDS of the milliseconds an image, all
        that `detect_batch` does, and a face, the network alone.
    """
    found = {}
    for name, detector in detectors.items():
        faces = detector.detect_batch(images)
        crops = []
        for image, of_image in zip(images, faces, strict=True):
            boxes = np.array([face.box for face in of_image]).reshape(-1, 4)
            crops.append(detector.network_inputs(image, boxes)[0])
        inputs = np.concatenate(crops)
        taken: dict[str, dict[str, list[float]]] = {
            str(size): {"image": [], "face": []} for size in sizes
        }
        for number in range(ROUNDS):
            for size in sizes if number % 2 else reversed(sizes):
                of = taken[str(size)]
                of["image"].append(_each(detector.detect_batch, images, size))
                of["face"].append(_each(detector.run_network, inputs, size))
        found[name] = {
            size: {key: float(np.median(v)) for key, v in of.items()} for size, of in taken.items()
        }
    return rounded(found, DECIMALS)


def _each(work: Callable[[Any], Any], items: Any, size: int) -> float:
    """Return the milliseconds that each item takes, in batches."""
    start = time.perf_counter()
    for first in range(0, len(items), size):
        work(items[first : first + size])
    return 1000 * (time.perf_counter() - start) / len(items)


def regions(detector: LandmarkDetector) -> dict[float, float]:
    """Return the multiple of sigma of each of REGIONS; empty where the network says no sigma."""
    return {s: detector.info.region(s) for s in REGIONS} if detector.info.regions else {}


def times(
    detectors: Mapping[str, LandmarkDetector], images: Sequence[np.ndarray]
) -> dict[str, dict[str, dict[str, float]]]:
    """Time detectors on the same images in turns, landmarks of all faces found included.

    Returns:
        {detector: {turn, no_turn: {mean, median, p10, p90}}} in milliseconds an image; without
        `turn` an image without a sure face is not tried turned.
    """
    taken: dict[str, dict[str, list[float]]] = {
        name: {"turn": [], "no_turn": []} for name in detectors
    }
    for number, image in enumerate([images[0], *images]):
        names = list(detectors)
        for name in names if number % 2 else reversed(names):
            for key, turn in (("turn", True), ("no_turn", False)):
                start = time.perf_counter()
                detectors[name].detect(image, turn=turn)
                if number:  # the first warms up
                    taken[name][key].append(1000 * (time.perf_counter() - start))
    return rounded(
        {
            name: {key: {"mean": float(np.mean(v)), **percentiles(v)} for key, v in of.items()}
            for name, of in taken.items()
        },
        DECIMALS,
    )
