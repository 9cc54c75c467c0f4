"""What a network costs: parameters, arithmetic and time."""

from __future__ import annotations

import copy
import platform
import time
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
        parameters: numbers that training sets (running means of BatchNorm are none).
        macs: multiply-adds a face in convolutions and matrix products.
    """
    net, inputs = _ready(net)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        net(inputs)
    # The counter takes a multiply-add for two operations.
    macs = counter.get_total_flops() // 2
    return {"parameters": sum(p.numel() for p in net.parameters()), "macs": macs}


def network_time(net: LandmarkNet, repeats: int = REPEATS) -> dict[str, float]:
    """Time a network on the CPU, a face at a time; no two runs give the same.

    Returns:
        median, p10, p90: milliseconds a face, of `repeats` runs at batch 1 in float32, without
            cropping.
    """
    net, inputs = _ready(net)
    with torch.inference_mode():
        for _ in range(WARM_UP):
            net(inputs)
        milliseconds = [_milliseconds(net, inputs) for _ in range(repeats)]
    p10, median, p90 = np.percentile(milliseconds, [10, 50, 90])
    return {"median": float(median), "p10": float(p10), "p90": float(p90)}


def _ready(net: LandmarkNet) -> tuple[LandmarkNet, torch.Tensor]:
    """Return a copy of a network on the CPU, and one input in the order of channels of images."""
    size = net.config.size
    inputs = torch.zeros(1, 3, size, size).to(memory_format=torch.channels_last)
    return copy.deepcopy(net).cpu().eval(), inputs


def _milliseconds(net: LandmarkNet, inputs: torch.Tensor) -> float:
    start = time.perf_counter()
    net(inputs)
    return 1000 * (time.perf_counter() - start)


def cpu_name() -> str:
    """Name of the processor; Linux alone tells it in a file, others by `platform`."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
