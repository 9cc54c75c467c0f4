"""Hold the networks against the test faces: metrics, intervals, tables."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from landmark_kd import metrics
from landmark_kd.bootstrap import LEVEL, Interval, compare, mean_intervals
from landmark_kd.cost import network_cost
from landmark_kd.faces import Faces
from landmark_kd.networks import load_network, predict_faces

NETWORKS = ("tough", "tolerant", "baseline", "kd")
# The predictor that knows nothing but the box: the floor for every network.
FLOOR = "mean_shape"

# Percent of the inter-ocular distance; every data set gets the same two.
THRESHOLDS = (8, 10)
CED_LARGEST_ERROR = 10.0
CED_STEPS = 200
# Enough to tell runs apart, few enough that no rounding error shows.
DECIMALS = 6


@dataclass(frozen=True)
class Evaluation:
    """Predictions of all networks, and of the floor, for the test faces.

    Attributes:
        faces: N test faces.
        predictions: (N, K, 2) a network, pixels of the original pictures.
        errors: (N,) inter-ocular NME a network, percent.
        errors_pupil, errors_box: the same by inter-pupil distance, and by the root of the
            landmarks' box area.
    """

    faces: Faces
    predictions: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    errors_pupil: dict[str, np.ndarray]
    errors_box: dict[str, np.ndarray]

    @classmethod
    def of(cls, faces: Faces, predictions: dict[str, np.ndarray]) -> Evaluation:
        true, topology = faces.landmarks, faces.info.topology

        def errors(normalizer: np.ndarray) -> dict[str, np.ndarray]:
            return {name: metrics.nme(p, true, normalizer) for name, p in predictions.items()}

        return cls(
            faces=faces,
            predictions=predictions,
            errors=errors(metrics.interocular(true, topology)),
            errors_pupil=errors(metrics.interpupil(true, topology)),
            errors_box=errors(metrics.box_size(true)),
        )


def predict_all(
    train: Faces, test: Faces, models: Path, device: torch.device
) -> dict[str, np.ndarray]:
    """Predict the test faces with every network and with the train faces' mean shape.

    Args:
        models: folder that holds the networks' folders.

    Returns:
        (N, K, 2) a network, pixels of the original pictures.
    """
    found = {name: predict_faces(load_network(models / name, device), test) for name in NETWORKS}
    mean = train.crop_landmarks()[train.train_rows()].mean(axis=0)
    found[FLOOR] = np.broadcast_to(mean, test.landmarks.shape)
    return {name: test.to_image(points) for name, points in found.items()}


def metrics_table(evaluation: Evaluation) -> dict[str, dict[str, dict[str, float | int]]]:
    """Return {network: {subset: {nme, fr8, fr10, auc8, auc10, n, n_published}}}.

    All but the counts are percent, by inter-ocular distance. `n_published` is there where the
    data set's authors gave a count: less faces than that, and the number is none of theirs.
    """
    published = evaluation.faces.info.published
    table: dict[str, dict[str, dict[str, float | int]]] = {}
    for name, errors in evaluation.errors.items():
        table[name] = {}
        for subset, rows in evaluation.faces.subset_rows().items():
            part = errors[rows]
            scores: dict[str, float | int] = {"nme": _rounded(part.mean())}
            for key, measure in (("fr", metrics.failure_rate), ("auc", metrics.auc)):
                for threshold in THRESHOLDS:
                    scores[f"{key}{threshold}"] = _rounded(measure(part, threshold))
            scores["n"] = len(rows)
            count = published.get(subset)
            if count is not None:
                scores["n_published"] = count
            table[name][subset] = scores
    return table


def summary(table: dict[str, dict[str, dict[str, float | int]]]) -> str:
    """Return `metrics_table`'s result as lines to read in a terminal."""
    keys = ("nme", "fr8", "fr10", "auc8", "auc10")
    lines = ["network      subset             n      " + "".join(f"{key:>8}" for key in keys)]
    for name, subsets in table.items():
        for subset, scores in subsets.items():
            counts = str(scores["n"])
            if "n_published" in scores:
                counts += f" of {scores['n_published']}"
            numbers = "".join(f"{scores[key]:8.2f}" for key in keys)
            lines.append(f"{name:12} {subset:12} {counts:>12}  {numbers}")
    return "\n".join(lines)


def intervals(evaluation: Evaluation, *, resamples: int, seed: int) -> dict[str, Any]:
    """Return how sure the metrics are: bootstrap intervals, `kd` against `baseline`, protocol.

    Returns:
        `protocol`: what the numbers were measured on and how; `networks`: {network: {subset:
        {measure: {value, low, high}}}}; `kd_against_baseline`: {subset: {difference, ratio,
        better}}, on the inter-ocular NME of the same faces.
    """
    info = evaluation.faces.info
    subsets = evaluation.faces.subset_rows()
    networks: dict[str, dict[str, Any]] = {name: {} for name in evaluation.errors}
    paired: dict[str, Any] = {}
    for subset, rows in subsets.items():
        columns = {
            (name, measure): values[rows]
            for name in networks
            for measure, values in _face_values(evaluation, name).items()
        }
        found = mean_intervals(
            np.stack(list(columns.values()), axis=1), resamples=resamples, seed=seed
        )
        for (name, measure), interval in zip(columns, found, strict=True):
            networks[name].setdefault(subset, {})[measure] = _rounded_interval(interval)
        kd, baseline = (evaluation.errors[name][rows] for name in ("kd", "baseline"))
        comparison = compare(kd, baseline, resamples=resamples, seed=seed)
        paired[subset] = {
            "difference": _rounded_interval(comparison.difference),
            "ratio": _rounded_interval(comparison.ratio),
            "better": _rounded_interval(comparison.better),
        }
    protocol = {
        "dataset": info.dataset,
        "subsets": {
            name: {"n": len(rows), "n_published": info.published.get(name)}
            for name, rows in subsets.items()
        },
        "missing": info.missing,
        "normalizer": "outer eye corners; nme_pupil: pupils; nme_box: root of box area",
        "crop_size": info.crop_size,
        "margin": info.margin,
        "box": info.box,
        "seed": seed,
        "bootstrap": resamples,
        "level": LEVEL,
    }
    return {"protocol": protocol, "networks": networks, "kd_against_baseline": paired}


def costs(models: Path) -> dict[str, dict[str, float | str]]:
    """Measure what each network costs on this machine's CPU, for reports/cost.json.

    Returns:
        {network: {parameters, flops, ms_per_face, …}} as `network_cost` gives them, and
        `machine`: {cpu, threads}. Times differ from run to run.
    """
    table: dict[str, dict[str, float | str]] = {}
    for name in NETWORKS:
        cost = network_cost(load_network(models / name))
        threads = cost.pop("threads")
        table[name] = {key: round(value, DECIMALS) for key, value in cost.items()}
    table["machine"] = {"cpu": _cpu_name(), "threads": threads}
    return table


def error_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return a row a test face: name, subset, and each network's inter-ocular NME (percent)."""
    return pd.concat(
        [evaluation.faces.table[["name", "subset"]], pd.DataFrame(evaluation.errors)], axis=1
    )


def ced_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return the CED over all test faces: `error` (percent) and a column a network (0 to 1)."""
    errors = np.linspace(0, CED_LARGEST_ERROR, CED_STEPS + 1)
    shares = {name: metrics.ced(e, errors) for name, e in evaluation.errors.items()}
    return pd.DataFrame({"error": errors, **shares})


def per_landmark_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return a row a landmark: index, name, and each network's mean error (percent)."""
    topology = evaluation.faces.info.topology
    true = evaluation.faces.landmarks
    distance = metrics.interocular(true, topology)
    errors = {
        name: metrics.per_landmark(pred, true, distance)
        for name, pred in evaluation.predictions.items()
    }
    head = {"landmark": np.arange(topology.points), "name": topology.names}
    return pd.DataFrame({**head, **errors})


def faces_title(faces: Faces) -> str:
    """Say which faces the diagrams show: the data set, and each subset with its count."""
    counts = faces.table["subset"].value_counts(sort=False)
    parts = ", ".join(
        f"{name} {n}" + _of_published(n, faces.info.published.get(str(name)))
        for name, n in counts.items()
    )
    return f"{faces.info.dataset}, test faces: {parts}"


def _face_values(evaluation: Evaluation, name: str) -> dict[str, np.ndarray]:
    """Numbers a face whose means are the measures."""
    errors = evaluation.errors[name]
    values = {
        "nme": errors,
        "nme_pupil": evaluation.errors_pupil[name],
        "nme_box": evaluation.errors_box[name],
    }
    parts: tuple[tuple[str, Callable[[np.ndarray, float], np.ndarray]], ...]
    parts = (("fr", metrics.failures), ("auc", metrics.areas))
    for key, part in parts:
        for threshold in THRESHOLDS:
            values[f"{key}{threshold}"] = part(errors, threshold)
    return values


def _of_published(found: int, published: int | None) -> str:
    return f" of {published}" if published is not None and published != found else ""


def _cpu_name() -> str:
    """Name of the processor; Linux alone tells it in a file, others by `platform`."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS)


def _rounded_interval(interval: Interval) -> dict[str, float]:
    return {key: _rounded(value) for key, value in asdict(interval).items()}
