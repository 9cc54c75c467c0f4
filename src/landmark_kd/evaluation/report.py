"""Writes the evaluation's report folders: tables for `dvc plots`, diagrams, images of faces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from landmark_kd.core.files import replaced_file, replaced_folder, write_json
from landmark_kd.distillation.losses import KDLoss, PointsLoss
from landmark_kd.evaluation.evaluate import (
    FLOOR,
    Evaluation,
    ced_table,
    error_table,
    faces_title,
    per_landmark_table,
    reliability_table,
)
from landmark_kd.visualization.panels import FacePanel, draw_faces
from landmark_kd.visualization.plots import (
    LABELS,
    draw_ced,
    draw_kd_loss,
    draw_per_landmark,
    draw_reliability,
    draw_training_curves,
)

# The teachers' distances from the hard-landmark, in shares of the crop's side: one pixel in a
# hundred for the tough teacher, twice that for the tolerant one, which learns soft-landmarks.
TEACHER_DISTANCES = {"tough": 0.01, "tolerant": 0.02}
LARGEST_ERROR = 0.03
STEPS = 300

CSV_FORMAT = "%.6f"
# Faces in each image; every face is shown once for each student.
FACES_SHOWN = 4
STUDENTS = ("baseline", "kd")
PREDICTIONS_FILE = "predictions.npz"


def write_evaluation_report(
    evaluation: Evaluation,
    scores: dict[str, Any],
    curves: Mapping[str, pd.DataFrame],
    out: Path,
) -> None:
    """Write tables and images of the test faces, and the training curves, to a folder.

    The files are intervals.json, errors.csv, ced.csv, per_landmark.csv, reliability.csv, ced.png,
    per_landmark.png, reliability.png, training_curves.png, and best.png, median.png and worst.png
    with the test faces on which `kd` has the smallest, the middle and the largest errors;
    predictions.npz (see `write_predictions`).

    Args:
        scores: of `intervals`.
        curves: of `validation_curves`.
    """
    title = faces_title(evaluation)
    ced, landmarks = ced_table(evaluation), per_landmark_table(evaluation)
    with replaced_folder(out) as folder:
        write_json(folder / "intervals.json", scores)
        _write_csv(folder / "errors.csv", error_table(evaluation))
        _write_csv(folder / "ced.csv", ced)
        _write_csv(folder / "per_landmark.csv", landmarks)
        draw_ced(folder / "ced.png", ced, title)
        draw_per_landmark(folder / "per_landmark.png", landmarks, title)
        reliability = reliability_table(evaluation)
        _write_csv(folder / "reliability.csv", reliability)
        draw_reliability(folder / "reliability.png", reliability, title)
        draw_training_curves(folder / "training_curves.png", curves)
        write_predictions(folder / PREDICTIONS_FILE, evaluation)
        for name, rows in _picked_faces(evaluation.errors["kd"]).items():
            title = f"Test faces with the {name} NME of the KD student"
            _draw_students(folder / f"{name}.png", evaluation, rows, title)


def write_predictions(path: Path, evaluation: Evaluation) -> None:
    """Write what each network says of the test faces, for those who look at single faces.

    The arrays are named as the networks: (N, K, 2) float32, pixels of the original images. The
    floor is not among them, since it says nothing that a face's box does not.
    """
    points = {
        name: found.astype(np.float32)
        for name, found in evaluation.predictions.items()
        if name != FLOOR
    }
    with replaced_file(path) as temporary:
        np.savez(temporary, **points)  # type: ignore[arg-type]


def write_kd_loss_report(loss: KDLoss | PointsLoss, out: Path) -> None:
    """Write KD-Loss and its parts by the error to a folder: kd_loss.csv, kd_loss.png."""
    curve = kd_loss_curve(loss)
    with replaced_folder(out) as folder:
        _write_csv(folder / "kd_loss.csv", curve)
        draw_kd_loss(folder / "kd_loss.png", curve, TEACHER_DISTANCES)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, index=False, float_format=CSV_FORMAT)


def _picked_faces(errors: np.ndarray) -> dict[str, np.ndarray]:
    """Return rows of the faces with the smallest, the middle and the largest errors."""
    order = np.argsort(errors, kind="stable")
    order = order[~np.isnan(errors[order])]
    shown = min(FACES_SHOWN, len(order))
    middle = (len(order) - shown) // 2
    return {
        "best": order[:shown],
        "median": order[middle : middle + shown],
        "worst": order[::-1][:shown],
    }


def _draw_students(path: Path, evaluation: Evaluation, rows: np.ndarray, title: str) -> None:
    panels = [
        FacePanel.of_face(
            evaluation.faces,
            row,
            evaluation.predictions[name][row],
            f"{LABELS[name]}: {evaluation.errors[name][row]:.2f} %",
            name,
        )
        for name in STUDENTS
        for row in rows
    ]
    scheme = evaluation.faces.info.scheme
    draw_faces(path, panels, scheme, columns=len(rows), title=title)


def kd_loss_curve(
    loss: KDLoss | PointsLoss,
    distances: Mapping[str, float] = TEACHER_DISTANCES,
    largest: float = LARGEST_ERROR,
) -> pd.DataFrame:
    """Evaluate the loss of one coordinate for errors from 0 to the largest.

    Args:
        distances: of each teacher from the hard-landmark, share of the crop's side.
        largest: error, share of the crop's side.

    Returns:
        Columns `error` (share of the crop's side), `total`, and the weighted parts `main`,
        `tough` and `tolerant`, whose sum the total is.
    """
    errors = np.linspace(0, largest, STEPS + 1)
    hard = torch.zeros(1, 1, 1, dtype=torch.float64)
    tough, tolerant = (torch.full_like(hard, distances[name]) for name in ("tough", "tolerant"))
    rows = []
    for error in errors:
        total, parts = loss(torch.full_like(hard, error), hard, tough, tolerant)
        weighted = {name: float(value) for name, value in parts.items()}
        rows.append({"error": float(error), "total": float(total), **weighted})
    return pd.DataFrame(rows)
