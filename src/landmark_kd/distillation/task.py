"""The student's objective: KD-Loss, or plain distillation, against both teachers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landmark_kd.config.params import KDParams
from landmark_kd.config.paths import TEACHERS
from landmark_kd.core.files import file_hash
from landmark_kd.distillation.feature_matching import Matching, take_head
from landmark_kd.distillation.losses import distillation_loss
from landmark_kd.distillation.unlabelled import join_faces, load_unlabelled
from landmark_kd.faces.prepared import Faces, landmarks_file
from landmark_kd.models.config import CONFIG_FILE, WEIGHTS_FILE
from landmark_kd.models.network import LandmarkNet, load_network
from landmark_kd.training.learner import Objective
from landmark_kd.training.loader import Batch
from landmark_kd.training.tasks import Task

# The teacher of hard-landmarks: its points stand in for them, and it is the one to be matched.
_TOUGH = TEACHERS[0]


def kd_task(
    kd: KDParams,
    train: Faces,
    unlabelled: Faces,
    *,
    keep: float,
    predictions: Path,
    models: Path,
) -> tuple[Faces, Task]:
    """Return the faces that a student learns from, and what it learns from both teachers.

    Targets are the hard-landmarks, then (when `kd.teacher_predictions` is cached) both teachers'
    predictions. With `online` both teachers predict each augmented batch anew: slow, and exact
    where a teacher's prediction does not move with the image as its face does. Unlabelled faces
    have the tough teacher's points where others have hard-landmarks.

    Args:
        unlabelled: which may be none.
        keep: see `load_unlabelled`.
        predictions: folder of the stage teacher_predictions.
        models: folder that holds the teachers' folders.
    """
    hard = train.crop_landmarks()
    depends_on: dict[str, Any] = {"kd": kd.model_dump()}
    needed = _present(kd)
    if kd.head == "teacher" and not needed:
        needed = (_TOUGH,)
    if needed:
        files = [models / name / file for name in needed for file in (WEIGHTS_FILE, CONFIG_FILE)]
        depends_on["teachers"] = [file_hash(path) for path in files if path.is_file()]
    if kd.teacher_predictions == "online":
        return train, Task(hard[:, None], _objective(kd, models), depends_on)
    points = [landmarks_file(predictions / f"{name}.npy", train) for name in TEACHERS]
    targets = np.stack([hard, *points], axis=1)
    if len(unlabelled):
        unlabelled, found = load_unlabelled(unlabelled, predictions, keep)
        targets = np.concatenate([targets, found[:, [0, 0, 1]]])
    return join_faces(train, unlabelled), Task(targets, _objective(kd, models), depends_on)


def _present(kd: KDParams) -> tuple[str, ...]:
    """Return the teachers that look at each batch, the tough one first."""
    if kd.teacher_predictions == "online":
        return TEACHERS
    return (_TOUGH,) if kd.features or kd.heatmap else ()


def _objective(kd: KDParams, models: Path) -> Callable[[LandmarkNet, torch.device], Objective]:
    loss = distillation_loss(kd)

    def make(net: LandmarkNet, device: torch.device) -> Objective:
        if kd.head == "teacher":
            take_head(net, load_network(models / _TOUGH, device))
        present = [load_network(models / name, device) for name in _present(kd)]
        matching = None
        if kd.features or kd.heatmap:
            matching = Matching(net, present[0], features=kd.features, heatmap=kd.heatmap)

        def objective(
            pred: Tensor, targets: Tensor, batch: Batch
        ) -> tuple[Tensor, dict[str, Tensor]]:
            hard, *points = targets.unbind(dim=1)
            # One look of a teacher at the batch serves its points and all that is matched.
            with torch.no_grad():
                if kd.teacher_predictions == "online":
                    points = [teacher(teacher.normalize(batch.images)) for teacher in present]
                elif matching:
                    present[0].look(present[0].normalize(batch.images))
            total, parts = loss(pred, hard, *points)
            if matching:
                matched = matching()
                total = total + torch.stack(list(matched.values())).sum()
                parts = parts | matched
            return total, parts

        return objective

    return make
