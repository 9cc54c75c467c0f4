"""The student's objective: KD-Loss, or plain distillation, against both teachers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landmark_kd.config.params import KDParams
from landmark_kd.config.paths import TEACHERS
from landmark_kd.core.files import file_hash
from landmark_kd.distillation.feature_matching import matched_parts, resized, take_head
from landmark_kd.distillation.losses import distillation_loss
from landmark_kd.distillation.unlabelled import join_faces, load_unlabelled
from landmark_kd.faces.prepared import Faces, landmarks_file
from landmark_kd.models.config import CONFIG_FILE, WEIGHTS_FILE
from landmark_kd.models.heads import Details
from landmark_kd.models.network import LandmarkNet, load_network
from landmark_kd.training.error_density import ErrorDensity
from landmark_kd.training.losses import known_targets
from landmark_kd.training.tasks import Objective, Task

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
    needed = _watching(kd)
    if kd.head == "teacher" and not needed:
        needed = (_TOUGH,)
    if needed:
        files = [models / name / file for name in needed for file in (WEIGHTS_FILE, CONFIG_FILE)]
        depends_on["teachers"] = [file_hash(path) for path in files if path.is_file()]

    def objective(student: LandmarkNet, device: torch.device) -> Distillation:
        return Distillation(student, kd, models, device)

    if kd.teacher_predictions == "online":
        return train, Task(hard[:, None], objective, depends_on)
    points = [landmarks_file(predictions / f"{name}.npy", train) for name in TEACHERS]
    targets = np.stack([hard, *points], axis=1)
    if len(unlabelled):
        unlabelled, found = load_unlabelled(unlabelled, predictions, keep)
        targets = np.concatenate([targets, found[:, [0, 0, 1]]])
    return join_faces(train, unlabelled), Task(targets, objective, depends_on)


def _watching(kd: KDParams) -> tuple[str, ...]:
    """Return the teachers that look at each batch, the tough one first."""
    if kd.teacher_predictions == "online":
        return TEACHERS
    return (_TOUGH,) if kd.features or kd.heatmap else ()


class Distillation(Objective):
    """A student and its frozen teachers: KD-Loss or plain distillation, and what is matched.

    Teachers look at the batch only where their cached predictions do not say all.

    Args:
        student: the network that learns.
        models: folder that holds the teachers' folders.
        device: the teachers'.
    """

    def __init__(
        self, student: LandmarkNet, kd: KDParams, models: Path, device: torch.device
    ) -> None:
        super().__init__(student)
        self.kd = kd
        self.loss = distillation_loss(kd)
        self.density = (
            ErrorDensity(student.head.channels, student.config.points) if kd.likelihood else None
        )
        # In a tuple, not as modules: they are no part of what is trained, averaged and saved.
        self.teachers = tuple(load_network(models / name, device) for name in _watching(kd))
        if kd.head == "teacher":
            tough = self.teachers[0] if self.teachers else load_network(models / _TOUGH, device)
            take_head(student, tough)

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its parts: main, tough, tolerant, and what else has a weight."""
        own = self.net.detailed(self.net.normalize(images))
        hard, *points = targets.unbind(dim=1)
        seen = self._seen_by_teachers(images)
        if self.kd.teacher_predictions == "online":
            points = [of_teacher.points for of_teacher in seen]
        known = [known_targets(own.points, target, hard) for target in (hard, *points)]
        total, parts = self.loss(own.points, *known)
        if self.density is not None:
            parts["likelihood"] = self.kd.likelihood * self.density(own, hard)
            total = total + parts["likelihood"]
        if self.kd.features or self.kd.heatmap:
            backbones = {net.config.backbone for net in (self.net, self.teachers[0])}
            left = 1 - self.progress if self.kd.decay else 1.0
            matched = matched_parts(
                own,
                seen[0],
                features=left * self.kd.features,
                heatmap=left * self.kd.heatmap,
                every_map=len(backbones) == 1,
                present=~hard.isnan().any(dim=2),
            )
            total = total + torch.stack(list(matched.values())).sum()
            parts = parts | matched
        return total, parts

    @torch.no_grad()
    def _seen_by_teachers(self, images: Tensor) -> list[Details]:
        # Mirror images are for the points alone, and cached points have them already.
        mirror = self.kd.teacher_predictions == "online"
        # In 32 bits, whatever the student's precision: teachers are not to change with it.
        with torch.autocast(images.device.type, enabled=False):
            return [
                net.detailed(resized(net.normalize(images), net.config.size), mirror=mirror)
                for net in self.teachers
            ]
