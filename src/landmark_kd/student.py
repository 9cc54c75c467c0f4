"""The student's objective: KD-Loss against both teachers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landmark_kd.faces import Faces
from landmark_kd.loader import Batch
from landmark_kd.losses import KDLoss
from landmark_kd.networks import load_network
from landmark_kd.params import KDParams
from landmark_kd.teachers import TEACHERS, landmarks_file
from landmark_kd.training import Objective


def kd_targets(kd: KDParams, faces: Faces, predictions: Path) -> np.ndarray:
    """Return (N, T, K, 2): hard-landmarks, then (when cached) both teachers' predictions.

    Args:
        predictions: folder of the stage teacher_predictions.
    """
    sets = [faces.crop_landmarks()]
    if kd.teacher_predictions == "cached":
        sets += [landmarks_file(predictions / f"{name}.npy", faces) for name in TEACHERS]
    return np.stack(sets, axis=1)


def kd_objective(kd: KDParams, models: Path) -> Callable[[torch.device], Objective]:
    """Return what `train` needs to train a student with KD-Loss.

    With `kd.teacher_predictions: online` both teachers predict each augmented batch anew: slow,
    and exact where a teacher's prediction does not move with the picture as its face does.

    Args:
        models: folder that holds the teachers' folders.
    """
    loss = KDLoss.from_params(kd)

    def cached(pred: Tensor, targets: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        hard, tough, tolerant = targets.unbind(dim=1)
        return loss(pred, hard, tough, tolerant)

    def make(device: torch.device) -> Objective:
        if kd.teacher_predictions == "cached":
            return cached
        teachers = [load_network(models / name, device) for name in TEACHERS]

        def online(pred: Tensor, targets: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            with torch.no_grad():
                tough, tolerant = (net(net.normalize(batch.images)) for net in teachers)
            return loss(pred, targets[:, 0], tough, tolerant)

        return online

    return make
