"""Soft-landmarks of the train faces, and the report on the shape model they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from landmark_kd.asm import ShapeModel
from landmark_kd.errors import UserError
from landmark_kd.face_figures import FacePanel, draw_faces, draw_modes
from landmark_kd.faces import Faces
from landmark_kd.files import replaced_folder, save_array, write_json
from landmark_kd.metrics import nme, normalizing_distance
from landmark_kd.params import AsmParams
from landmark_kd.topology import Topology

SOFT_FILE = "soft.npy"
MODEL_FILE = "shape_model.npz"
# Faces in the picture, at even distances from the least to the most changed one.
FACES_SHOWN = 8
# The table goes on to this share of the variance, or to what the parameters keep.
TABLE_VARIANCE = 0.99
DECIMALS = 6


def write_soft_landmarks(
    faces: Faces, asm: AsmParams, out: Path, report: Path, scores: Path
) -> None:
    """Fit a shape model to the train faces and soften the landmarks of all of them.

    Faces held out for validation are softened, but have no part in the fit.

    Args:
        faces: the train faces, validation faces among them.
        out: folder for `soft.npy` (N, K, 2), network coordinates, and `shape_model.npz`.
        report: folder for modes.png, soft_landmarks.png and variance.csv.
        scores: JSON file: modes kept, variance explained, hard against soft NME (percent).

    Raises:
        UserError: the train faces' landmarks admit no shape model.
    """
    hard = faces.crop_landmarks()
    train, validation = faces.train_rows(), faces.validation_rows()
    try:
        everything = ShapeModel.fit(hard[train], 1.0, asm.align, asm.limit)
    except ValueError as error:
        raise UserError(
            f"no shape model fits the {len(train)} train faces ({error}); "
            "add faces or lower prepare.validation."
        ) from None
    model = everything.explaining(asm.variance)
    soft = model.soften(hard)
    moved = nme(soft, hard, normalizing_distance(hard, faces.info.topology))
    with replaced_folder(out) as temporary:
        save_array(temporary / SOFT_FILE, soft)
        model.save(temporary / MODEL_FILE)
    with replaced_folder(report) as temporary:
        draw_modes(temporary / "modes.png", model, faces.info.topology)
        _draw_soft(temporary / "soft_landmarks.png", faces, soft, moved, model)
        shown = max(len(model.modes), len(everything.explaining(TABLE_VARIANCE).modes))
        table = variance_table(everything, hard[train], faces.info.topology, shown)
        table.to_csv(temporary / "variance.csv", index=False, float_format=f"%.{DECIMALS}f")
    write_json(
        scores,
        {
            "modes": len(model.modes),
            "variance_explained": round(model.explained, DECIMALS),
            "nme_train": round(float(moved[train].mean()), DECIMALS),
            "nme_validation": round(float(moved[validation].mean()), DECIMALS),
        },
    )


def variance_table(
    model: ShapeModel, shapes: np.ndarray, topology: Topology, modes: int
) -> pd.DataFrame:
    """Tell what each further mode explains, and how far it leaves the soft-landmarks.

    Args:
        model: with at least `modes` modes.
        shapes: (N, K, 2) the shapes it was fitted to.

    Returns:
        A row for each number of modes kept: `modes`, `variance` (share, 0 to 1, of the last
        mode), `cumulative` (share of all kept) and `nme` (hard against soft, percent).
    """
    distance = normalizing_distance(shapes, topology)
    kept = range(1, modes + 1)
    shares = model.all_variances[:modes] / model.all_variances.sum()
    errors = [nme(model.truncated(m).soften(shapes), shapes, distance).mean() for m in kept]
    return pd.DataFrame(
        {"modes": kept, "variance": shares, "cumulative": shares.cumsum(), "nme": errors}
    )


def _draw_soft(
    path: Path, faces: Faces, soft: np.ndarray, moved: np.ndarray, model: ShapeModel
) -> None:
    train = faces.train_rows()
    by_change = train[np.argsort(moved[train], kind="stable")]
    picks = np.linspace(0, len(train) - 1, min(FACES_SHOWN, len(train))).round().astype(int)
    in_image = faces.to_image(soft)
    panels = [
        FacePanel.of_face(faces, row, in_image[row], f"moved by {moved[row]:.1f} %", "soft")
        for row in by_change[picks]
    ]
    title = (
        f"Hard- and soft-landmarks ({len(model.modes)} modes, "
        f"{100 * model.explained:.0f} % of the variance), from least to most moved"
    )
    draw_faces(path, panels, faces.info.topology, columns=4, title=title)
