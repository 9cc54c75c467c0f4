"""What came out of `evaluate_onnx`: scores a subset, the protocol, and both to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from landmark_kd.evaluation.exported import BoxSource, OnnxEvaluation
from landmark_kd.landmarks import metrics
from landmark_kd.landmarks.head import head_pose
from landmark_kd.landmarks.scheme import IBUG_68

# Rows of faces by the name of their bin, in order.
Bins = dict[str, np.ndarray]

# Degrees either way.
YAW_EDGES = (10, 20, 30)

MEASURES = ("nme", *(f"{key}{t}" for key in ("fr", "auc") for t in metrics.THRESHOLDS))
DECIMALS = 6


def scores_table(evaluation: OnnxEvaluation) -> dict[str, dict[str, float | int | None]]:
    """Return {subset: {nme, fr8, fr10, auc8, auc10, found, n, n_published}}.

    A face that the detector did not find counts as a failure at every threshold and adds nothing
    to the AUC; `nme` is the mean over the `found` ones, None where there are none. `found` is
    there where the detector was asked, `n_published` where the set's authors gave a count.
    Landmarks of the 300-W scheme tell how far a head is turned: these are further subsets.
    """
    published = evaluation.dataset.published_counts(evaluation.split)
    subsets = evaluation.dataset.subsets(evaluation.faces)
    # In the order the set's authors name them.
    names = [name for name in published if name in subsets]
    names += [name for name in subsets if name not in published]
    subsets = subsets | _by_yaw(evaluation)
    names += [name for name in subsets if name not in names]
    return {
        name: _scores(evaluation.errors[subsets[name]], published.get(name), evaluation.box)
        for name in names
    }


def _by_yaw(evaluation: OnnxEvaluation) -> dict[str, np.ndarray]:
    """Return rows of the faces by how far their heads are turned either way."""
    if not np.array_equal(evaluation.scheme.flip, IBUG_68.flip):
        return {}
    yaw = np.abs(head_pose(evaluation.true)[:, 0])
    return {f"yaw {name}": rows for name, rows in edged(yaw, YAW_EDGES, "°").items()}


def protocol(evaluation: OnnxEvaluation) -> dict[str, Any]:
    """Return what the numbers were measured on and how."""
    dataset, jitter = evaluation.dataset, evaluation.jitter
    converted = evaluation.scheme.points != dataset.points
    return {
        "dataset": dataset.name,
        "split": evaluation.split,
        "missing": dataset.missing(evaluation.faces, evaluation.split),
        "left_out": len(evaluation.left_out),
        "points": evaluation.scheme.points,
        "converted_from": dataset.points if converted else None,
        "normalizer": evaluation.scheme.normalizer_name,
        "box": evaluation.box,
        "box_trained_on": evaluation.info.box,
        "margin": evaluation.info.margin,
        "box_jitter": vars(jitter),
        "trained_on": evaluation.info.dataset,
        "backbone": evaluation.info.backbone,
    }


def summary(evaluation: OnnxEvaluation) -> str:
    """Return protocol and scores as lines to read in a terminal."""
    info, dataset, jitter = evaluation.info, evaluation.dataset, evaluation.jitter
    line = f"box: {evaluation.box}"
    if info.box != evaluation.box:
        line += f" (trained on: {info.box})"
    line += f", margin {info.margin:g}; normaliser: {evaluation.scheme.normalizer_name}; "
    line += (
        f"jitter: shift {jitter.shift:g}, scale {jitter.scale:g}, seed {jitter.seed}"
        if jitter.shift or jitter.scale
        else "no jitter"
    )
    lines = [
        f"{info.backbone} trained on {info.dataset}, {len(evaluation.faces)} {evaluation.split} "
        f"faces of {dataset.name}",
        line,
    ]
    if evaluation.scheme.points != dataset.points:
        lines.append(
            f"the faces' {dataset.points} landmarks were turned into the network's "
            f"{evaluation.scheme.points}: numbers are not those of either scheme's papers"
        )
    lines += [f"not complete: {s}" for s in dataset.missing(evaluation.faces, evaluation.split)]
    if left_out := evaluation.left_out:
        lines.append(
            f"not complete: {len(left_out)} broken left out, the first because {left_out[0]}"
        )
    table = scores_table(evaluation)
    lines.append(f"{'subset':14} {'n':>14}  " + "".join(f"{key:>8}" for key in MEASURES))
    for subset, scores in table.items():
        n = f"{scores['n']}" + (f" of {scores['n_published']}" if "n_published" in scores else "")
        numbers = "".join(_number(scores[key]) for key in MEASURES)
        found = f"  found {scores['found']} of {scores['n']}" if "found" in scores else ""
        lines.append(f"{subset:14} {n:>14}  {numbers}{found}")
    if evaluation.box == "detector":
        lines.append("nme is of the faces found; in fr and auc the others count as failures")
    return "\n".join(lines)


def _scores(
    errors: np.ndarray, published: int | None, box: BoxSource
) -> dict[str, float | int | None]:
    found = errors[np.isfinite(errors)]
    missed = len(errors) - len(found)
    scores: dict[str, float | int | None] = dict.fromkeys(MEASURES)
    if len(found):
        scores["nme"] = _rounded(found.mean())
    for threshold in metrics.THRESHOLDS:
        failed = metrics.failures(found, threshold).sum() if len(found) else 0
        area = metrics.areas(found, threshold).sum() if len(found) else 0
        scores[f"fr{threshold}"] = _rounded((failed + 100 * missed) / len(errors))
        scores[f"auc{threshold}"] = _rounded(area / len(errors))
    if box == "detector":
        scores["found"] = len(found)
    scores["n"] = len(errors)
    if published is not None:
        scores["n_published"] = published
    return scores


def _number(value: float | int | None) -> str:
    return f"{'-':>8}" if value is None else f"{value:8.2f}"


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS)


def edged(values: np.ndarray, edges: Sequence[int], unit: str) -> Bins:
    """Sort values (N,) into bins between `edges`; a value on an edge belongs to the upper bin."""
    names = [f"< {edges[0]}{unit}"]
    names += [f"{low} to {high}{unit}" for low, high in pairwise(edges)]
    names.append(f"≥ {edges[-1]}{unit}")
    return dict(_filled(names, np.digitize(values, edges)))


def _filled(names: Sequence[str], bin_of: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for number, name in enumerate(names):
        rows = np.flatnonzero(bin_of == number)
        if len(rows):
            yield name, rows
