"""What a network is trained on without a teacher: hard-landmarks, or the soft ones.

The tough teacher and the baseline learn hard-landmarks, the tolerant teacher soft-landmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landmark_kd.config.params import Params
from landmark_kd.faces.prepared import Faces, landmarks_file
from landmark_kd.models.network import LandmarkNet
from landmark_kd.training.learner import Objective
from landmark_kd.training.loader import Batch
from landmark_kd.training.losses import REGRESSION_LOSSES


def regression_task(targets: np.ndarray, loss: str) -> Task:
    """Learn landmarks with a plain regression loss.

    Args:
        targets: (N, K, 2) network coordinates.
        loss: a name in REGRESSION_LOSSES.
    """
    function = REGRESSION_LOSSES[loss]

    def objective(pred: Tensor, targets: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return function(pred, targets[:, 0]), {}

    return Task(targets[:, None], lambda net, device: objective, {"loss": loss})


def teacher_task(teacher: str, faces: Faces, soft_landmarks: Path, loss: str) -> Task:
    """Return what a teacher learns.

    Args:
        teacher: tough (hard-landmarks) or tolerant (soft-landmarks).
        soft_landmarks: folder of the stage of that name.
        loss: a name in REGRESSION_LOSSES.
    """
    if teacher == "tough":
        return regression_task(faces.crop_landmarks(), loss)
    return regression_task(landmarks_file(soft_landmarks / "soft.npy", faces), loss)


@dataclass(frozen=True)
class Task:
    """What a network is to learn.

    Attributes:
        targets: (N, T, K, 2) network coordinates, N = len(faces). Set 0 is what the validation
            NME is measured against; all sets move with the augmentation.
        objective: gives the loss for the network that learns and the device that was chosen.
        depends_on: what else the loss depends on, as JSON has it: parameters, hashes of files.
    """

    targets: np.ndarray
    objective: Callable[[LandmarkNet, torch.device], Objective]
    depends_on: Mapping[str, Any]


def student_seed(params: Params) -> int:
    """Return the students' seed: student.seed, or base.seed where that is null."""
    return params.base.seed if params.student.seed is None else params.student.seed
