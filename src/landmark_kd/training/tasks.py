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

from landmark_kd.config.params import Params, TrainingParams
from landmark_kd.faces.prepared import Faces, landmarks_file
from landmark_kd.models.network import LandmarkNet
from landmark_kd.training.losses import REGRESSION_LOSSES, gaussian_divergence, likelihood_loss


class Objective(nn.Module, ABC):
    """A network and the loss that it is trained to lower, as one module.

    Attributes:
        net: the network that learns; all of the module's parameters are its own.
    """

    def __init__(self, net: LandmarkNet) -> None:
        super().__init__()
        self.net = net

    @abstractmethod
    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its named parts, each a mean over the batch's faces.

        Args:
            images: (N, S, S, 3) uint8 RGB.
            targets: (N, T, K, 2) network coordinates, as `Task.targets` has them.
        """


class Regression(Objective):
    """A plain regression loss to the first set of targets, and one of the heat maps.

    Args:
        net: the network that learns.
        loss: a name in REGRESSION_LOSSES, or rle.
        heatmap: weight of the divergence of the heat maps from a Gaussian around the targets.
    """

    def __init__(self, net: LandmarkNet, loss: str, heatmap: float) -> None:
        super().__init__(net)
        self.rle = loss == "rle"
        self.loss = REGRESSION_LOSSES["l1" if self.rle else loss]
        self.heatmap = heatmap

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its parts, where it has any."""
        own = self.net.detailed(self.net.normalize(images))
        hard = targets[:, 0]
        if self.rle:
            assert own.sigma is not None
            return likelihood_loss(own.points, own.sigma, hard, self.net.head.flow), {}
        loss = self.loss(own.points, hard)
        if not self.heatmap:
            return loss, {}
        assert own.scores is not None
        parts = {"main": loss, "heatmap": self.heatmap * gaussian_divergence(own.scores, hard)}
        return torch.stack(list(parts.values())).sum(), parts


@dataclass(frozen=True)
class Task:
    """What a network is to learn.

    Attributes:
        targets: (N, T, K, 2) network coordinates, N = len(faces). Set 0 is what the validation
            NME is measured against; all sets move with the augmentation.
        objective: makes the objective of the network that learns, on the device that was chosen.
        depends_on: what else the loss depends on, as JSON has it: parameters, hashes of files.
    """

    targets: np.ndarray
    objective: Callable[[LandmarkNet, torch.device], Objective]
    depends_on: Mapping[str, Any]


def regression_task(targets: np.ndarray, network: TrainingParams) -> Task:
    """Return the task of learning landmarks with a plain regression loss.

    Args:
        targets: (N, K, 2) network coordinates.
        network: whose loss and weight of the heat maps' divergence are taken.
    """
    loss, heatmap = network.loss, network.heatmap
    return Task(
        targets[:, None],
        lambda net, device: Regression(net, loss, heatmap),
        {"loss": loss, "heatmap": heatmap},
    )


def teacher_task(teacher: str, faces: Faces, soft_landmarks: Path, network: TrainingParams) -> Task:
    """Return what a teacher learns.

    Args:
        teacher: tough (hard-landmarks) or tolerant (soft-landmarks).
        soft_landmarks: folder of the stage of that name.
        network: the teacher's parameters.
    """
    if teacher == "tough":
        return regression_task(faces.crop_landmarks(), network)
    return regression_task(landmarks_file(soft_landmarks / "soft.npy", faces), network)


def student_seed(params: Params) -> int:
    """Return the students' seed: student.seed, or base.seed where that is null."""
    return params.base.seed if params.student.seed is None else params.student.seed
