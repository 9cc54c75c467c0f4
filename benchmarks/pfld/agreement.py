"""Says how much of their errors networks have in common, on faces that they learnt and on others.

    python -m benchmarks.pfld.agreement accurate fast models/landmarks.onnx

A teacher can teach what it knows better than its student. How much that can be is bounded by three
numbers, which the script measures on 300-W's train and test faces in the landmarks' boxes: how much
lower errors are on faces that were learnt than on others, how far two networks' landmarks lie from
one another, and the NME of the mean of both. The correlation is that of the errors of all
landmarks, as vectors: 1 where both are wrong in the same way. Validation faces are among the train
faces; whether PFLD learnt them is not known.
"""

from __future__ import annotations

import argparse
from itertools import combinations

import numpy as np

from benchmarks.pfld.compare import SHARED, beside_pfld
from benchmarks.pfld.inputs import add_reference_inputs
from benchmarks.pfld.tables import label
from benchmarks.pfld.tables import table as markdown_table
from landmark_kd.core.errors import run_main
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.evaluation.bootstrap import mean_intervals
from landmark_kd.evaluation.exported import BoxJitter, OnnxEvaluation, evaluate_onnx
from landmark_kd.evaluation.scores import interval_text
from landmark_kd.landmarks.metrics import nme, normalizing_distance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="+", help="names of shipped networks, or ONNX files")
    add_reference_inputs(parser, SHARED)
    arguments = parser.parse_args()
    detectors = beside_pfld({m: m for m in arguments.models}, arguments.pfld, threads=1)
    _, dataset = recognised(arguments.faces, "300w")
    for split in ("train", "test"):
        found = {
            label(name): evaluate_onnx(
                detector,
                dataset,
                arguments.faces,
                split=split,
                box="landmarks",
                jitter=BoxJitter(),
            )
            for name, detector in detectors.items()
        }
        one = next(iter(found.values()))
        points = {name: of_network.pred for name, of_network in found.items()}
        faces = f"{len(one.true)} {split} faces"
        print(errors_table(faces, points, one), end="\n\n", flush=True)
        print(pairs_table(faces, points, one), end="\n\n", flush=True)


def errors_table(faces: str, points: dict[str, np.ndarray], one: OnnxEvaluation) -> str:
    """Return a table of each network's NME; `one` has the faces' landmarks."""
    rows = [[name, _mean(of_network, one)] for name, of_network in points.items()]
    return markdown_table([f"network, {faces}", "NME [95 %]"], rows)


def pairs_table(faces: str, points: dict[str, np.ndarray], one: OnnxEvaluation) -> str:
    """Return a table of what each pair of networks has in common."""
    rows = []
    for first, second in combinations(points, 2):
        a, b = points[first], points[second]
        rows.append(
            [
                f"{first}, {second}",
                f"{nme(a, b, normalizing_distance(one.true, one.scheme)).mean():.2f}",
                _mean((a + b) / 2, one),
                f"{correlation(a, b, one):.2f}",
            ]
        )
    titles = ["distance, % of NME's normaliser", "NME of the mean [95 %]", "correlation"]
    return markdown_table([f"pair, {faces}", *titles], rows)


def correlation(first: np.ndarray, second: np.ndarray, one: OnnxEvaluation) -> float:
    """Return the correlation of two networks' errors, in units of the faces' normaliser.

    Args:
        first, second: (N, K, 2) landmarks, pixels of the images.
        one: has the true ones.
    """
    units = normalizing_distance(one.true, one.scheme)[:, None, None]
    a, b = ((points - one.true) / units for points in (first, second))
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def _mean(points: np.ndarray, one: OnnxEvaluation) -> str:
    errors = nme(points, one.true, normalizing_distance(one.true, one.scheme))
    return interval_text(vars(mean_intervals({"nme": errors})["nme"]))


if __name__ == "__main__":
    run_main(main)
