"""Two networks on the same faces: scores with intervals, their difference, their times."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from landmark_kd.evaluation.bootstrap import Interval, compare, mean_intervals
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.landmarks import metrics

RESAMPLES = 10_000
BOOTSTRAP_SEED = 0
# Percent of the normaliser.
THRESHOLD = 8
CED_ERRORS = np.arange(0, 10.001, 0.05)
DECIMALS = 4
# Faces that are predicted before times are taken.
WARM_UP = 10


def scores(errors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return NME, FR8 and AUC8 of each network with 95 % intervals, and the first one's gain.

    Args:
        errors: (N,) NME in percent of each of two networks, same faces.

    Returns:
        n; networks: {name: {nme, fr8, auc8}}; first - second as `difference`, first / second as
        `ratio` and the share of faces on which the first is nearer as `better`, paired.
    """
    first, second = errors.values()
    paired = compare(first, second, resamples=RESAMPLES, seed=BOOTSTRAP_SEED)
    return {
        "n": len(first),
        "networks": {name: _scores(of_network) for name, of_network in errors.items()},
        **{key: _rounded(getattr(paired, key)) for key in ("difference", "ratio", "better")},
    }


def ced_points(errors: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    """Return the CED of each network at CED_ERRORS, with these as `error`."""
    curves = {name: metrics.ced(of_network, CED_ERRORS) for name, of_network in errors.items()}
    return {
        name: [round(float(v), DECIMALS) for v in values]
        for name, values in {"error": CED_ERRORS, **curves}.items()
    }


def times(
    detectors: Mapping[str, LandmarkDetector],
    faces: Sequence[tuple[np.ndarray, np.ndarray]],
    rounds: int,
) -> dict[str, dict[str, dict[str, float]]]:
    """Time networks on the same faces, a face at a time, turn and turn about.

    On each face all networks run one after the other, in an order that is turned round from face
    to face and from round to round: what disturbs the machine disturbs all of them.

    Args:
        faces: (image, box) each, as `LandmarkDetector.detect` takes them.

    Returns:
        {network: {with_cropping, without_cropping: {median, p10, p90}}} in milliseconds a face:
        `detect` in a given box, and the network alone on a crop that is cut already.
    """
    taken: dict[str, dict[str, list[float]]] = {
        name: {"with_cropping": [], "without_cropping": []} for name in detectors
    }
    for image, box in faces[:WARM_UP]:
        for detector in detectors.values():
            detector.detect(image, box[None])
    for turn in range(rounds):
        for number, (image, box) in enumerate(faces):
            names = list(detectors)
            for name in names if (turn + number) % 2 == 0 else reversed(names):
                detector, of_network = detectors[name], taken[name]
                inputs, _ = detector.network_inputs(image, box[None])
                of_network["with_cropping"].append(
                    _milliseconds(partial(detector.detect, image, box[None]))
                )
                of_network["without_cropping"].append(
                    _milliseconds(partial(detector.run_network, inputs))
                )
    return {
        name: {key: _percentiles(values) for key, values in of_network.items()}
        for name, of_network in taken.items()
    }


def _scores(errors: np.ndarray) -> dict[str, dict[str, float]]:
    columns = {
        "nme": errors,
        f"fr{THRESHOLD}": metrics.failures(errors, THRESHOLD),
        f"auc{THRESHOLD}": metrics.areas(errors, THRESHOLD),
    }
    values = np.stack(list(columns.values()), axis=1)
    found = mean_intervals(values, resamples=RESAMPLES, seed=BOOTSTRAP_SEED)
    return {name: _rounded(interval) for name, interval in zip(columns, found, strict=True)}


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def _percentiles(values: list[float]) -> dict[str, float]:
    p10, median, p90 = np.percentile(values, [10, 50, 90])
    named = {"median": median, "p10": p10, "p90": p90}
    return {name: round(float(value), DECIMALS) for name, value in named.items()}


def _rounded(interval: Interval) -> dict[str, float]:
    return {key: round(value, DECIMALS) for key, value in vars(interval).items()}
