"""The processes of a training, and its seeds."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from landmark_kd.config.params import BaseParams
from landmark_kd.core.errors import UserError
from landmark_kd.models.device import setup

# Fabric's names of base.precision.
PRECISIONS = {32: "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
# Tells a process that another one started it, and which.
_PARENT = "LANDMARK_KD_PARENT"
# Seconds between its looks at whether that one still lives.
_PARENT_INTERVAL = 1.0


def process_counts(base: BaseParams) -> tuple[int, int]:
    """Return how many processes a training has on each host, and on how many hosts."""
    if not TorchElasticEnvironment.detect():
        return base.devices, 1
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    return local, int(os.environ["WORLD_SIZE"]) // local


@contextmanager
def training_processes(base: BaseParams) -> Iterator[Fabric]:
    """Start the processes of a training; if one fails, all end.

    `base.devices` processes run on this host: this one, and copies of its command that Fabric
    starts. Those end when this one does, and Fabric ends this one with any of them. Under
    `torchrun` the processes exist already, on any number of hosts, and torchrun alone says how
    many. Yields this process's Fabric: device, rank, number of processes.

    Raises:
        UserError: the device, its number or its precision cannot be had here.
    """
    device = setup(base)
    local, hosts = process_counts(base)
    under_torchrun = TorchElasticEnvironment.detect()
    if device.type == "cuda" and local > torch.cuda.device_count():
        raise UserError(
            f"{local} processes are asked for on this host (base.devices, or torchrun's "
            f"--nproc-per-node), but torch finds {torch.cuda.device_count()} GPU(s); "
            "ask for at most so many."
        )
    if device.type == "cpu" and base.precision == "fp16":
        raise UserError("base.precision is fp16, which needs a GPU; take bf16 or 32 on the CPU.")
    if local > 1 and not under_torchrun:
        _end_with(int(os.environ.setdefault(_PARENT, str(os.getpid()))))
    fabric = Fabric(
        accelerator=device.type,
        devices=local,
        num_nodes=hosts,
        precision=PRECISIONS[base.precision],  # type: ignore[arg-type]
        # Named, so that a SLURM or MPI job around an ordinary run is not taken for its launcher.
        plugins=TorchElasticEnvironment() if under_torchrun else LightningEnvironment(),
    )
    fabric.launch()
    # Fabric shares the cores out as it launches; base.threads is what the results depend on.
    torch.set_num_threads(base.threads)
    yield fabric
    # Rank 0 writes the results; the others are done only when it is.
    fabric.barrier()


def seed_all(seed: int) -> None:
    """Seed every generator that a library might draw from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that draw from the global generator
    torch.manual_seed(seed)


def _end_with(parent: int) -> None:
    """End this process soon after the one that started it, however that was killed."""
    if parent == os.getpid():
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_INTERVAL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent watch").start()
