"""What breaks a training from outside ends in one sentence that says what to do."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from landmark_kd.core.errors import UserError
from landmark_kd.faces.prepared import Faces
from landmark_kd.training.failures import explained
from landmark_kd.training.resume.scratch import VARIABLE
from tests.support.prepared_faces import prepared_faces
from tests.support.tiny_training import task_with, tiny_params, tiny_train

pytestmark = pytest.mark.seconds

MORE_THAN_THERE_IS = 1 << 60


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faces:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "scratch"))
    return prepared_faces(tmp_path / "faces", 12, validation=4)


class Deadly(np.ndarray):
    """Images that kill the loader process that reads one, as the kernel does without memory."""

    def __getitem__(self, key: Any) -> Any:
        if get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(key)


def test_a_loader_process_that_dies_is_named_with_base_workers(
    faces: Faces, tmp_path: Path
) -> None:
    deadly = replace(faces, images=np.array(faces.images).view(Deadly))
    sentence = r"one of the 2 processes that load images ended \(DataLoader worker \(pid"
    with pytest.raises(UserError, match=rf"baseline: {sentence}.*lower base\.workers \(0 loads"):
        tiny_train(deadly, tmp_path, settings=tiny_params({"workers": 2}))
    assert not (tmp_path / "model").exists()


def too_large_for_torch(pred: Tensor) -> Tensor:
    return torch.empty(MORE_THAN_THERE_IS, dtype=torch.uint8)


def too_large_for_numpy(pred: Tensor) -> Tensor:
    return torch.from_numpy(np.empty(MORE_THAN_THERE_IS, np.uint8))


class Raising(np.ndarray):
    """Images whose reading fails in a loader process."""

    error: Exception

    def __getitem__(self, key: Any) -> Any:
        if get_worker_info() is not None:
            raise self.error
        return super().__getitem__(key)

    def __array_finalize__(self, other: Any) -> None:
        self.error = getattr(other, "error", Exception())


def failing(faces: Faces, error: Exception) -> Faces:
    images = np.array(faces.images).view(Raising)
    images.error = error
    return replace(faces, images=images)


@pytest.mark.seconds
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        cv2.error(
            "OpenCV(4.11.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate"
        ),
    ],
)
def test_memory_that_is_too_small_in_a_loader_process_says_what_to_lower(
    faces: Faces, tmp_path: Path, error: Exception
) -> None:
    sentence = "baseline: the memory of the computer is too small.*batch_size.*crop.resolution"
    with pytest.raises(UserError, match=sentence):
        tiny_train(failing(faces, error), tmp_path, settings=tiny_params({"workers": 1}))
    assert not (tmp_path / "model").exists()


def test_an_error_of_the_disk_in_a_loader_process_is_one_sentence(
    faces: Faces, tmp_path: Path
) -> None:
    broken = failing(faces, OSError(errno.EIO, os.strerror(errno.EIO)))
    sentence = r"failed \(OSError: \[Errno 5\] Input/output error\); put that right and run"
    with pytest.raises(UserError, match=sentence):
        tiny_train(broken, tmp_path, settings=tiny_params({"workers": 1}))


def test_a_defect_in_a_loader_process_is_not_taken_for_little_memory(
    faces: Faces, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="in DataLoader worker process 0") as caught:
        tiny_train(
            failing(faces, RuntimeError("shapes")), tmp_path, settings=tiny_params({"workers": 1})
        )
    assert "shapes" in str(caught.value)


@pytest.mark.parametrize("allocate", [too_large_for_torch, too_large_for_numpy])
def test_memory_that_is_too_small_says_what_to_lower(
    faces: Faces, tmp_path: Path, allocate: Callable[[Tensor], Tensor]
) -> None:
    def loss(pred: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return allocate(pred), {}

    task = task_with(loss, faces)
    sentence = (
        "the memory of the computer is too small.*base.accumulate.*batch_size.*crop.resolution"
    )
    with pytest.raises(UserError, match=sentence):
        tiny_train(faces, tmp_path, task=task)


def test_weights_that_are_no_numbers_behind_a_loss_that_is_one_stop_the_training(
    faces: Faces, tmp_path: Path
) -> None:
    """The square root's slope at zero is infinite; the loss of the next batch would show it."""

    def loss(pred: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return (0 * pred).abs().sqrt().mean(), {}

    task = task_with(loss, faces)
    with pytest.raises(UserError, match="the validation NME is nan after epoch 1, though the loss"):
        tiny_train(faces, tmp_path, task=task)
    assert not (tmp_path / "model").exists()


def test_a_gpus_memory_is_told_from_the_computers() -> None:
    with (
        pytest.raises(UserError, match="kd: the memory of the GPU is too small"),
        explained("kd", 0),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def test_shared_memory_that_is_full_is_told_from_memory() -> None:
    bus_error = (
        "DataLoader worker (pid 7) is killed by signal: Bus error. "
        "It is possible that dataloader's workers are out of shared memory."
    )
    with pytest.raises(UserError, match=r"/dev/shm\) is full"), explained("kd", 4):
        raise RuntimeError(bus_error)


def test_shared_memory_that_takes_no_more_is_told_from_a_full_disk() -> None:
    error = RuntimeError(
        "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback …\n"
        "RuntimeError: unable to write to file </torch_12_34_0>: No space left on device (28)"
    )
    with pytest.raises(UserError, match=r"/dev/shm\) is full"), explained("kd", 4):
        raise error


def test_a_reader_of_the_output_who_goes_away_is_no_lost_process() -> None:
    with pytest.raises(BrokenPipeError), explained("kd", 0):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def test_a_process_that_lost_another_points_to_its_message() -> None:
    with (
        pytest.raises(UserError, match="another process of this training ended"),
        explained("kd", 0),
    ):
        raise RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer [::1]")


def test_a_defect_of_ours_keeps_its_own_error() -> None:
    with pytest.raises(RuntimeError, match="shapes"), explained("kd", 0):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
