"""Puts several experiments that differ in `student.seed` into one table.

    python -m tools.seed_table reports/mine mine-s1 mine-s2 mine-s3

The tool reads each experiment's metrics and per-face errors through DVC, so it works in the
repository that ran them; a name that is a folder is a copy of the project in which the stages have
run. It writes results.json to the first folder and prints the table as Markdown. A network's error
on a face is its mean over the seeds; intervals and the paired comparison resample the faces (95 %).
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import dvc.api
import numpy as np
import pandas as pd
import yaml

from landmark_kd.config import paths
from landmark_kd.core.errors import UserError, run_main
from landmark_kd.core.files import write_json
from landmark_kd.evaluation.bootstrap import RESAMPLES
from landmark_kd.evaluation.evaluate import FLOOR, NETWORKS
from landmark_kd.evaluation.scores import interval_text, rounded
from landmark_kd.faces.prepared import SEPARATOR
from tools.seed_scores import DECIMALS, comparison, seed_scores

# Measures of reports/metrics.json that not every data set has, and their names in the table.
FURTHER = {
    "nme_pupil": "NME, pupils",
    "nme_visible": "NME, visible",
    "nme_occluded": "NME, occluded",
}
MEASURES = {"fr8": "FR@8", "fr10": "FR@10", "auc8": "AUC@8", "auc10": "AUC@10"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="folder for results.json")
    parser.add_argument(
        "experiments", nargs="+", help="names or folders of experiments, one a seed"
    )
    arguments = parser.parse_args()
    runs = [read_experiment(name) for name in arguments.experiments]
    results = summarise(runs)
    write_json(arguments.out / "results.json", results)
    print(markdown(results))


def read_experiment(name: str) -> dict[str, Any]:
    """Read one experiment: its students' seed, its metrics and a row of errors a test face.

    Args:
        name: of the experiment, or a folder.

    Raises:
        UserError: there is no such experiment, or its files are not in the cache.
    """
    folder = Path(name)

    def content(path: Path) -> str:
        if folder.is_dir():
            return (folder / path).read_text(encoding="utf-8")
        return dvc.api.read(path.as_posix(), rev=name)

    try:
        errors = pd.read_csv(io.StringIO(content(paths.EVALUATION_REPORT / "errors.csv")))
        params = yaml.safe_load(content(Path("params.yaml")))
        metrics = json.loads(content(paths.METRICS))
    except Exception as error:  # DVC has a kind of its own for each thing that can be missing
        raise UserError(
            f"experiment {name} cannot be read ({error}); see `dvc exp show`."
        ) from None
    seed = params["student"]["seed"]
    return {
        "name": folder.name,
        "seed": params["base"]["seed"] if seed is None else seed,
        "errors": errors,
        "metrics": metrics,
    }


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return scores of each network over the seeds, and `kd` against `baseline` for each seed.

    Raises:
        UserError: the experiments were not measured on the same faces.
    """
    first = runs[0]["errors"]
    for run in runs[1:]:
        if not run["errors"]["name"].equals(first["name"]):
            raise UserError(f"{run['name']} and {runs[0]['name']} have other test faces.")
    of_face = first["subsets"].str.split(SEPARATOR)
    names = dict.fromkeys(name for subsets in of_face for name in subsets)
    subsets = {name: np.array([name in of_one for of_one in of_face]) for name in names}
    results: dict[str, Any] = {
        "experiments": {run["name"]: run["seed"] for run in runs},
        "bootstrap": RESAMPLES,
        "subsets": {},
    }
    for subset, rows in subsets.items():
        errors = {
            network: np.stack([run["errors"].loc[rows, network].to_numpy() for run in runs])
            for network in (*NETWORKS, FLOOR)
        }
        results["subsets"][subset] = {
            "n": int(rows.sum()),
            "networks": {
                name: seed_scores(values) | _further([run["metrics"][name][subset] for run in runs])
                for name, values in errors.items()
            },
            "kd_against_baseline": {
                "mean_of_seeds": comparison(errors["kd"].mean(0), errors["baseline"].mean(0)),
                **{
                    f"seed_{run['seed']}": comparison(errors["kd"][i], errors["baseline"][i])
                    for i, run in enumerate(runs)
                },
            },
        }
    return results


def markdown(results: dict[str, Any]) -> str:
    """Return the tables of `summarise` as Markdown."""
    lines: list[str] = []
    for subset, part in results["subsets"].items():
        names = MEASURES | FURTHER
        keys = [key for key in names if all(key in s for s in part["networks"].values())]
        heads = " | ".join(names[key] for key in keys)
        lines += [
            f"{subset}, n = {part['n']}",
            "",
            f"| network | NME of each seed | NME, mean [95 %] | {heads} |",
            "|---|---|---|" + "---|" * len(keys),
        ]
        for name, scores in part["networks"].items():
            seeds = " / ".join(f"{v:.2f}" for v in dict.fromkeys(scores["nme_of_seeds"]))
            others = " | ".join(f"{scores[key]:.2f}" for key in keys)
            lines.append(f"| {name} | {seeds} | {interval_text(scores['nme'])} | {others} |")
        lines += [
            "",
            "| kd - baseline | difference of NME [95 %] | ratio [95 %] | kd better on |",
            "|---|---|---|---|",
        ]
        for name, found in part["kd_against_baseline"].items():
            lines.append(
                f"| {name.replace('_', ' ')} | {interval_text(found['difference'], '+.3f')} "
                f"| {interval_text(found['ratio'], '.3f')} "
                f"| {100 * found['better']['value']:.0f} % |"
            )
        lines.append("")
    return "\n".join(lines)


def _further(metrics: list[dict[str, float]]) -> dict[str, float]:
    """Return means over the seeds of those FURTHER measures that this data set has."""
    keys = [key for key in FURTHER if all(key in found for found in metrics)]
    return rounded({key: np.mean([found[key] for found in metrics]) for key in keys}, DECIMALS)


if __name__ == "__main__":
    run_main(main)
