"""Measure exported networks that differ in their seed, and the mean of them, on test faces.

    python tools/seed_models.py OUT.json FACES seed1.onnx seed2.onnx seed3.onnx --against other.onnx

Where `tools/seed_table.py` wants experiments that went through `evaluate`, this takes ONNX files
(`tools/export_network.py`). The boxes are those of the landmarks. A face's error is its mean over
the seeds; intervals and the paired comparison resample the faces (95 %). Prints Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from landmark_kd.errors import UserError, run_main
from landmark_kd.evaluate_onnx import BoxJitter, evaluate_onnx
from landmark_kd.files import write_json
from landmark_kd.predict import LandmarkDetector
from landmark_kd.recognise import recognised
from landmark_kd.records import Dataset
from landmark_kd.seed_scores import RESAMPLES, comparison, interval_text, seed_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("faces", type=Path, help="folder of a data set")
    parser.add_argument("models", type=Path, nargs="+", help="ONNX files, one a seed")
    parser.add_argument("--against", type=Path, help="ONNX file to compare their mean with")
    arguments = parser.parse_args()
    names = [path.stem for path in arguments.models]
    if len(set(names)) < len(names):
        raise UserError(
            f"the ONNX files are named {', '.join(names)}, which name the rows; give each another "
            "name."
        )
    _, dataset = recognised(arguments.faces)
    errors, other = {}, None
    for name, path in zip(names, arguments.models, strict=True):
        errors[name] = errors_of(path, dataset, arguments.faces)
    if arguments.against:
        other = errors_of(arguments.against, dataset, arguments.faces)
    results = summarise(errors, other)
    write_json(arguments.out, results)
    print(markdown(results))


def errors_of(model: Path, dataset: Dataset, folder: Path) -> np.ndarray:
    """Return the NME (N,) in percent of a network on the test faces of a folder."""
    detector = LandmarkDetector.load(model)
    found = evaluate_onnx(
        detector, dataset, folder, split="test", box="landmarks", jitter=BoxJitter()
    )
    return found.errors


def summarise(errors: dict[str, np.ndarray], other: np.ndarray | None) -> dict[str, Any]:
    """Return the scores of each seed, of their mean and, if there is one, against the other.

    Args:
        errors: (N,) NME in percent of each seed's network, same faces.
        other: (N,) of the network to compare with.
    """
    seeds = np.stack(list(errors.values()))
    results: dict[str, Any] = {
        "n": seeds.shape[1],
        "bootstrap": RESAMPLES,
        "seeds": {name: seed_scores(of_seed[None]) for name, of_seed in errors.items()},
        "mean": seed_scores(seeds),
    }
    if other is not None:
        results["other"] = seed_scores(other[None])
        results["against_other"] = comparison(seeds.mean(axis=0), other)
    return results


def markdown(results: dict[str, Any]) -> str:
    """Return the table of `summarise` as Markdown."""
    rows = {**results["seeds"], "**mean of the seeds**": results["mean"]}
    if "other" in results:
        rows["compared with"] = results["other"]
    lines = [f"| n = {results['n']} | NME [95 %] | FR@8 | AUC@8 |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {interval_text(row['nme'], '.2f')} | {row['fr8']:.2f} | {row['auc8']:.2f} |"
        for name, row in rows.items()
    ]
    if "against_other" in results:
        paired = results["against_other"]
        lines += [
            "",
            f"Paired over the faces, the mean of the seeds differs from the other by "
            f"{interval_text(paired['difference'], '+.3f')} "
            f"(ratio {interval_text(paired['ratio'], '.3f')}) and is "
            f"nearer on {100 * paired['better']['value']:.0f} % of them.",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_main(main)
