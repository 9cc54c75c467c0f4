"""One training from parameters to written weights and curves; teachers and students share it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dvclive import Live
from lightning_fabric import Fabric

from landmark_kd.config.params import AugmentParams, BaseParams, TrainingParams, fault_of_shares
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_folder
from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks.missing import mean_present
from landmark_kd.models.network import build_network, save_network
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.failures import explained
from landmark_kd.training.learner import Learner
from landmark_kd.training.loader import Share, train_loader
from landmark_kd.training.processes import process_counts, seed_all, training_processes
from landmark_kd.training.resume.checkpoints import Checkpoints
from landmark_kd.training.resume.fingerprint import fingerprint
from landmark_kd.training.resume.scratch import folder_of, held
from landmark_kd.training.tasks import Task
from landmark_kd.training.trainer import Trainer
from landmark_kd.training.uncertainty import fit_uncertainty

# What of base has an influence on the bits of a result.
_BASE_KEYS = ("threads", "precision", "accumulate", "deterministic")


@dataclass(frozen=True)
class Result:
    """How a training ended: the best epoch by validation NME (percent), counted from 1."""

    best_epoch: int
    best_nme: float
    images_per_second: float


def train(
    name: str,
    faces: Faces,
    task: Task,
    *,
    network: TrainingParams,
    augment: AugmentParams,
    base: BaseParams,
    seed: int,
    model_folder: Path,
    curves_folder: Path,
) -> Result:
    """Train a network and write its weights of the best epoch and its curves.

    Killed at any moment and started again with the same arguments it goes on from its last
    checkpoint (`training.resume.scratch`) and ends with the same weights and curves, to the last
    bit. With `base.devices` > 1 or under torchrun this runs in several processes; rank 0 writes.

    Args:
        name: shown in the progress line, and the first part of the scratch folder's name.
        faces: the train faces, validation faces among them.
        seed: of initialisation, order and augmentation.

    Raises:
        UserError: the loss is not finite (the epoch, the batch and its faces are named), the
            batch cannot be shared out, the memory is too small, a loader process ended.
    """
    # Under torchrun there may be other processes than base.devices says.
    shares_in_all = math.prod(process_counts(base)) * base.accumulate
    if fault := fault_of_shares(network.batch_size, shares_in_all):
        raise UserError(f"{fault} (processes x base.accumulate).")
    with training_processes(base) as fabric, explained(name, base.workers):
        shares = Share(fabric.global_rank, fabric.world_size, base.accumulate)
        seed_all(seed)
        net = build_network(
            network.backbone,
            network.head,
            network.init,
            network.normalization,
            points=faces.info.points,
            flip=faces.info.scheme.flip.tolist() if network.flip_test else None,
            size=faces.info.crop_size,
            start=mean_present(task.targets[faces.train_rows(), 0], axis=0),
        )
        augmenter = Augmenter(
            augment, faces.info.crop_size, faces.info.border, faces.info.scheme.flip
        )
        loader, sampler = train_loader(
            faces,
            task.targets,
            augmenter,
            batch_size=network.batch_size,
            seed=seed,
            workers=base.workers,
            pin_memory=fabric.device.type == "cuda",
            share=shares,
        )
        settings = {
            "name": name,
            "network": network.model_dump(),
            "augment": augment.model_dump(),
            "base": {key: getattr(base, key) for key in _BASE_KEYS},
            "processes": fabric.world_size,
            "seed": seed,
            "task": dict(task.depends_on),
        }
        identity = ""
        if fabric.is_global_zero:
            weights = net.state_dict()
            identity = fingerprint(settings, faces, task.targets, weights, fabric.device)
        with _checkpoints(fabric, name, identity) as checkpoints:
            learner = Learner(
                fabric,
                task.objective(net, fabric.device),
                network,
                steps_per_epoch=sampler.steps,
            )
            trainer = Trainer(
                name,
                learner,
                faces=faces,
                truth=task.targets[:, 0],
                loader=loader,
                sampler=sampler,
                epochs=network.epochs,
            )
            trainer.run(checkpoints, base.checkpoint_minutes)
            done = trainer.progress
            if fabric.is_global_zero:
                learner.averaged.load_state_dict(trainer.best)
                fit_uncertainty(learner.averaged, faces, task.targets[:, 0], augmenter, seed)
                save_network(learner.averaged, model_folder)
                _write_curves(done.curves, curves_folder)
    return Result(done.best_epoch, done.best_nme, trainer.images_per_second())


@contextmanager
def _checkpoints(fabric: Fabric, name: str, identity: str) -> Iterator[Checkpoints | None]:
    """Hold the scratch folder of this training while it lasts, in rank 0; else yield None."""
    if not fabric.is_global_zero:
        yield None
        return
    folder = folder_of(name, identity)
    with held(folder):
        yield Checkpoints(folder, identity)


def _write_curves(curves: list[dict[str, float]], folder: Path) -> None:
    """Write the curves at once, so that a training in parts has the same files as one in one."""
    with replaced_folder(folder) as temporary:
        live = Live(str(temporary), save_dvc_exp=False, dvcyaml=None)
        for epoch in curves:
            for metric, value in epoch.items():
                live.log_metric(metric, value)
            live.next_step()
        live.end()
