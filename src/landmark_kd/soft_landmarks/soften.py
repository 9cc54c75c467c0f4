"""Soft-landmarks of the train faces, and the report on the shape model they come from."""

from __future__ import annotations

from pathlib import Path

from threadpoolctl import threadpool_limits

from landmark_kd.config.params import AsmParams
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_folder, save_array, write_json
from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks.metrics import nme, normalizing_distance
from landmark_kd.landmarks.missing import complete, mean_present
from landmark_kd.soft_landmarks.report import draw_modes, draw_soft, variance_table
from landmark_kd.soft_landmarks.shape_model import ShapeModel

SOFT_FILE = "soft.npy"
MODEL_FILE = "shape_model.npz"
# The table goes on to this share of the variance, or to what the parameters keep.
TABLE_VARIANCE = 0.99
DECIMALS = 6


# With another number of threads BLAS adds up in another order, and the last bits would be those of
# the machine's number of cores.
@threadpool_limits.wrap(limits=1, user_api="blas")
def write_soft_landmarks(
    faces: Faces, asm: AsmParams, out: Path, report: Path, scores: Path
) -> None:
    """Fit a shape model to the train faces and soften the landmarks of all of them.

    Faces with missing landmarks have no part in the fit; they are softened by what is there.

    Faces held out for validation are softened, but have no part in the fit.

    Args:
        faces: the train faces, validation faces among them.
        out: folder for `soft.npy` (N, K, 2), network coordinates, NaN where the hard-landmark is
            missing, and `shape_model.npz`.
        report: folder for modes.png, soft_landmarks.png and variance.csv.
        scores: JSON file: modes kept, variance explained, hard against soft NME (percent).

    Raises:
        UserError: the train faces' landmarks admit no shape model.
    """
    hard = faces.crop_landmarks()
    train, validation = faces.train_rows(), faces.validation_rows()
    whole = train[complete(hard[train])]
    try:
        everything = ShapeModel.fit(hard[whole], 1.0, asm.align, asm.limit)
    except ValueError as error:
        raise UserError(
            f"no shape model fits the {_of(len(whole), len(train))} ({error}); "
            "add faces or lower prepare.validation."
        ) from None
    model = everything.explaining(asm.variance)
    soft = model.soften(hard)
    moved = nme(soft, hard, normalizing_distance(hard, faces.info.scheme))
    with replaced_folder(out) as temporary:
        save_array(temporary / SOFT_FILE, soft)
        model.save(temporary / MODEL_FILE)
    with replaced_folder(report) as temporary:
        draw_modes(temporary / "modes.png", model, faces.info.scheme)
        draw_soft(temporary / "soft_landmarks.png", faces, soft, moved, model)
        shown = max(len(model.modes), len(everything.explaining(TABLE_VARIANCE).modes))
        table = variance_table(everything, hard[whole], faces.info.scheme, shown)
        table.to_csv(temporary / "variance.csv", index=False, float_format=f"%.{DECIMALS}f")
    write_json(
        scores,
        {
            "modes": len(model.modes),
            "variance_explained": round(model.explained, DECIMALS),
            "nme_train": round(float(mean_present(moved[train])), DECIMALS),
            "nme_validation": round(float(mean_present(moved[validation])), DECIMALS),
        },
    )


def _of(whole: int, train: int) -> str:
    return f"{train} train faces" if whole == train else f"{whole} of {train} complete train faces"
