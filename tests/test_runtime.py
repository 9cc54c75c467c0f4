"""Threads, determinism and the device."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from landmark_kd.errors import UserError
from landmark_kd.params import BaseParams
from landmark_kd.runtime import seed_all, setup
from tests.tiny_training import tiny_params


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
