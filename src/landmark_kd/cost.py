"""What a network costs: parameters, arithmetic and time."""

from __future__ import annotations

import copy
import platform
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from landmark_kd.networks import LandmarkNet

WARM_UP = 5
REPEATS = 50


def network_cost(net: LandmarkNet, repeats: int = REPEATS) -> dict[str, float]:
    """Count a network's parameters and operations, and time it on the CPU, a face at a time.

    Returns:
        parameters: numbers that training sets (running means of BatchNorm are none).
        flops: floating-point operations a face in convolutions and matrix products, as
            `FlopCounterMode` counts them: a multiply-add is two. Half of it is what papers on
            small networks call MACs, or FLOPs.
        ms_per_face, ms_per_face_p10, ms_per_face_p90: median and percentiles of `repeats` runs at
            batch 1 in float32 on the CPU, without cutting the crop; they differ from run to run.
        threads: of torch during those runs.
    """
    net = copy.deepcopy(net).cpu().eval()
    size = net.config.size
    # In the order of channels that the pictures have.
    inputs = torch.zeros(1, 3, size, size).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            net(inputs)
        for _ in range(WARM_UP):
            net(inputs)
        milliseconds = [_milliseconds(net, inputs) for _ in range(repeats)]
    p10, median, p90 = np.percentile(milliseconds, [10, 50, 90])
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "flops": counter.get_total_flops(),
        "ms_per_face": float(median),
        "ms_per_face_p10": float(p10),
        "ms_per_face_p90": float(p90),
        "threads": torch.get_num_threads(),
    }


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
