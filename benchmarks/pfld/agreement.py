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

from benchmarks.pfld.compare import SHARED, beside_pfld, evaluate_all
from benchmarks.pfld.inputs import add_reference_inputs
from benchmarks.pfld.tables import REFERENCE, label
from benchmarks.pfld.tables import table as markdown_table
from landmark_kd.core.errors import run_main
from landmark_kd.data.datasets.base import Split
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.evaluation.bootstrap import mean_intervals
from landmark_kd.evaluation.scores import interval_text
from landmark_kd.landmarks.metrics import nme, normalizing_distance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="+", help="names of shipped networks, or ONNX files")
    add_reference_inputs(parser, SHARED)
    arguments = parser.parse_args()
    detectors = beside_pfld({m: m for m in arguments.models}, arguments.pfld, threads=1)
    _, dataset = recognised(arguments.faces, "300w")
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        found = evaluate_all(detectors, dataset, arguments.faces, split=split)
        one = found[REFERENCE]
        points = {label(name): of_network.pred for name, of_network in found.items()}
        distance = normalizing_distance(one.true, one.scheme)
        faces = f"{len(one.true)} {split} faces"
        print(errors_table(faces, points, one.true, distance), end="\n\n", flush=True)
        print(pairs_table(faces, points, one.true, distance), end="\n\n", flush=True)


def errors_table(
    faces: str, points: dict[str, np.ndarray], true: np.ndarray, distance: np.ndarray
) -> str:
    """Return a table of each network's NME.

    Args:
        faces: what they are called.
        points: (N, K, 2) landmarks of each network, pixels of the images.
        true: the true ones.
        distance: (N,) the faces' normaliser, pixels.
    """
    rows = [[name, _nme(of_network, true, distance)] for name, of_network in points.items()]
    return markdown_table([f"network, {faces}", "NME [95 %]"], rows)


def pairs_table(
    faces: str, points: dict[str, np.ndarray], true: np.ndarray, distance: np.ndarray
) -> str:
    """Return a table of what each pair of networks has in common; arguments: `errors_table`."""
    rows = [
        [
            f"{first}, {second}",
            f"{nme(a, b, distance).mean():.2f}",
            _nme((a + b) / 2, true, distance),
            f"{correlation(a, b, true, distance):.2f}",
        ]
        for (first, a), (second, b) in combinations(points.items(), 2)
    ]
    titles = ["distance, % of NME's normaliser", "NME of the mean [95 %]", "correlation"]
    return markdown_table([f"pair, {faces}", *titles], rows)


def correlation(
    first: np.ndarray, second: np.ndarray, true: np.ndarray, distance: np.ndarray
) -> float:
    """Return the correlation of two networks' errors, in units of the faces' normaliser.

    Args:
        first, second, true: (N, K, 2) landmarks, pixels of the images.
        distance: (N,) the normaliser, pixels.
    """
    a, b = ((points - true) / distance[:, None, None] for points in (first, second))
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def _nme(points: np.ndarray, true: np.ndarray, distance: np.ndarray) -> str:
    return interval_text(vars(mean_intervals({"nme": nme(points, true, distance)})["nme"]))


if __name__ == "__main__":
    run_main(main)
