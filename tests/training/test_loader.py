"""Batches: the same for any number of workers, different each epoch, train faces only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from landmark_kd.core.errors import UserError
from landmark_kd.faces.prepared import Faces
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.loader import Batch, Share, train_loader
from tests.support.augmentation import LIVELY
from tests.support.prepared_faces import BORDER, SIZE, prepared_faces


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return prepared_faces(tmp_path_factory.mktemp("faces"), 22, validation=5)


def epochs(
    faces: Faces,
    *,
    seed: int = 1,
    workers: int = 0,
    count: int = 2,
    share: Share | None = None,
    first_step: int = 0,
) -> list[list[Batch]]:
    augmenter = Augmenter(LIVELY, SIZE, BORDER, faces.info.scheme.flip)
    loader, sampler = train_loader(
        faces,
        faces.crop_landmarks()[:, None],
        augmenter,
        batch_size=4,
        seed=seed,
        workers=workers,
        pin_memory=False,
        share=share,
    )
    sampler.first_step = first_step
    found = []
    for epoch in range(1, count + 1):
        sampler.epoch = epoch
        found.append(list(loader))
    return found


def bits(batches: list[list[Batch]]) -> list[bytes]:
    return [b.images.numpy().tobytes() + b.targets.numpy().tobytes() for e in batches for b in e]


def test_batches_are_the_same_with_and_without_worker_processes(faces: Faces) -> None:
    here, there = epochs(faces), epochs(faces, workers=2)
    assert bits(there) == bits(here)
    for one, other in zip(here[0], there[0], strict=True):
        assert other.rows.tolist() == one.rows.tolist()
        assert (other.targets.dtype, other.rows.dtype) == (one.targets.dtype, one.rows.dtype)


def test_loader_processes_are_started_once_for_all_epochs(faces: Faces) -> None:
    before = set(psutil.Process().children())
    loader, sampler = train_loader(
        faces,
        faces.crop_landmarks()[:, None],
        Augmenter(LIVELY, SIZE, BORDER, faces.info.scheme.flip),
        batch_size=4,
        seed=1,
        workers=2,
        pin_memory=False,
    )
    started = []
    for epoch in (1, 2):
        sampler.epoch = epoch
        list(loader)
        started.append(set(psutil.Process().children()) - before)
    assert len(started[0]) == 2
    assert started[0] == started[1]


def test_another_seed_and_another_epoch_give_other_batches(faces: Faces) -> None:
    one = epochs(faces)
    assert bits([one[0]]) != bits([one[1]])
    assert bits(one) != bits(epochs(faces, seed=2))


def test_the_same_face_is_augmented_anew_in_each_epoch(tmp_path: Path) -> None:
    (first,), (second,) = epochs(prepared_faces(tmp_path, 1))
    assert first.rows.tolist() == second.rows.tolist()
    assert (first.targets != second.targets).all()


def test_validation_faces_are_never_trained_on_and_no_face_comes_twice(faces: Faces) -> None:
    for epoch in epochs(faces):
        rows = torch.cat([batch.rows for batch in epoch]).tolist()
        assert len(rows) == len(set(rows)) == 16
        assert set(rows) <= set(faces.train_rows().tolist())


def test_batches_are_full_and_fewer_faces_than_a_batch_make_one(
    faces: Faces, tmp_path: Path
) -> None:
    assert {len(batch.rows) for epoch in epochs(faces) for batch in epoch} == {4}
    few = prepared_faces(tmp_path, 3)
    assert [len(batch.rows) for batch in epochs(few, count=1)[0]] == [3]


def test_targets_are_the_landmarks_of_the_rows_images(faces: Faces) -> None:
    batch = epochs(faces, count=1)[0][0]
    assert batch.images.shape == (4, SIZE, SIZE, 3)
    assert batch.images.dtype == torch.uint8
    assert batch.targets.shape == (4, 1, 68, 2)
    assert np.abs(batch.targets.numpy()).max() < 1


@pytest.mark.parametrize(("processes", "pieces"), [(2, 1), (1, 3), (3, 1), (2, 2)])
def test_the_shares_of_all_processes_are_the_batches_of_one(
    faces: Faces, processes: int, pieces: int
) -> None:
    whole = epochs(faces, count=1)[0]
    shares = [
        epochs(faces, count=1, share=Share(process, processes, pieces))[0]
        for process in range(processes)
    ]
    for step, batch in enumerate(whole):
        own = [part for share in shares for part in share[step * pieces : (step + 1) * pieces]]
        assert torch.cat([part.rows for part in own]).tolist() == batch.rows.tolist()
        assert torch.equal(torch.cat([part.images for part in own]), batch.images)


def test_an_epoch_goes_on_with_the_step_it_was_broken_off_at(faces: Faces) -> None:
    whole, rest = epochs(faces, count=1)[0], epochs(faces, count=1, first_step=2)[0]
    assert bits([rest]) == bits([whole[2:]])


def test_fewer_faces_than_shares_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be shared out into 2 processes x"):
        epochs(prepared_faces(tmp_path, 3), share=Share(0, 2, 2))


def test_beginning_an_epoch_leaves_the_global_generator_as_it_is(faces: Faces) -> None:
    before = torch.get_rng_state()
    epochs(faces)
    assert torch.equal(torch.get_rng_state(), before)
