"""Threads, determinism and the device."""

from __future__ import annotations

import os
import platform
import random
import resource
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from landmark_kd.config.params import BaseParams
from landmark_kd.core.errors import UserError
from landmark_kd.models.device import setup
from landmark_kd.training.processes import seed_all
from tests.support.tiny_training import tiny_params


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    setup(base())


def base(**changes: object) -> BaseParams:
    return tiny_params().base.model_copy(update=changes)


def test_deterministic_algorithms_are_the_parameters_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    setup(base(deterministic=False))
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    setup(base(deterministic=True))
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_new_tensors_are_not_filled_before_they_are_written() -> None:
    """Deterministic torch does so by default, at a tenth of a training step's time."""
    setup(base(deterministic=True))
    torch.full((1000,), 7.0)
    assert not torch.isnan(torch.empty(1000)).all()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="freed memory is kept by glibc alone")
def test_freed_memory_is_kept_for_the_next_tensors() -> None:
    setup(base())

    def pages_of_a_tensor() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(8 * 2**20)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    # 32 MiB are 8192 pages of 4 KiB. The first tensors make room, which later ones fit into.
    assert max([pages_of_a_tensor() for _ in range(12)][-4:]) < 100


def test_threads_are_those_of_the_parameters() -> None:
    setup(base(threads=2))
    assert torch.get_num_threads() == 2


def test_a_gpu_that_is_not_there_is_refused_and_auto_takes_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert setup(base(device="auto")) == torch.device("cpu")
    with pytest.raises(UserError, match=r"base\.device is cuda, but torch finds no GPU"):
        setup(base(device="cuda"))


def test_one_seed_seeds_every_generator() -> None:
    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002

    seed_all(3)
    first = drawn()
    seed_all(3)
    assert drawn() == first
    seed_all(4)
    assert all(a != b for a, b in zip(drawn(), first, strict=True))
