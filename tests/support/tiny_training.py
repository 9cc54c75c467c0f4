"""A tiny training in a process of its own, for tests that kill it or run it in several.

    python -m tests.support.tiny_training FOLDER CHANGES

FOLDER holds `faces` (tests.support.prepared_faces) and gets `model` and `curves`; CHANGES is JSON
that replaces keys of params.yaml by section, on top of what makes the training tiny.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from torch import Tensor

from landmark_kd.config.params import Params
from landmark_kd.core.errors import run_main
from landmark_kd.faces.prepared import Faces, load_faces
from landmark_kd.models.network import LandmarkNet
from landmark_kd.training.tasks import Objective, Task, regression_task
from landmark_kd.training.train import Result, train
from tests.conftest import PROJECT

# Predictions (N, K, 2) and targets (N, T, K, 2) to a loss and its named parts.
GivenLoss = Callable[[Tensor, Tensor], tuple[Tensor, dict[str, Tensor]]]

# A network that learns in seconds.
NETWORK = {"backbone": "test_efficientnet", "epochs": 2, "batch_size": 8, "warmup_epochs": 0}


def tiny_params(base: dict[str, Any] | None = None, **student: Any) -> Params:
    """Return params.yaml with a tiny student that matches no maps, on one CPU thread, and these."""
    content = yaml.safe_load((PROJECT / "params.yaml").read_text())
    content["student"].update(NETWORK | student)
    content["kd"].update(features=0.0, heatmap=0.0)
    content["augment"].update(rotation=0.1, scale_min=0.9, scale_max=1.1, random_erasing=0.0)
    content["base"].update({"threads": 1, "device": "cpu"} | (base or {}))
    return Params.model_validate(content)


def tiny_train(
    faces: Faces,
    folder: Path,
    *,
    settings: Params | None = None,
    task: Task | None = None,
    seed: int = 1,
) -> Result:
    """Train a tiny student into `folder`."""
    settings = settings or tiny_params()
    return train(
        "baseline",
        faces,
        task or regression_task(faces.crop_landmarks(), settings.student.loss),
        network=settings.student,
        augment=settings.augment,
        base=settings.base,
        seed=seed,
        model_folder=folder / "model",
        curves_folder=folder / "curves",
    )


def train_in(folder: Path, changes: dict[str, dict[str, Any]]) -> None:
    """Train on the faces of a folder, as the command does."""
    settings = tiny_params(changes.get("base"), **changes.get("student", {}))
    tiny_train(load_faces(folder / "faces"), folder, settings=settings)


def weights(folder: Path) -> bytes:
    return (folder / "model" / "weights.safetensors").read_bytes()


def curve(folder: Path, name: str) -> pd.DataFrame:
    path = folder / "curves" / "plots" / "metrics" / f"{name}.tsv"
    return pd.read_csv(path, sep="\t")


def curve_files(folder: Path) -> dict[str, bytes]:
    """Every file of the curves by name."""
    curves = folder / "curves"
    return {str(p.relative_to(curves)): p.read_bytes() for p in curves.rglob("*") if p.is_file()}


class Given(Objective):
    """An objective whose loss is a function of a test."""

    def __init__(self, net: LandmarkNet, loss: GivenLoss) -> None:
        super().__init__(net)
        self.loss = loss

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.loss(self.net(self.net.normalize(images)), targets)


def task_with(loss: GivenLoss, faces: Faces) -> Task:
    """Return the task of learning hard-landmarks with a loss of a test's own."""
    return Task(faces.crop_landmarks()[:, None], lambda net, device: Given(net, loss), {})


if __name__ == "__main__":
    run_main(lambda: train_in(Path(sys.argv[1]), json.loads(sys.argv[2])))
