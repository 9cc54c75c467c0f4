"""Teachers: the tough one learns hard-landmarks, the tolerant one soft-landmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from landmark_kd.errors import UserError
from landmark_kd.faces import Faces, check_finite, load_array
from landmark_kd.loader import Batch
from landmark_kd.losses import REGRESSION_LOSSES
from landmark_kd.training import Goal

TEACHERS = ("tough", "tolerant")
# What the stage teacher_predictions says of unlabelled faces; named here, so that students who read
# it do not depend on the code that writes it.
UNLABELLED_FILE = "unlabelled_{teacher}.npy"
DISAGREEMENT_FILE = "unlabelled_disagreement.npy"


def regression_goal(targets: np.ndarray, loss: str) -> Goal:
    """Learn landmarks with a plain regression loss.

    Args:
        targets: (N, K, 2) network coordinates.
        loss: a name in REGRESSION_LOSSES.
    """
    function = REGRESSION_LOSSES[loss]

    def objective(pred: Tensor, targets: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return function(pred, targets[:, 0]), {}

    return Goal(targets[:, None], lambda net, device: objective, {"loss": loss})


def teacher_goal(teacher: str, faces: Faces, soft_landmarks: Path, loss: str) -> Goal:
    """Return what a teacher learns.

    Args:
        teacher: tough (hard-landmarks) or tolerant (soft-landmarks).
        soft_landmarks: folder of the stage of that name.
        loss: a name in REGRESSION_LOSSES.
    """
    if teacher == "tough":
        return regression_goal(faces.crop_landmarks(), loss)
    return regression_goal(landmarks_file(soft_landmarks / "soft.npy", faces), loss)


def landmarks_file(path: Path, faces: Faces) -> np.ndarray:
    """Load landmarks (N, K, 2) that an earlier stage made for all of `faces`.

    Raises:
        UserError: they are missing, damaged or were made for other faces.
    """
    landmarks = np.array(load_array(path))
    if landmarks.shape != faces.landmarks.shape:
        raise UserError(
            f"{path} holds {landmarks.shape} numbers, but the faces need "
            f"{faces.landmarks.shape}; run `dvc repro` to make it again."
        )
    check_finite(path, landmarks)
    return landmarks
