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

from landmark_kd.bootstrap import Interval, compare, mean_intervals
from landmark_kd.errors import run_main
from landmark_kd.evaluate_onnx import BoxJitter, evaluate_onnx
from landmark_kd.files import write_json
from landmark_kd.metrics import auc, failure_rate
from landmark_kd.predict import LandmarkDetector
from landmark_kd.recognise import recognised

RESAMPLES = 10_000
BOOTSTRAP_SEED = 0
DECIMALS = 4
THRESHOLD = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("faces", type=Path, help="folder of a data set")
    parser.add_argument("models", type=Path, nargs="+", help="ONNX files, one a seed")
    parser.add_argument("--against", type=Path, help="ONNX file to compare their mean with")
    arguments = parser.parse_args()
    errors = {path.stem: errors_of(path, arguments.faces) for path in arguments.models}
    other = errors_of(arguments.against, arguments.faces) if arguments.against else None
    results = summarise(errors, other)
    write_json(arguments.out, results)
    print(markdown(results))


def errors_of(model: Path, folder: Path) -> np.ndarray:
    """Return the NME (N,) in percent of a network on the test faces of a folder."""
    _, dataset = recognised(folder, None)
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
        "seeds": {name: _scores(of_seed[None]) for name, of_seed in errors.items()},
        "mean": _scores(seeds),
    }
    if other is not None:
        paired = compare(seeds.mean(axis=0), other, resamples=RESAMPLES, seed=BOOTSTRAP_SEED)
        results["other"] = _scores(other[None])
        results["against_other"] = {key: _rounded(value) for key, value in vars(paired).items()}
    return results


def markdown(results: dict[str, Any]) -> str:
    """Return the table of `summarise` as Markdown."""
    rows = {**results["seeds"], "**mean of the seeds**": results["mean"]}
    if "other" in results:
        rows["compared with"] = results["other"]
    lines = [f"| n = {results['n']} | NME [95 %] | FR@8 | AUC@8 |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {_text(row['nme'], '.2f')} | {row['fr8']:.2f} | {row['auc8']:.2f} |"
        for name, row in rows.items()
    ]
    if "against_other" in results:
        paired = results["against_other"]
        lines += [
            "",
            f"Paired over the faces, the mean of the seeds differs from the other by "
            f"{_text(paired['difference'], '+.3f')} (ratio {_text(paired['ratio'], '.3f')}) and is "
            f"nearer on {100 * paired['better']['value']:.0f} % of them.",
        ]
    return "\n".join(lines)


def _scores(errors: np.ndarray) -> dict[str, Any]:
    """Scores of errors (seeds, N); rates are means over the seeds."""
    (nme,) = mean_intervals(errors.mean(axis=0)[:, None], resamples=RESAMPLES, seed=BOOTSTRAP_SEED)
    return {
        "nme": _rounded(nme),
        "fr8": round(float(np.mean([failure_rate(e, THRESHOLD) for e in errors])), DECIMALS),
        "auc8": round(float(np.mean([auc(e, THRESHOLD) for e in errors])), DECIMALS),
    }


def _rounded(interval: Interval) -> dict[str, float]:
    return {key: round(value, DECIMALS) for key, value in vars(interval).items()}


def _text(interval: dict[str, float], form: str) -> str:
    return f"{interval['value']:{form}} [{interval['low']:{form}}, {interval['high']:{form}}]"


if __name__ == "__main__":
    run_main(main)
