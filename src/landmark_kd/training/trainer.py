"""The epochs of a training, which may have begun in a process that was killed."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import islice

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from landmark_kd.core.errors import UserError
from landmark_kd.core.progress import ProgressBar
from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks.metrics import nme, normalizing_distance
from landmark_kd.landmarks.missing import present
from landmark_kd.models.network import LandmarkNet, predict_faces
from landmark_kd.training.learner import Learner, NotFinite, copies, under
from landmark_kd.training.loader import Batch, ShuffledBatches
from landmark_kd.training.resume.checkpoints import (
    Checkpoint,
    Checkpoints,
    random_state,
    restore_random_state,
)


@dataclass
class Progress:
    """How far a training is, but for tensors.

    Attributes:
        epoch: the epoch that it is in, from 1; epochs + 1 when all are done.
        step: steps of that epoch that are done.
        sums: of the loss and its parts over those steps.
        curves: what was logged after each epoch.
        seconds: spent in steps so far.
    """

    epoch: int = 1
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    curves: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_nme: float = math.inf
    seconds: float = 0.0


class Trainer:
    """One training: its steps, epochs, best weights, curves and checkpoints.

    Attributes:
        progress: how far it is.
        best: the weights of the best epoch so far, in the CPU's memory.
    """

    def __init__(
        self,
        name: str,
        learner: Learner,
        *,
        faces: Faces,
        truth: np.ndarray,
        loader: DataLoader[Batch],
        sampler: ShuffledBatches,
        epochs: int,
    ) -> None:
        self.name = name
        self.learner = learner
        self.fabric = learner.fabric
        self.faces = faces
        self.truth = truth
        self.loader = loader
        self.sampler = sampler
        self.epochs = epochs
        self.progress = Progress()
        self.best = learner.averaged_copy()

    def run(self, checkpoints: Checkpoints | None, minutes: float) -> None:
        """Train to the end; `checkpoints` are None in all processes but rank 0.

        Args:
            minutes: between checkpoints within an epoch; 0: none there.
        """
        self._go_on(checkpoints)
        for epoch in range(self.progress.epoch, self.epochs + 1):
            self._train_epoch(epoch, checkpoints, minutes)
            self._end_epoch(epoch)
            self._save(checkpoints, epoch)

    def images_per_second(self) -> float:
        """Faces learnt from a second, all processes together, validation left out.

        0 where the clock says that no time went by.
        """
        epochs = len(self.progress.curves)
        seconds = self.progress.seconds or math.inf
        return epochs * self.sampler.steps * self.sampler.batch_size / seconds

    def _train_epoch(self, epoch: int, checkpoints: Checkpoints | None, minutes: float) -> None:
        """Take the steps of an epoch that are left, with checkpoints every so many minutes."""
        now = self.progress
        self.sampler.epoch, self.sampler.first_step = epoch, now.step
        pieces = iter(self.loader)
        progress = ProgressBar(
            range(now.step, self.sampler.steps),
            f"{self.name} {epoch}/{self.epochs}",
            initial=now.step,
            total=self.sampler.steps,
            leave=False,
            unit="batch",
            disable=not (sys.stderr.isatty() and self.fabric.is_global_zero),
        )
        sums = Counter(now.sums)
        started = last_saved = time.monotonic()
        for step in progress:
            batch = list(islice(pieces, self.sampler.share.pieces))
            try:
                sums.update(self.learner.step(batch, self.sampler.batch_size))
            except NotFinite as error:
                raise _not_finite(error, epoch, step + 1, self.faces) from None
            ended = time.monotonic()
            now.seconds += max(0.0, ended - started)
            now.step, now.sums = step + 1, dict(sums)
            started = ended
            # The last step's checkpoint is the epoch's own.
            if minutes and ended - last_saved >= 60 * minutes and now.step < self.sampler.steps:
                self._save(checkpoints, epoch)
                started = last_saved = time.monotonic()

    def _end_epoch(self, epoch: int) -> None:
        now, learner = self.progress, self.learner
        learner.before_validation()
        error = validation_nme(learner.averaged.eval(), self.faces, self.truth, self.fabric)
        if not math.isfinite(error):
            raise UserError(
                f"the validation NME is {error} after epoch {epoch}, though the loss was a number; "
                "lower the learning rate, or take base.precision 32."
            )
        means = {part: total / self.sampler.steps for part, total in now.sums.items()}
        curves = {f"train/{part}": value for part, value in means.items()}
        now.curves.append(curves | {"learning_rate": learner.learning_rate, "val/nme": error})
        if error < now.best_nme:
            now.best_epoch, now.best_nme, self.best = epoch, error, learner.averaged_copy()
        now.epoch, now.step, now.sums = epoch + 1, 0, {}
        if self.fabric.is_global_zero:
            left = (self.epochs - epoch) * now.seconds / epoch
            print(
                f"{self.name} epoch {epoch}/{self.epochs}  loss {means['loss']:.5f}  "
                f"val NME {error:.3f} (best {now.best_nme:.3f})  "
                f"{self.images_per_second():.0f} images/s  {left / 60:.1f} min left",
                flush=True,
            )

    def _save(self, checkpoints: Checkpoints | None, epoch: int) -> None:
        if checkpoints is None:
            return
        learned, learner_state = self.learner.state()
        drawn, random_numbers = random_state(self.fabric.device)
        tensors = learned | copies(self.best, "best") | copies(drawn, "random")
        state = {
            "progress": asdict(self.progress),
            "learner": learner_state,
            "random": random_numbers,
        }
        checkpoints.save(Checkpoint(tensors, state, epoch, self.epochs))

    def _go_on(self, checkpoints: Checkpoints | None) -> None:
        """Take up the last checkpoint; rank 0 reads it and gives it to all processes."""
        found = self.fabric.broadcast(checkpoints.load() if checkpoints else None)
        if found is None:
            return
        self.learner.restore(found.tensors, found.state["learner"])
        self.best = under(found.tensors, "best")
        self.progress = Progress(**found.state["progress"])
        restore_random_state(
            under(found.tensors, "random"), found.state["random"], self.fabric.device
        )
        if self.fabric.is_global_zero:
            where = f"epoch {self.progress.epoch}/{self.epochs}, step {self.progress.step + 1}"
            if self.progress.epoch > self.epochs:
                where = "the end of the last epoch"
            print(f"{self.name} goes on from {where} (checkpoint of {found.written})", flush=True)


def validation_nme(
    net: LandmarkNet, faces: Faces, truth: np.ndarray, fabric: Fabric | None = None
) -> float:
    """Mean inter-ocular NME (percent) on the validation faces, in pixels of their images.

    NaN where a prediction is not finite. Faces that cannot be measured, since the normaliser's
    points or all landmarks are missing, do not count.

    Args:
        truth: (N, K, 2) network coordinates of all faces.
        fabric: where several processes train, each measures its share of the faces, each face
            once, and all return the mean of all.
    """
    rows = measurable(faces, truth)
    rank, processes = (fabric.global_rank, fabric.world_size) if fabric else (0, 1)
    own = rows[rank::processes]
    found = faces.to_image(predict_faces(net, faces, own), own)
    wanted = faces.to_image(truth[own], own)
    errors = np.zeros(len(rows))
    distance = normalizing_distance(faces.landmarks[own], faces.info.scheme)
    # An error in one process alone would leave the others waiting for its numbers.
    errors[rank::processes] = nme(found, wanted, distance) if np.isfinite(found).all() else np.nan
    if fabric and processes > 1:
        # Each face has its error in one process and 0 in the others.
        total = torch.from_numpy(errors).to(fabric.device)
        torch.distributed.all_reduce(total)
        errors = total.cpu().numpy()
    return float(errors.mean())


def measurable(faces: Faces, truth: np.ndarray) -> np.ndarray:
    """Return the rows of the validation faces whose error can be measured against `truth`.

    Raises:
        UserError: there is none.
    """
    rows = faces.validation_rows()
    distance = normalizing_distance(faces.landmarks[rows], faces.info.scheme)
    known = np.isfinite(distance) & present(truth[rows]).any(axis=1)
    if len(rows) and not known.any():
        raise UserError(
            f"none of the {len(rows)} validation faces has both {faces.info.scheme.normalizer_name}"
            " (normalizer), so that no error can be measured; choose points that faces have."
        )
    return rows[known]


def _not_finite(error: NotFinite, epoch: int, step: int, faces: Faces) -> UserError:
    names = faces.table["name"].iloc[error.rows[:3]].tolist()
    return UserError(
        f"the loss is {error.value} in epoch {epoch}, batch {step} (faces {', '.join(names)}, …); "
        "lower the learning rate, or look at these faces' landmarks and images."
    )
