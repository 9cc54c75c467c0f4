"""Measures networks on the same faces: scores with intervals, differences, times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from landmark_kd.evaluation.bootstrap import compare, mean_intervals
from landmark_kd.evaluation.cost import milliseconds, percentiles
from landmark_kd.evaluation.scores import rates, rounded
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.landmarks import metrics

# Percent of the normaliser.
THRESHOLD = 8
CED_ERRORS = np.arange(0, 10.001, 0.05)
DECIMALS = 4
# Faces that are predicted before times are taken.
WARM_UP = 10


def scores(errors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return NME, FR8 and AUC8 of networks with 95 % intervals, and how they compare.

    Args:
        errors: (N,) NME in percent of each network on the same faces, the reference's last.

    Returns:
        n; networks: {name: {nme, fr8, auc8}}; against: for each but the reference {name:
        {difference: own - reference, ratio: own / reference, better: the share of faces on which
        it is nearer}}, paired.
    """
    *others, reference = errors
    networks = {
        name: mean_intervals({"nme": of_network, **rates(of_network, [THRESHOLD])})
        for name, of_network in errors.items()
    }
    against = {name: vars(compare(errors[name], errors[reference])) for name in others}
    found = {"n": len(errors[reference]), "networks": networks, "against": against}
    return rounded(found, DECIMALS)


def ced_points(errors: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    """Return the CED of each network at CED_ERRORS, with these as `error`."""
    curves = {name: metrics.ced(of_network, CED_ERRORS) for name, of_network in errors.items()}
    columns = {"error": CED_ERRORS, **curves}
    return rounded({name: values.tolist() for name, values in columns.items()}, DECIMALS)


def times(
    detectors: Mapping[str, LandmarkDetector],
    faces: Sequence[tuple[np.ndarray, np.ndarray]],
    rounds: int,
) -> dict[str, dict[str, dict[str, float]]]:
    """Time networks on the same faces, one face at a time and in turns.

    On each face all networks run one after the other, in an order that is reversed from face to
    face and from round to round: what disturbs the machine disturbs all of them.

    Args:
        faces: image and box (4,) of each face, as `LandmarkDetector.detect` takes them.

    Returns:
        {network: {with_cropping, without_cropping: {median, p10, p90}}} in milliseconds a face:
        `detect` in a given box, and the network alone on a crop that is already there.
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
                    milliseconds(partial(detector.detect, image, box[None]))
                )
                of_network["without_cropping"].append(
                    milliseconds(partial(detector.run_network, inputs))
                )
    found = {
        name: {key: percentiles(values) for key, values in of_network.items()}
        for name, of_network in taken.items()
    }
    return rounded(found, DECIMALS)
