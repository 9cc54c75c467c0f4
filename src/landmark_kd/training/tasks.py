"""What a network is trained on without a teacher: hard-landmarks, or the soft ones.

The tough teacher and the baseline learn hard-landmarks, the tolerant teacher soft-landmarks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landmark_kd.config.params import Params
from landmark_kd.faces.prepared import Faces, landmarks_file
from landmark_kd.models.network import LandmarkNet
from landmark_kd.training.error_density import ErrorDensity
from landmark_kd.training.losses import REGRESSION_LOSSES, known_targets


class Objective(nn.Module, ABC):
    """A network and the loss that it is trained to lower, as one module.

    All parameters of the module are trained, those beside the network's too.

    Attributes:
        net: the network that learns, and that is kept.
        progress: the share of all steps that are done.
    """

    def __init__(self, net: LandmarkNet) -> None:
        super().__init__()
        self.net = net
        self.progress = 0.0

    @abstractmethod
    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its named parts, each a mean over the batch's faces.

        Args:
            images: (N, S, S, 3) uint8 RGB.
            targets: (N, T, K, 2) network coordinates, as `Task.targets` has them, NaN where
                missing.
        """


class Regression(Objective):
    """A plain regression loss to the first set of targets.

    Args:
        net: the network that learns.
        loss: a name in REGRESSION_LOSSES.
    """

    def __init__(self, net: LandmarkNet, loss: str) -> None:
        super().__init__(net)
        self.loss = REGRESSION_LOSSES[loss]

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, which has no parts."""
        pred = self.net(self.net.normalize(images))
        return self.loss(pred, known_targets(pred, targets[:, 0])), {}


class Likelihood(Objective):
    """The likelihood of the first set of targets (RLE); the network has an integral head."""

    def __init__(self, net: LandmarkNet) -> None:
        super().__init__(net)
        self.density = ErrorDensity(net.head.channels, net.config.points)

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, which has no parts."""
        return self.density(self.net.detailed(self.net.normalize(images)), targets[:, 0]), {}


@dataclass(frozen=True)
class Task:
    """What a network is to learn.

    Attributes:
        targets: (N, T, K, 2) network coordinates, N = len(faces), NaN where set 0 has no landmark
            (`landmarks.missing`). Set 0 is what the validation
            NME is measured against; all sets move with the augmentation.
        objective: makes the objective of the network that learns, on the device that was chosen.
        depends_on: what else the loss depends on, as JSON has it: parameters, hashes of files.
    """

    targets: np.ndarray
    objective: Callable[[LandmarkNet, torch.device], Objective]
    depends_on: Mapping[str, Any]


def regression_task(targets: np.ndarray, loss: str) -> Task:
    """Return the task of learning landmarks without a teacher.

    Args:
        targets: (N, K, 2) network coordinates.
        loss: a name in REGRESSION_LOSSES, or rle.
    """

    def objective(net: LandmarkNet, device: torch.device) -> Objective:
        return Likelihood(net) if loss == "rle" else Regression(net, loss)

    return Task(targets[:, None], objective, {"loss": loss})


def teacher_task(teacher: str, faces: Faces, soft_landmarks: Path, loss: str) -> Task:
    """Return what a teacher learns.

    Args:
        teacher: tough (hard-landmarks) or tolerant (soft-landmarks).
        soft_landmarks: folder of the stage of that name.
        loss: as in `regression_task`.
    """
    if teacher == "tough":
        return regression_task(faces.crop_landmarks(), loss)
    return regression_task(
        landmarks_file(soft_landmarks / "soft.npy", faces, as_missing=True), loss
    )


def student_seed(params: Params) -> int:
    """Return the students' seed: student.seed, or base.seed where that is null."""
    return params.base.seed if params.student.seed is None else params.student.seed
