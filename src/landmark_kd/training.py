"""The training loop that teachers and students share."""

from __future__ import annotations

import math
import sys
import time
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
from landmark_kd.metrics import interocular, nme
from landmark_kd.networks import LandmarkNet, build_network, predict_faces, save_network
from landmark_kd.params import AugmentParams, BaseParams, CropParams, TrainingParams
from landmark_kd.runtime import seed_all, setup

# Learning rate at the first step of the warm-up and at the end of the cosine, as a share.
WARMUP_START = 0.01
COSINE_END = 0.01

# (pred (N, K, 2), targets (N, T, K, 2), normalised input) -> (total, named parts)
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
    optimizer = create_optimizer_v2(
        net, opt="adamw", lr=network.learning_rate, weight_decay=network.weight_decay
    )
    scheduler = CosineLRScheduler(
        optimizer,
        t_initial=network.epochs * len(sampler),
        lr_min=network.learning_rate * COSINE_END,
        warmup_t=network.warmup_epochs * len(sampler),
        warmup_lr_init=network.learning_rate * WARMUP_START,
        t_in_epochs=False,
    )
    ema = ModelEmaV3(net, decay=network.ema, use_warmup=True) if network.ema else None
    shadow: LandmarkNet = ema.module if ema else net

    best_epoch, best_nme, best_state = 0, math.inf, _copy_state(shadow)
    seconds = 0.0
    with replaced_folder(curves_folder) as curves:
        live = Live(str(curves), save_dvc_exp=False, dvcyaml=None)
        for epoch in range(1, network.epochs + 1):
            sampler.epoch = epoch
            start = time.perf_counter()
            parts = _train_epoch(
                f"{name} {epoch}/{network.epochs}",
                net,
                loader,
                objective,
                optimizer,
                scheduler,
                ema,
                network.clip,
                epoch,
                faces,
            )
            seconds += time.perf_counter() - start
            error = validation_nme(shadow.eval(), faces, targets[:, 0])
            for part, value in parts.items():
                live.log_metric(f"train/{part}", value)
            live.log_metric("learning_rate", optimizer.param_groups[0]["lr"])
            live.log_metric("val/nme", error)
            live.next_step()
            if error < best_nme:
                best_epoch, best_nme, best_state = epoch, error, _copy_state(shadow)
            rate = epoch * len(sampler) * sampler.batch_size / seconds
            left = (network.epochs - epoch) * seconds / epoch
            print(
                f"{name} epoch {epoch}/{network.epochs}  loss {parts['loss']:.5f}  "
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
    distance = interocular(faces.landmarks[rows], faces.info.topology)
    return float(nme(found, wanted, distance).mean())


def _train_epoch(
    title: str,
    net: LandmarkNet,
    loader: torch.utils.data.DataLoader[Batch],
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    scheduler: CosineLRScheduler,
    ema: ModelEmaV3 | None,
    clip: float,
    epoch: int,
    faces: Faces,
) -> dict[str, float]:
    """Train for one epoch; return the means of the loss and of its named parts."""
    net.train()
    device = net.mean.device
    sums: dict[str, float] = {}
    progress = tqdm(loader, title, leave=False, unit="batch", disable=not sys.stderr.isatty())
    for index, batch in enumerate(progress):
        scheduler.step_update((epoch - 1) * len(loader) + index)
        batch.images = batch.images.to(device, non_blocking=True)
        targets = batch.targets.to(device, non_blocking=True)
        pred = net(net.normalize(batch.images))
        loss, parts = objective(pred, targets, batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            names = faces.table["name"].iloc[batch.rows.numpy()[:3]].tolist()
            raise UserError(
                f"the loss is {value} in epoch {epoch}, batch {index + 1} (faces "
                f"{', '.join(names)}, …); lower the learning rate, or look at these faces' "
                "landmarks and pictures."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        if ema:
            ema.update(net, step=(epoch - 1) * len(loader) + index)
        for part, tensor in {"loss": loss, **parts}.items():
            sums[part] = sums.get(part, 0.0) + float(tensor.detach())
    return {part: total / len(loader) for part, total in sums.items()}


def _copy_state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}
