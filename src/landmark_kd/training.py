"""The training loop that teachers and students share."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from dvclive import Live
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from tqdm import tqdm

from landmark_kd.augment import Augmenter
from landmark_kd.errors import UserError
from landmark_kd.faces import Faces
from landmark_kd.files import replaced_folder
from landmark_kd.loader import Batch, train_loader
from landmark_kd.metrics import nme, normalizing_distance
from landmark_kd.networks import LandmarkNet, build_network, predict_faces, save_network
from landmark_kd.params import AugmentParams, BaseParams, CropParams, TrainingParams
from landmark_kd.runtime import seed_all, setup

# Learning rate at the first step of the warm-up and at the end of the cosine, as a share.
WARMUP_START = 0.01
COSINE_END = 0.01

# (pred (N, K, 2), targets (N, T, K, 2), the whole batch) -> (total, named parts)
Objective = Callable[[Tensor, Tensor, Batch], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class Result:
    """How a training ended: the best epoch by validation NME (percent), counted from 1."""

    best_epoch: int
    best_nme: float
    images_per_second: float


def train(
    name: str,
    faces: Faces,
    targets: np.ndarray,
    make_objective: Callable[[torch.device], Objective],
    *,
    network: TrainingParams,
    augment: AugmentParams,
    crop: CropParams,
    base: BaseParams,
    seed: int,
    model_folder: Path,
    curves_folder: Path,
) -> Result:
    """Train a network and write its weights of the best epoch and its curves.

    Args:
        name: shown in the progress line.
        faces: the train faces, validation faces among them.
        targets: (N, T, K, 2) network coordinates, N = len(faces). Set 0 is what the validation
            NME is measured against; all sets move with the augmentation.
        make_objective: gives the loss for the device that was chosen.
        seed: of initialisation, order and augmentation.

    Raises:
        UserError: the loss is not finite; the epoch, the batch and its faces are named.
    """
    device = setup(base)
    seed_all(seed)
    net = build_network(
        network.backbone,
        network.head,
        network.init,
        network.normalization,
        points=faces.info.points,
        size=crop.size,
    )
    net.start_at(targets[faces.train_rows(), 0].mean(axis=0))
    net = net.to(device)
    augmenter = Augmenter(augment, crop.size, crop.border, faces.info.topology.flip)
    loader, sampler = train_loader(
        faces,
        targets,
        augmenter,
        batch_size=network.batch_size,
        seed=seed,
        workers=base.workers,
        pin_memory=device.type == "cuda",
    )
    objective = make_objective(device)
    learner = _Learner(net, objective, network, steps_per_epoch=len(sampler))
    shadow = learner.averaged

    best_epoch, best_nme, best_state = 0, math.inf, _copy_state(shadow)
    seconds = 0.0
    with replaced_folder(curves_folder) as curves:
        live = Live(str(curves), save_dvc_exp=False, dvcyaml=None)
        for epoch in range(1, network.epochs + 1):
            sampler.epoch = epoch
            start = time.perf_counter()
            progress = tqdm(
                loader,
                f"{name} {epoch}/{network.epochs}",
                leave=False,
                unit="batch",
                disable=not sys.stderr.isatty(),
            )
            sums: Counter[str] = Counter()
            for index, batch in enumerate(progress, start=1):
                parts = learner.step(batch)
                if not math.isfinite(parts["loss"]):
                    raise _not_finite(parts["loss"], epoch, index, batch, faces)
                sums.update(parts)
            seconds += time.perf_counter() - start
            error = validation_nme(shadow.eval(), faces, targets[:, 0])
            means = {part: total / len(sampler) for part, total in sums.items()}
            for part, value in means.items():
                live.log_metric(f"train/{part}", value)
            live.log_metric("learning_rate", learner.learning_rate)
            live.log_metric("val/nme", error)
            live.next_step()
            if error < best_nme:
                best_epoch, best_nme, best_state = epoch, error, _copy_state(shadow)
            rate = epoch * len(sampler) * sampler.batch_size / seconds
            left = (network.epochs - epoch) * seconds / epoch
            print(
                f"{name} epoch {epoch}/{network.epochs}  loss {means['loss']:.5f}  "
                f"val NME {error:.3f} (best {best_nme:.3f})  {rate:.0f} images/s  "
                f"{left / 60:.1f} min left",
                flush=True,
            )
        live.end()
        shadow.load_state_dict(best_state)
        save_network(shadow, model_folder)
    return Result(best_epoch, best_nme, rate)


def validation_nme(net: LandmarkNet, faces: Faces, truth: np.ndarray) -> float:
    """Mean inter-ocular NME (percent) on the validation faces, in pixels of their pictures.

    Args:
        truth: (N, K, 2) network coordinates of all faces.
    """
    rows = faces.validation_rows()
    found = faces.to_image(predict_faces(net, faces, rows), rows)
    wanted = faces.to_image(truth[rows], rows)
    distance = normalizing_distance(faces.landmarks[rows], faces.info.topology)
    return float(nme(found, wanted, distance).mean())


class _Learner:
    """A network with its optimiser, schedule and moving average."""

    def __init__(
        self,
        net: LandmarkNet,
        objective: Objective,
        settings: TrainingParams,
        *,
        steps_per_epoch: int,
    ) -> None:
        self.net = net
        self.objective = objective
        self.clip = settings.clip
        self.steps = 0
        self.optimizer = create_optimizer_v2(
            net, opt="adamw", lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.scheduler = CosineLRScheduler(
            self.optimizer,
            t_initial=settings.epochs * steps_per_epoch,
            lr_min=settings.learning_rate * COSINE_END,
            warmup_t=settings.warmup_epochs * steps_per_epoch,
            warmup_lr_init=settings.learning_rate * WARMUP_START,
            t_in_epochs=False,
        )
        # The warm-up of the decay lets the average forget the untrained weights.
        self.ema = ModelEmaV3(net, decay=settings.ema, use_warmup=True) if settings.ema else None

    @property
    def averaged(self) -> LandmarkNet:
        """The network to validate and keep."""
        return self.ema.module if self.ema else self.net

    @property
    def learning_rate(self) -> float:
        return self.optimizer.param_groups[0]["lr"]

    def step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch; return `loss` and its named parts.

        With a loss that is not finite the network is left as it was.
        """
        self.net.train()
        self.scheduler.step_update(self.steps)
        device = self.net.mean.device
        batch.images = batch.images.to(device, non_blocking=True)
        targets = batch.targets.to(device, non_blocking=True)
        pred = self.net(self.net.normalize(batch.images))
        loss, parts = self.objective(pred, targets, batch)
        values = {part: float(value.detach()) for part, value in {"loss": loss, **parts}.items()}
        if not math.isfinite(values["loss"]):
            return values
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        self.optimizer.step()
        if self.ema:
            self.ema.update(self.net, step=self.steps)
        self.steps += 1
        return values


def _not_finite(value: float, epoch: int, index: int, batch: Batch, faces: Faces) -> UserError:
    names = faces.table["name"].iloc[batch.rows.numpy()[:3]].tolist()
    return UserError(
        f"the loss is {value} in epoch {epoch}, batch {index} (faces {', '.join(names)}, …); "
        "lower the learning rate, or look at these faces' landmarks and pictures."
    )


def _copy_state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}
