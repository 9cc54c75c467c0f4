"""Batches of augmented faces, the same whatever the number of processes that load or train."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from landmark_kd.core.errors import UserError
from landmark_kd.faces.prepared import Faces
from landmark_kd.training.augment import Augmenter

# Keys of a face's generators, so that order and augmentation never share random numbers.
_ORDER, _AUGMENTATION = 0, 1


@dataclass
class Batch:
    """A batch as the loader gives it.

    Attributes:
        images: (N, S, S, 3) uint8 RGB crops.
        targets: (N, T, K, 2) float32 network coordinates; T sets of landmarks in the order given
            to `train_loader`.
        rows: (N,) indices of the faces.
    """

    images: Tensor
    targets: Tensor
    rows: Tensor

    def pin_memory(self) -> Batch:
        """Called by the DataLoader for fast copies to a GPU."""
        return Batch(self.images.pin_memory(), self.targets.pin_memory(), self.rows.pin_memory())

    def __reduce__(self) -> tuple[Any, ...]:
        """Called where a loader process hands the batch over: images go in shared memory, as
        torch has it; the rest goes with the message, since each shared tensor costs a file.
        """
        return _received, (self.images, self.targets.numpy(), self.rows.numpy())


class AugmentedFaces(Dataset[Batch]):
    """Faces by (epoch, row); each pair has its own generator, so who loads it does not matter."""

    def __init__(self, images: np.ndarray, targets: np.ndarray, augmenter: Augmenter, seed: int):
        self.images = images
        self.targets = targets
        self.augmenter = augmenter
        self.seed = seed

    def __getitems__(self, keys: list[tuple[int, int]]) -> Batch:
        rows = [row for _, row in keys]
        images, targets = self.augmenter(
            (self.images[row] for row in rows),
            self.targets[rows],
            (np.random.default_rng([self.seed, _AUGMENTATION, *key]) for key in keys),
        )
        return Batch(
            torch.from_numpy(images),
            torch.from_numpy(targets.astype(np.float32)),
            torch.tensor(rows),
        )


@dataclass(frozen=True)
class Share:
    """The part of each batch that one process takes, and in how many pieces it takes it.

    Attributes:
        process, processes: the rank, from 0, and how many processes train together.
        pieces: pieces of the process's part, whose gradients are added up (base.accumulate).
    """

    process: int = 0
    processes: int = 1
    pieces: int = 1


class ShuffledBatches(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, row) for one epoch, in an order drawn from seed and epoch.

    A batch is what the optimiser takes one step with. Every process draws the same batches, gives
    out its own share of each, and the shares of all processes are the batch, each face once.
    The last batch is dropped where it is not full, since BatchNorm's statistics suffer from a
    batch of a few faces; with fewer faces than a batch there is one batch of all.

    Args:
        rows: the faces to draw from.
        epoch_faces: so many of them make an epoch; all by default.

    Attributes:
        epoch: to be set before each epoch.
        first_step: where an epoch goes on that was broken off; steps before it are left out.
        batch_size: faces of a batch, all processes together.

    Raises:
        UserError: there are too few train faces for the shares.
    """

    def __init__(
        self,
        rows: np.ndarray,
        batch_size: int,
        seed: int,
        share: Share | None = None,
        epoch_faces: int | None = None,
    ) -> None:
        self.rows = rows
        self.epoch_faces = len(rows) if epoch_faces is None else epoch_faces
        self.batch_size = min(batch_size, self.epoch_faces)
        self.seed = seed
        self.share = share or Share()
        self.epoch = 0
        self.first_step = 0
        shares = self.share.processes * self.share.pieces
        if self.batch_size < shares:
            raise UserError(
                f"a batch of {self.batch_size} faces (there are {self.epoch_faces} train faces) "
                f"cannot be shared out into {self.share.processes} processes x base.accumulate "
                f"{self.share.pieces}; lower one of the two."
            )

    @property
    def steps(self) -> int:
        """Steps of the optimiser in a whole epoch."""
        return self.epoch_faces // self.batch_size

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self.share.pieces

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        rng = np.random.default_rng([self.seed, _ORDER, self.epoch])
        order = rng.permutation(self.rows)
        for i in range(self.first_step, self.steps):
            batch = order[i * self.batch_size : (i + 1) * self.batch_size]
            own = np.array_split(batch, self.share.processes)[self.share.process]
            for piece in np.array_split(own, self.share.pieces):
                yield [(self.epoch, int(row)) for row in piece]


def train_loader(
    faces: Faces,
    targets: np.ndarray,
    augmenter: Augmenter,
    *,
    batch_size: int,
    seed: int,
    workers: int,
    pin_memory: bool,
    share: Share | None = None,
) -> tuple[DataLoader[Batch], ShuffledBatches]:
    """Return a loader of the train faces and its sampler, whose `epoch` is set before each epoch.

    An epoch has as many faces as there are labelled ones to train on, so that a student who also
    sees unlabelled faces takes as many steps as one who does not.

    Args:
        targets: (N, T, K, 2) network coordinates for all N faces, validation faces included.
        share: this process's part of each batch; all of it, in one piece, by default.
    """
    rows = faces.train_rows()
    labelled = len(rows) if faces.labelled is None else int(faces.labelled[rows].sum())
    sampler = ShuffledBatches(rows, batch_size, seed, share, labelled)
    dataset = AugmentedFaces(faces.images, targets, augmenter, seed)
    loader: DataLoader[Batch] = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_as_is,
        pin_memory=pin_memory,
        # Faces carry their epoch, so that processes need not be started anew for each.
        persistent_workers=workers > 0,
        # The loader seeds its processes, which draw nothing by themselves; with a generator of its
        # own it leaves the global one as it is, however often an epoch is begun.
        generator=torch.Generator().manual_seed(seed),
    )
    return loader, sampler


def _received(images: Tensor, targets: np.ndarray, rows: np.ndarray) -> Batch:
    return Batch(images, torch.from_numpy(targets), torch.from_numpy(rows))


def _as_is(batch: Any) -> Any:
    """`__getitems__` has made the Batch already; torch's types expect a list of faces here."""
    return batch
