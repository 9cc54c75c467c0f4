"""The student's objective: KD-Loss, or plain distillation, against both teachers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landmark_kd.faces import Faces
from landmark_kd.fingerprint import file_hash
from landmark_kd.learner import Objective
from landmark_kd.loader import Batch
from landmark_kd.losses import distillation_loss
from landmark_kd.network_files import CONFIG_FILE, WEIGHTS_FILE
from landmark_kd.networks import load_network
from landmark_kd.params import KDParams
from landmark_kd.teachers import TEACHERS, landmarks_file
from landmark_kd.training import Goal


def kd_goal(kd: KDParams, faces: Faces, predictions: Path, models: Path) -> Goal:
    """Return what a student learns from both teachers.

    Targets are the hard-landmarks, then (when `kd.teacher_predictions` is cached) both teachers'
    predictions. With `online` both teachers predict each augmented batch anew: slow, and exact
    where a teacher's prediction does not move with the picture as its face does.

    Args:
        predictions: folder of the stage teacher_predictions.
        models: folder that holds the teachers' folders.
    """
    sets = [faces.crop_landmarks()]
    depends_on: dict[str, Any] = {"kd": kd.model_dump()}
    if kd.teacher_predictions == "cached":
        sets += [landmarks_file(predictions / f"{name}.npy", faces) for name in TEACHERS]
    else:
        files = [models / name / file for name in TEACHERS for file in (WEIGHTS_FILE, CONFIG_FILE)]
        depends_on["teachers"] = [file_hash(path) for path in files if path.is_file()]
    return Goal(np.stack(sets, axis=1), _objective(kd, models), depends_on)


def _objective(kd: KDParams, models: Path) -> Callable[[torch.device], Objective]:
    loss = distillation_loss(kd)

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
