"""Core ML, by coremltools from the torch network: an ML program in float32, one face at a time.

It is converted on any system, but predicts on macOS alone.
"""

from __future__ import annotations

import copy
import platform
from pathlib import Path

import numpy as np
import torch

from landmark_kd.export.runs import Outputs, Run, one_by_one
from landmark_kd.inference.metadata import INPUT_NAME, OUTPUT_NAME, SIGMA_NAME, ModelInfo
from landmark_kd.models.network import LandmarkNet


def write_coreml(network: LandmarkNet, info: ModelInfo, path: Path) -> None:
    """Write a network as an .mlpackage (a folder) for iOS 16 and macOS 13 on."""
    import coremltools as ct

    network = copy.deepcopy(network).cpu().eval()
    names = [OUTPUT_NAME]
    if network.uncertainty.fitted:
        names.append(SIGMA_NAME)
        network.forward = network.with_sigma  # type: ignore
    shape = (1, 3, info.input_size, info.input_size)
    with torch.no_grad():
        traced = torch.jit.trace(network, torch.zeros(shape), check_trace=False)
    model = ct.convert(
        traced,
        inputs=[ct.TensorType(INPUT_NAME, shape=shape)],
        outputs=[ct.TensorType(name) for name in names],
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )
    model.user_defined_metadata.update(info.to_metadata())
    model.save(str(path))


def open_coreml(path: Path) -> Run | None:
    """Open such a folder; None on systems that cannot run it."""
    if platform.system() != "Darwin":
        return None
    import coremltools as ct

    model = ct.models.MLModel(str(path), compute_units=ct.ComputeUnit.CPU_ONLY)

    def run(inputs: np.ndarray) -> Outputs:
        found = model.predict({INPUT_NAME: inputs})
        return Outputs(found[OUTPUT_NAME], found.get(SIGMA_NAME))

    return one_by_one(run)
