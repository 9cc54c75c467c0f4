"""Batches of augmented faces, the same whatever the number of loader processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from landmark_kd.augment import Augmenter
from landmark_kd.faces import Faces

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


class AugmentedFaces(Dataset[Batch]):
    """Faces by (epoch, row); each pair has its own generator, so who loads it does not matter."""

    def __init__(self, images: np.ndarray, targets: np.ndarray, augmenter: Augmenter, seed: int):
        self.images = images
        self.targets = targets
        self.augmenter = augmenter
        self.seed = seed

    def __getitems__(self, keys: list[tuple[int, int]]) -> Batch:
        size = self.augmenter.size
        images = np.empty((len(keys), size, size, 3), np.uint8)
        targets = np.empty((len(keys), *self.targets.shape[1:]), np.float32)
        for i, (epoch, row) in enumerate(keys):
            rng = np.random.default_rng([self.seed, _AUGMENTATION, epoch, row])
            images[i], targets[i] = self.augmenter(self.images[row], self.targets[row], rng)
        rows = torch.tensor([row for _, row in keys])
        return Batch(torch.from_numpy(images), torch.from_numpy(targets), rows)


class ShuffledBatches(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, row) for one epoch, in an order drawn from seed and epoch.

    The last batch is dropped where it is not full, since BatchNorm's statistics suffer from a
    batch of a few faces; with fewer faces than a batch there is one batch of all.
    """

    def __init__(self, rows: np.ndarray, batch_size: int, seed: int) -> None:
        self.rows = rows
        self.batch_size = min(batch_size, len(rows))
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.rows) // self.batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        rng = np.random.default_rng([self.seed, _ORDER, self.epoch])
        order = rng.permutation(self.rows)
        for i in range(len(self)):
            chosen = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield [(self.epoch, int(row)) for row in chosen]


def train_loader(
    faces: Faces,
    targets: np.ndarray,
    augmenter: Augmenter,
    *,
    batch_size: int,
    seed: int,
    workers: int,
    pin_memory: bool,
) -> tuple[DataLoader[Batch], ShuffledBatches]:
    """Return a loader of the train faces and its sampler, whose `epoch` is set before each epoch.

    Args:
        targets: (N, T, K, 2) network coordinates for all N faces, validation faces included.
    """
    sampler = ShuffledBatches(faces.train_rows(), batch_size, seed)
    dataset = AugmentedFaces(faces.images, targets, augmenter, seed)
    loader: DataLoader[Batch] = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_as_is,
        pin_memory=pin_memory,
        persistent_workers=False,
    )
    return loader, sampler


def _as_is(batch: Any) -> Any:
    """`__getitems__` has made the Batch already; torch's types expect a list of faces here."""
    return batch
