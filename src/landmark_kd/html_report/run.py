"""What one run of the pipeline left in a folder, read and checked for the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landmark_kd.config import paths
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import damaged, read_json
from landmark_kd.core.schema import read_yaml
from landmark_kd.evaluation.evaluate import FLOOR
from landmark_kd.evaluation.report import PREDICTIONS_FILE

PARAMS = Path("params.yaml")
# What the pages are about, and what it is compared with.
KD, BASELINE, CONTROL = "kd", "baseline", "control"
# Of a subset; older versions of the pipeline may lack others.
NEEDED = ("nme", "fr8", "auc8", "n")
# In this order wherever networks are listed; others, which later versions may have, come last.
ORDER = ("tough", "tolerant", BASELINE, CONTROL, KD)
# What `dvc repro evaluate` leaves, and all that a page is made of beside the faces.
INTERVALS = paths.EVALUATION_REPORT / "intervals.json"
ERRORS = paths.EVALUATION_REPORT / "errors.csv"
PER_LANDMARK = paths.EVALUATION_REPORT / "per_landmark.csv"
RELIABILITY = paths.EVALUATION_REPORT / "reliability.csv"
PREDICTIONS = paths.EVALUATION_REPORT / PREDICTIONS_FILE
# Those without which there is no page, and those that older versions did not write.
NEEDED_FILES = (paths.METRICS, PARAMS, INTERVALS, ERRORS)
OTHER_FILES = (paths.TRAINING_METRICS, paths.COST, PER_LANDMARK, RELIABILITY, PREDICTIONS)

Scores = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Curve:
    """How one network was trained.

    Attributes:
        epochs: from 1.
        nme: validation NME after each, percent.
        losses: `loss` and, of the `kd` student, its weighted parts by name; means of each epoch.
    """

    epochs: list[int]
    nme: list[float]
    losses: dict[str, list[float]]


@dataclass(frozen=True)
class Run:
    """One run's numbers, as its stages wrote them.

    Attributes:
        metrics: {network: {subset: {measure: number}}}, the content of metrics.json.
        intervals: {network: {subset: {measure: {value, low, high}}}}; empty where the run's
            version knew none.
        paired: {network: {subset: {difference, ratio, better}}} of `kd` against that network.
        protocol: what the numbers were measured on and how.
        errors: a row a test face: name, subsets, and each network's NME (percent).
        per_landmark, reliability: the tables of the same names; None in older versions.
        training, cost: the contents of training.json and cost.json.
        curves: of the networks that left one.
        predictions: (N, K, 2) of each network, pixels of the original images; None in older
            versions.
        params: the content of params.yaml.
    """

    metrics: Scores
    intervals: Scores
    paired: dict[str, dict[str, Any]]
    protocol: dict[str, Any]
    errors: pd.DataFrame
    per_landmark: pd.DataFrame | None
    reliability: pd.DataFrame | None
    training: dict[str, Any]
    cost: dict[str, Any]
    curves: dict[str, Curve]
    predictions: dict[str, np.ndarray] | None
    params: dict[str, Any]

    @property
    def networks(self) -> list[str]:
        """Names of all networks that were measured, the floor last."""
        known = [name for name in ORDER if name in self.metrics]
        others = [name for name in self.metrics if name not in (*ORDER, FLOOR)]
        return known + others + [name for name in (FLOOR,) if name in self.metrics]

    @property
    def subsets(self) -> list[str]:
        """Names of the subsets that `kd` was measured on."""
        return list(self.metrics[KD])

    @property
    def main_subset(self) -> str:
        """The subset whose numbers stand at the head of a page: the one with the most faces."""
        return max(self.subsets, key=lambda name: self.metrics[KD][name]["n"])


def load_run(root: Path = Path(), where: str = "") -> Run:
    """Read what a run left below a folder.

    Args:
        root: the project's top folder, or one with copies of its reports.
        where: what messages call it; empty for the project itself.

    Raises:
        UserError: a file is missing or damaged, or metrics.json has no `kd`, no subset, or lacks
            measures, as those of older versions may.
    """
    of = f" of {where}" if where else ""
    metrics = _metrics(read_json(root / paths.METRICS), of)
    intervals = read_json(root / INTERVALS)
    if not isinstance(intervals, dict) or not isinstance(intervals.get("protocol"), dict):
        raise _older(INTERVALS, of, "no protocol")
    errors = _table(root / ERRORS, ["name", "subsets", KD])
    return Run(
        metrics=metrics,
        intervals=intervals.get("networks") or {},
        paired=_paired(intervals),
        protocol=intervals["protocol"],
        errors=errors,
        per_landmark=_if_there(root / PER_LANDMARK, ["landmark", "name", KD]),
        reliability=_if_there(root / RELIABILITY, ["level"]),
        training=_json_if_there(root / paths.TRAINING_METRICS),
        cost=_json_if_there(root / paths.COST),
        curves=_curves(root / paths.CURVES),
        predictions=_predictions(root / PREDICTIONS, len(errors)),
        params=_params(root / PARAMS),
    )


def _metrics(content: Any, of: str) -> Scores:
    found = content.get(KD) if isinstance(content, dict) else None
    if not isinstance(found, dict) or not found:
        what = f"network `{KD}`" if found is None else f"subset of the network `{KD}`"
        raise UserError(
            f"{paths.METRICS}{of} has no {what}, which the page is about; run `dvc repro` up to "
            "the stage evaluate."
        )
    for network, subsets in content.items():
        if not isinstance(subsets, dict):
            raise _older(paths.METRICS, of, f"no subsets of {network}")
        for subset, scores in subsets.items():
            lacking = [key for key in NEEDED if not isinstance(scores, dict) or key not in scores]
            if lacking:
                raise _older(paths.METRICS, of, f"no {lacking[0]} of {network} on {subset}")
    return content


def _older(path: Path, of: str, what: str) -> UserError:
    return UserError(
        f"{path}{of} has {what}, as if an older version of the pipeline had written it; evaluate "
        "it anew with `dvc repro evaluate` (or `dvc exp run evaluate`)."
    )


def _paired(intervals: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    head = f"{KD}_against_"
    return {
        key.removeprefix(head): value
        for key, value in intervals.items()
        if key.startswith(head) and isinstance(value, dict)
    }


def _table(path: Path, columns: list[str], separator: str = ",") -> pd.DataFrame:
    try:
        text = {name: str for name in ("name", "subsets") if name in columns}
        table = pd.read_csv(path, sep=separator, dtype=text, keep_default_na=not text)
        lacking = [name for name in columns if name not in table.columns]
        if lacking:
            raise ValueError(f"it has no column {lacking[0]}")
        for name in table.columns.difference(["name", "subsets"]):
            table[name] = pd.to_numeric(table[name].replace("", np.nan))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except (ValueError, KeyError) as error:
        raise damaged(path, error) from None
    return table


def _if_there(path: Path, columns: list[str]) -> pd.DataFrame | None:
    return _table(path, columns) if path.exists() else None


def _json_if_there(path: Path) -> dict[str, Any]:
    content = read_json(path) if path.exists() else {}
    return content if isinstance(content, dict) else {}


def _curves(folder: Path) -> dict[str, Curve]:
    found = {}
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for name in sorted(names, key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER)):
        plots = folder / name / "plots/metrics"
        if not (plots / "val/nme.tsv").exists():
            continue
        nme = _table(plots / "val/nme.tsv", ["step", "nme"], "\t")
        losses = {
            path.stem: _table(path, ["step", path.stem], "\t")[path.stem].tolist()
            for path in sorted((plots / "train").glob("*.tsv"))
        }
        epochs = (nme["step"].astype(int) + 1).tolist()
        found[name] = Curve(epochs, nme["nme"].tolist(), losses)
    return found


def _predictions(path: Path, faces: int) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        shapes = {points.shape for points in found.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 3 or next(iter(shapes))[0] != faces:
            raise ValueError(f"it holds {shapes}, but {ERRORS.name} has {faces} faces")
    except MemoryError:
        raise
    except Exception as error:  # zipfile and numpy each raise their own kind
        raise damaged(path, error) from None
    return found


def _params(path: Path) -> dict[str, Any]:
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run from the project's top folder.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} has no sections such as base and data; put it right first.")
    return content
