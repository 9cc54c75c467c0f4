"""What `evaluate_onnx` measured: scores of each subset, the protocol, and both as text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from landmark_kd.evaluation.exported import OnnxEvaluation
from landmark_kd.evaluation.scores import MEASURES, deciding_sentences, rounded, scores
from landmark_kd.landmarks import metrics
from landmark_kd.landmarks.head import JAW, head_pose
from landmark_kd.landmarks.missing import complete
from landmark_kd.landmarks.scheme import IBUG_68

# Rows of faces by the name of their bin, in order.
Bins = dict[str, np.ndarray]

# Degrees to either side.
YAW_EDGES = (10, 20, 30)


def scores_table(evaluation: OnnxEvaluation) -> dict[str, dict[str, float | int | None]]:
    """Return {subset: {nme, fr8, fr10, auc8, auc10, found, n_measured, n, n_published}}.

    A face that the detector did not find counts as a failure at every threshold and adds nothing
    to the AUC; `nme` is the mean over the `found` ones, None where there are none. `found` is
    there where the detector was asked, `n_measured` where not all faces have an error, since points
    are missing, `n_published` where the set's authors gave a count.
    Landmarks of the 300-W scheme tell how far a head is turned: these are further subsets.
    """
    published = evaluation.dataset.published_counts(evaluation.split)
    subsets = evaluation.dataset.subsets(evaluation.faces) | _by_yaw(evaluation)
    table = {}
    # First those that the set's authors name, in their order.
    for name in [name for name in published | subsets if name in subsets]:
        errors = evaluation.errors[subsets[name]]
        found = scores(errors)
        if evaluation.box == "detector":
            found["found"] = int(np.isfinite(errors).sum())
        if (measured := int((~np.isnan(errors)).sum())) < len(errors):
            found["n_measured"] = measured
        found["n"] = len(errors)
        if published.get(name) is not None:
            found["n_published"] = published[name]
        table[name] = rounded(found)
    return table


def _by_yaw(evaluation: OnnxEvaluation) -> dict[str, np.ndarray]:
    """Return rows of the faces by how far their heads are turned to either side."""
    if not np.array_equal(evaluation.scheme.flip, IBUG_68.flip):
        return {}
    whole = np.flatnonzero(complete(np.delete(evaluation.true, JAW, axis=1)))
    if not len(whole):
        return {}
    yaw = np.abs(head_pose(evaluation.true[whole])[:, 0])
    return {f"yaw {name}": whole[rows] for name, rows in edged(yaw, YAW_EDGES, "°").items()}


def protocol(evaluation: OnnxEvaluation) -> dict[str, Any]:
    """Return what the numbers were measured on and how."""
    dataset, jitter = evaluation.dataset, evaluation.jitter
    converted = evaluation.scheme.points != dataset.points
    return {
        "dataset": dataset.name,
        "split": evaluation.split,
        "missing": dataset.missing(evaluation.faces, evaluation.split),
        "left_out": len(evaluation.left_out),
        "deciding_faces": deciding_faces(evaluation),
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


def deciding_faces(evaluation: OnnxEvaluation) -> list[str]:
    """Return a sentence for each face that a mean error in the table hangs on."""
    return deciding_sentences(
        {evaluation.info.backbone: evaluation.errors},
        evaluation.dataset.subsets(evaluation.faces),
        [face.name for face in evaluation.faces],
        metrics.normalizing_distance(evaluation.true, evaluation.scheme),
    )


def summary(evaluation: OnnxEvaluation) -> str:
    """Return `protocol` and `scores_table` as lines to read in a terminal."""
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
    for subset, row in table.items():
        measured = f"{row['n_measured']} of " if "n_measured" in row else ""
        n = f"{measured}{row['n']}" + (f" of {row['n_published']}" if "n_published" in row else "")
        numbers = "".join(_number(row[key]) for key in MEASURES)
        found = f"  found {row['found']} of {row['n']}" if "found" in row else ""
        lines.append(f"{subset:14} {n:>14}  {numbers}{found}")
    lines += [f"one face decides: {s}" for s in deciding_faces(evaluation)]
    if evaluation.box == "detector":
        lines.append("nme is of the faces found; in fr and auc the others count as failures")
    return "\n".join(lines)


def _number(value: float | int | None) -> str:
    return f"{'-':>8}" if value is None else f"{value:8.2f}"


def edged(values: np.ndarray, edges: Sequence[int], unit: str) -> Bins:
    """Sort values (N,) into bins between `edges`; a value on an edge belongs to the upper bin."""
    names = [f"< {edges[0]}{unit}"]
    names += [f"{low} to {high}{unit}" for low, high in pairwise(edges)]
    names.append(f"≥ {edges[-1]}{unit}")
    return named_bins(names, np.digitize(values, edges))


def named_bins(names: Sequence[str], bin_of: np.ndarray) -> Bins:
    """Return the rows of each bin that is not empty; `bin_of` (N,) has the bin's number."""
    rows = {name: np.flatnonzero(bin_of == number) for number, name in enumerate(names)}
    return {name: of_bin for name, of_bin in rows.items() if len(of_bin)}
