"""A run of the pipeline as its stages leave it, with made-up predictions: no network is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from landmark_kd.config import paths
from landmark_kd.config.params import BoxJitterParams, load_params
from landmark_kd.core.files import save_array, write_json
from landmark_kd.evaluation.curves import best_epochs, validation_curves
from landmark_kd.evaluation.evaluate import (
    FLOOR,
    NETWORKS,
    Evaluation,
    intervals,
    metrics_table,
)
from landmark_kd.evaluation.report import write_evaluation_report
from landmark_kd.faces.prepared import Faces, load_faces
from landmark_kd.html_report.material import load_material
from landmark_kd.html_report.provenance import provenance
from landmark_kd.html_report.report import write_report
from landmark_kd.html_report.run import load_run
from landmark_kd.landmarks.uncertainty import LEVELS
from landmark_kd.soft_landmarks.soften import write_soft_landmarks
from tests.conftest import PROJECT
from tests.support.prepared_faces import prepared_faces

EPOCHS = 3
# Of landmarks around the hard ones, pixels of faces of some 200.
SPREAD = {"tough": 4.0, "tolerant": 6.0, "baseline": 8.0, "kd": 5.0, FLOOR: 30.0}
SUBSETS = ("common|full", "common|full", "challenging|full")
PUBLISHED: dict[str, int | None] = {"common": 554, "challenging": 135, "full": 689}


def made_up_run(
    root: Path,
    faces: int = 12,
    *,
    names: Sequence[str] | None = None,
    kd_spread: float = SPREAD["kd"],
    seed: int = 0,
    faces_seed: int = 2,
) -> None:
    """Write a run's folders below `root`: faces, shape model, teachers' predictions, reports.

    Args:
        faces: of the test set.
        names: of the test faces.
        kd_spread: how far `kd` is off.
        seed: of the predictions.
        faces_seed: of the test faces.
    """
    train = prepared_faces(root / paths.TRAIN_FACES, 20, subsets=("train",), validation=4, seed=1)
    test = prepared_faces(
        root / paths.TEST_FACES, faces, subsets=SUBSETS, published=PUBLISHED, seed=faces_seed
    )
    if names is not None:
        table = test.table.assign(name=list(names))
        table.to_csv(root / paths.TEST_FACES / "faces.csv", index=False)
        test = load_faces(root / paths.TEST_FACES)
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    write_soft_landmarks(
        train,
        load_params(PROJECT / "params.yaml").asm,
        out=root / paths.SOFT_LANDMARKS,
        report=root / paths.ASM_REPORT,
        scores=root / paths.SOFT_LANDMARK_METRICS,
    )
    rng = np.random.default_rng(seed)
    hard = train.crop_landmarks()
    (root / paths.TEACHER_PREDICTIONS).mkdir(parents=True)
    for name, spread in (("tough", 0.01), ("tolerant", 0.02)):
        points = hard + spread * rng.standard_normal(hard.shape)
        save_array(root / paths.TEACHER_PREDICTIONS / f"{name}.npy", points)
    _write_curves(root / paths.CURVES, rng)
    write_evaluation(root, test, kd_spread=kd_spread, rng=rng)
    write_json(
        root / paths.COST, {name: {"parameters": 1850000, "macs": 257000000} for name in NETWORKS}
    )


def write_evaluation(
    root: Path, test: Faces, *, kd_spread: float, rng: np.random.Generator
) -> None:
    """Write what the stage evaluate writes, of made-up predictions."""
    shape = test.landmarks.shape
    spread = SPREAD | {"kd": kd_spread}
    predictions = {n: test.landmarks + s * rng.standard_normal(shape) for n, s in spread.items()}
    sigmas = {name: np.full(shape[:2], spread[name]) for name in NETWORKS}
    regions = np.sqrt(-2 * np.log(1 - np.array(LEVELS)))
    evaluation = Evaluation.of(
        test,
        predictions,
        BoxJitterParams(shift=0, scale=0),
        test.info.crop_size,
        sigmas=sigmas,
        regions=dict.fromkeys(NETWORKS, regions),
    )
    curves = validation_curves(root / paths.CURVES)
    write_json(root / paths.METRICS, metrics_table(evaluation))
    write_json(root / paths.TRAINING_METRICS, best_epochs(curves))
    scores = intervals(evaluation, resamples=100, seed=1)
    write_evaluation_report(evaluation, scores, curves, root / paths.EVALUATION_REPORT)


def write_page(root: Path) -> Path:
    """Write the page of a made-up run and return it."""
    kd = load_params(PROJECT / "params.yaml").kd
    page = root / paths.PAGE
    write_report(load_run(root), load_material(kd, root), provenance(root), page)
    return page


def many_faces(faces: Faces, count: int) -> Faces:
    """Return faces repeated until there are `count`, each with a name of its own."""
    rows = np.arange(count) % len(faces)
    table = faces.table.iloc[rows].reset_index(drop=True)
    table["name"] = [f"photos/a folder of many/face_{row:05d}.jpg" for row in range(count)]
    return replace(
        faces,
        images=np.asarray(faces.images)[rows],
        landmarks=faces.landmarks[rows],
        crop_to_image=faces.crop_to_image[rows],
        table=table,
    )


def _write_curves(folder: Path, rng: np.random.Generator) -> None:
    for name in NETWORKS:
        parts = ("loss", "main", "tough", "tolerant") if name == "kd" else ("loss",)
        plots = folder / name / "plots/metrics"
        for path in (plots / "val/nme.tsv", *(plots / f"train/{part}.tsv" for part in parts)):
            path.parent.mkdir(parents=True, exist_ok=True)
            values = np.sort(rng.uniform(3, 9, EPOCHS))[::-1]
            table = pd.DataFrame({"step": range(EPOCHS), path.stem: values})
            table.to_csv(path, sep="\t", index=False)
