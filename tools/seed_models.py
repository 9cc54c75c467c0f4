"""Measures exported networks that differ in their seed, and their mean, on test faces.

    python -m tools.seed_models OUT.json FACES kd1.onnx kd2.onnx kd3.onnx --against other.onnx

--against takes one network, or several that differ in their seed, too. Where `tools.seed_table`
reads experiments that went through `evaluate`, this tool takes ONNX files (`tools.export_network`).
The boxes are those of the landmarks. A face's error is its mean over the seeds; intervals and the
paired comparison resample the faces (95 %). The tool prints Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from landmark_kd.core.errors import UserError, run_main
from landmark_kd.core.files import write_json
from landmark_kd.data.datasets.base import Dataset
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.evaluation.bootstrap import RESAMPLES
from landmark_kd.evaluation.exported import BoxJitter, evaluate_onnx
from landmark_kd.evaluation.scores import interval_text
from landmark_kd.inference.detector import LandmarkDetector
from tools.seed_scores import comparison, seed_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("faces", type=Path, help="folder of a data set")
    parser.add_argument("models", type=Path, nargs="+", help="ONNX files, one a seed")
    parser.add_argument(
        "--against",
        type=Path,
        nargs="+",
        default=[],
        metavar="OTHER",
        help="ONNX files, one a seed, whose mean to compare theirs with",
    )
    arguments = parser.parse_args()
    names = [path.stem for path in [*arguments.models, *arguments.against]]
    if len(set(names)) < len(names):
        raise UserError(
            f"the ONNX files are named {', '.join(names)}, which name the rows; give each another "
            "name."
        )
    _, dataset = recognised(arguments.faces)

    def measured(models: list[Path]) -> dict[str, np.ndarray]:
        return {path.stem: errors_of(path, dataset, arguments.faces) for path in models}

    results = summarise(measured(arguments.models), measured(arguments.against))
    write_json(arguments.out, results)
    print(markdown(results))


def errors_of(model: Path, dataset: Dataset, folder: Path) -> np.ndarray:
    """Return the NME (N,) in percent of a network on the test faces of a folder."""
    detector = LandmarkDetector.load(model)
    found = evaluate_onnx(
        detector, dataset, folder, split="test", box="landmarks", jitter=BoxJitter()
    )
    return found.errors


def summarise(errors: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the scores of each seed and of their mean, and their comparison with the others.

    Args:
        errors: (N,) NME in percent of each seed's network, same faces.
        others: the same of the networks to compare with; empty for no comparison.
    """
    n = len(next(iter(errors.values())))
    results: dict[str, Any] = {"n": n, "bootstrap": RESAMPLES, **_scores(errors)}
    if others:
        results["others"] = _scores(others)
        first, second = (np.mean(list(e.values()), axis=0) for e in (errors, others))
        results["against_others"] = comparison(first, second)
    return results


def _scores(errors: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        "seeds": {name: seed_scores(of_seed[None]) for name, of_seed in errors.items()},
        "mean": seed_scores(np.stack(list(errors.values()))),
    }


def markdown(results: dict[str, Any]) -> str:
    """Return the table of `summarise` as Markdown."""
    rows = {**results["seeds"], "**mean of the seeds**": results["mean"]}
    if "others" in results:
        others = results["others"]
        rows |= {f"compared with {name}": row for name, row in others["seeds"].items()}
        if len(others["seeds"]) > 1:
            rows["**mean of those**"] = others["mean"]
    lines = [f"| n = {results['n']} | NME [95 %] | FR@8 | AUC@8 |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {interval_text(row['nme'])} | {row['fr8']:.2f} | {row['auc8']:.2f} |"
        for name, row in rows.items()
    ]
    if "against_others" in results:
        paired = results["against_others"]
        lines += [
            "",
            f"Paired over the faces, the mean of the seeds differs from those compared with by "
            f"{interval_text(paired['difference'], '+.3f')} "
            f"(ratio {interval_text(paired['ratio'], '.3f')}) and is "
            f"nearer on {100 * paired['better']['value']:.0f} % of them.",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_main(main)
