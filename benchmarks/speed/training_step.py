"""Measures the bare training step: a network alone, and what makes it faster or slower."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from lightning_fabric import Fabric
from timm.optim import create_optimizer_v2
from torch import nn

from benchmarks.speed.fixtures import random_network
from benchmarks.speed.timing import contest, quartiles, ratio
from landmark_kd.config.params import Params
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.training.learner import adamw


class BareStep:
    """Forward, backward and optimiser of the student on one fixed batch, and nothing else.

    Args:
        optimizer: foreach or plain, a form of AdamW in place of training's (`learner.adamw`).
        contiguous: whether weights and images have their channels first, not last as in training.
        compiled: whether torch.compile compiles the network.
        bf16: whether the forward pass runs in mixed precision, as base.precision can ask for.
    """

    def __init__(
        self,
        params: Params,
        size: int,
        fabric: Fabric,
        *,
        optimizer: str | None = None,
        contiguous: bool = False,
        compiled: bool = False,
        bf16: bool = False,
    ) -> None:
        student = params.student
        net: nn.Module = random_network(student, size, IBUG_68.points).train()
        if contiguous:
            net = net.to(memory_format=torch.contiguous_format)
        if optimizer is None:
            self.optimizer = adamw(net, student, fabric)
        else:
            self.optimizer = create_optimizer_v2(
                net,
                "adamw",
                student.learning_rate,
                student.weight_decay,
                foreach=optimizer == "foreach",
            )
        self.net = torch.compile(net) if compiled else net
        self.bf16 = bf16
        images = torch.rand(student.batch_size, 3, size, size)
        order = torch.contiguous_format if contiguous else torch.channels_last
        self.images = images.to(memory_format=order)
        self.targets = torch.rand(student.batch_size, IBUG_68.points, 2) - 0.5

    def __call__(self, steps: int) -> int:
        """Take so many steps; return the number of faces that were learnt from."""
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16) if self.bf16 else nullcontext():
                pred = self.net(self.images)
            (pred - self.targets).abs().mean().backward()
            self.optimizer.step()
        return steps * len(self.images)


def measure_variants(
    params: Params, size: int, fabric: Fabric, rounds: int, steps: int
) -> dict[str, Any]:
    """Return rates of the bare step in several forms, and their ratios to that of training."""

    def step(around: Callable[[], Any] = nullcontext, **settings: Any) -> Callable[[], int]:
        bare = BareStep(params, size, fabric, **settings)

        def block() -> int:
            with around():
                return bare(steps)

        return block

    contestants = {
        "as_trained": step(),
        "adamw_foreach": step(optimizer="foreach"),
        "adamw_plain": step(optimizer="plain"),
        "contiguous": step(contiguous=True),
        "new_tensors_filled": step(_new_tensors_filled),
        "threads_2": step(_two_threads),
        "bf16": step(bf16=True),
    }
    with tempfile.TemporaryDirectory() as cache:
        with mock.patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=cache):
            compiled = step(compiled=True)
            start = time.perf_counter()
            compiled()
            seconds = time.perf_counter() - start
        rates = contest(contestants | {"compiled": compiled}, rounds)
    return {
        "faces_per_second": {name: quartiles(found) for name, found in rates.items()},
        "to_as_trained": {name: ratio(rates, name, "as_trained") for name in rates},
        "compile": {"seconds": round(seconds, 1)},
    }


@contextmanager
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@contextmanager
def _new_tensors_filled() -> Iterator[None]:
    """Fill new tensors, as torch does by default where it is deterministic."""
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    yield
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
