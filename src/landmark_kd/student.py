"""The student's objective: KD-Loss, or plain distillation, against both teachers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landmark_kd.faces import Faces
from landmark_kd.fingerprint import file_hash
from landmark_kd.heads import VotingHead
from landmark_kd.learner import Objective
from landmark_kd.loader import Batch
from landmark_kd.losses import distillation_loss
from landmark_kd.network_files import CONFIG_FILE, WEIGHTS_FILE
from landmark_kd.networks import LandmarkNet, load_network
from landmark_kd.params import KDParams
from landmark_kd.teachers import TEACHERS, landmarks_file
from landmark_kd.training import Goal
from landmark_kd.unlabelled import join_faces, load_unlabelled

# The teacher of hard-landmarks: its points stand in for them, and its features are to be matched.
_TOUGH = TEACHERS[0]
# A map that is the same everywhere has no variance to measure a distance with.
_LEAST_VARIANCE = 1e-6


def kd_goal(
    kd: KDParams,
    train: Faces,
    unlabelled: Faces,
    *,
    keep: float,
    predictions: Path,
    models: Path,
) -> tuple[Faces, Goal]:
    """Return the faces that a student learns from, and what it learns from both teachers.

    Targets are the hard-landmarks, then (when `kd.teacher_predictions` is cached) both teachers'
    predictions. With `online` both teachers predict each augmented batch anew: slow, and exact
    where a teacher's prediction does not move with the picture as its face does. Unlabelled faces
    have the tough teacher's points where others have hard-landmarks.

    Args:
        unlabelled: which may be none.
        keep: see `load_unlabelled`.
        predictions: folder of the stage teacher_predictions.
        models: folder that holds the teachers' folders.
    """
    hard = train.crop_landmarks()
    depends_on: dict[str, Any] = {"kd": kd.model_dump()}
    # A teacher that is there in each step, not only in its predictions.
    present: tuple[str, ...] = (_TOUGH,) if kd.features else ()
    if kd.teacher_predictions == "online":
        present = TEACHERS
    if present:
        files = [models / name / file for name in present for file in (WEIGHTS_FILE, CONFIG_FILE)]
        depends_on["teachers"] = [file_hash(path) for path in files if path.is_file()]
    if kd.teacher_predictions == "online":
        return train, Goal(hard[:, None], _objective(kd, models), depends_on)
    points = [landmarks_file(predictions / f"{name}.npy", train) for name in TEACHERS]
    targets = np.stack([hard, *points], axis=1)
    if len(unlabelled):
        unlabelled, found = load_unlabelled(unlabelled, predictions, keep)
        targets = np.concatenate([targets, found[:, [0, 0, 1]]])
    return join_faces(train, unlabelled), Goal(targets, _objective(kd, models), depends_on)


def _objective(kd: KDParams, models: Path) -> Callable[[LandmarkNet, torch.device], Objective]:
    loss = distillation_loss(kd)

    def cached(pred: Tensor, targets: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        hard, tough, tolerant = targets.unbind(dim=1)
        return loss(pred, hard, tough, tolerant)

    def make(net: LandmarkNet, device: torch.device) -> Objective:
        points: Objective = cached
        if kd.teacher_predictions == "online":
            teachers = [load_network(models / name, device) for name in TEACHERS]

            def online(
                pred: Tensor, targets: Tensor, batch: Batch
            ) -> tuple[Tensor, dict[str, Tensor]]:
                with torch.no_grad():
                    tough, tolerant = (t(t.normalize(batch.images)) for t in teachers)
                return loss(pred, targets[:, 0], tough, tolerant)

            points = online
        if not kd.features:
            return points
        return _with_features(points, net, load_network(models / _TOUGH, device), kd.features)

    return make


def _with_features(
    points: Objective, student: LandmarkNet, teacher: LandmarkNet, weight: float
) -> Objective:
    """Add the distance between the feature maps of both networks (Romero et al. 2015, hints).

    The fused maps that the heads vote from have as many channels whatever the backbones are, so
    nothing turns one into the other. Students of the teacher's own backbone match the maps that go
    into the fusion, too. The teacher sees the augmented picture once, not its mirror image.

    Args:
        points: what else there is to learn.
        student, teacher: with a voting head each, for crops of one size (`Params` sees to it).
        weight: of the distance.
    """
    same = student.config.backbone == teacher.config.backbone
    seen, wanted = _remembered(student, inputs=same), _remembered(teacher, inputs=same)

    def objective(pred: Tensor, targets: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        total, parts = points(pred, targets, batch)
        with torch.no_grad():
            teacher.look(teacher.normalize(batch.images))
        pairs = zip(seen["maps"], wanted["maps"], strict=True)
        apart = weight * torch.stack([_distance(own, its) for own, its in pairs]).mean()
        return total + apart, {**parts, "features": apart}

    return objective


def _distance(own: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean square difference of two maps in units of the wanted one's variance.

    So maps count alike, however large their values are.
    """
    return nn.functional.mse_loss(own, wanted) / wanted.var().clamp_min(_LEAST_VARIANCE)


def _remembered(net: LandmarkNet, *, inputs: bool) -> dict[str, list[Tensor]]:
    """Return where the fused map (N, C, H, W) of the network's last batch will lie.

    Args:
        inputs: before it there are the backbone's maps that are fused to it.
    """
    assert isinstance(net.head, VotingHead)
    found: dict[str, list[Tensor]] = {}

    # The moving average, a copy, has this hook too; the next step overwrites what it leaves.
    def remember(module: nn.Module, taken: tuple[list[Tensor]], fused: Tensor) -> None:
        found["maps"] = [*taken[0], fused] if inputs else [fused]

    net.head.fusion.register_forward_hook(remember)
    return found
