"""What the page of a run shows beside its numbers: faces, shape model, teachers, loss."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from landmark_kd.config import paths
from landmark_kd.config.params import KDParams
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import damaged
from landmark_kd.distillation.losses import KDLoss, PointsLoss, distillation_loss
from landmark_kd.faces.prepared import Faces, landmarks_file, load_faces
from landmark_kd.soft_landmarks.shape_model import ShapeModel
from landmark_kd.soft_landmarks.soften import MODEL_FILE

VARIANCE = paths.ASM_REPORT / "variance.csv"


@dataclass(frozen=True)
class Material:
    """What a page is made of beside the run's numbers.

    Attributes:
        train, test: the prepared faces, in the students' size.
        model: the shape model behind the soft-landmarks.
        variance: its table, a row a number of modes.
        teachers: (N, K, 2) of each teacher for the train faces, network coordinates.
        loss: the distillation loss of the run.
        beta: share of |t - g| at which KD-Loss's low influence begins; None where the loss has no
            regions.
    """

    train: Faces
    test: Faces
    model: ShapeModel
    variance: pd.DataFrame
    teachers: dict[str, np.ndarray]
    loss: KDLoss | PointsLoss
    beta: float | None


def load_material(kd: KDParams, root: Path = Path()) -> Material:
    """Open what the stages left below the project's top folder.

    Raises:
        UserError: a file is missing or damaged, or they do not fit one another.
    """
    train = load_faces(root / paths.TRAIN_FACES)
    try:
        variance = pd.read_csv(root / VARIANCE)[["modes", "cumulative", "nme"]]
    except FileNotFoundError:
        raise UserError(f"{VARIANCE} is missing; run `dvc repro` to make it.") from None
    except (ValueError, KeyError) as error:
        raise damaged(VARIANCE, error) from None
    return Material(
        train=train,
        test=load_faces(root / paths.TEST_FACES),
        model=ShapeModel.load(root / paths.SOFT_LANDMARKS / MODEL_FILE),
        variance=variance,
        teachers={
            # The same faces in the teachers' size: predictions are shares of the crop's side.
            name: landmarks_file(root / paths.TEACHER_PREDICTIONS / f"{name}.npy", train)
            for name in paths.TEACHERS
        },
        loss=distillation_loss(kd),
        beta=None if kd.variant == "points" else kd.beta,
    )
