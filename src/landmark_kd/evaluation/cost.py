"""What a network costs: parameters, arithmetic and time."""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from landmark_kd.models.network import LandmarkNet

WARM_UP = 5
REPEATS = 50


def network_cost(net: LandmarkNet) -> dict[str, int]:
    """Count a network's parameters and operations; both are the same on every machine.

    Returns:
        parameters: numbers that training sets, so not the running means of BatchNorm.
        macs: multiply-adds for one face in convolutions and matrix products.
    """
    net, inputs = _ready(net)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        net.with_sigma(inputs)
    # The counter counts a multiply-add as two operations.
    macs = counter.get_total_flops() // 2
    return {"parameters": sum(p.numel() for p in net.parameters()), "macs": macs}


def network_time(net: LandmarkNet, repeats: int = REPEATS) -> dict[str, float]:
    """Time a network on the CPU, one face at a time; no two runs give the same.

    Returns:
        median, p10, p90: milliseconds a face, of `repeats` runs at batch 1 in float32, without
            cropping.
    """
    net, inputs = _ready(net)
    with torch.inference_mode():
        for _ in range(WARM_UP):
            net(inputs)
        return percentiles([milliseconds(partial(net, inputs)) for _ in range(repeats)])


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return {median, p10, p90} of values."""
    p10, median, p90 = np.percentile(values, [10, 50, 90]).tolist()
    return {"median": median, "p10": p10, "p90": p90}


def _ready(net: LandmarkNet) -> tuple[LandmarkNet, torch.Tensor]:
    """Return a copy of a network on the CPU, and one input in the memory format of images."""
    size = net.config.size
    inputs = torch.zeros(1, 3, size, size).to(memory_format=torch.channels_last)
    return copy.deepcopy(net).cpu().eval(), inputs


def cpu_name() -> str:
    """Return the processor's name, which Linux tells in a file and other systems by `platform`."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
