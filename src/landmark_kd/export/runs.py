"""Exported files as functions of the network's input, whatever runtime they are for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime

from landmark_kd.inference.metadata import INPUT_NAME, OUTPUT_NAME, SIGMA_NAME, ModelInfo


class Outputs(NamedTuple):
    """Landmarks (N, K, 2), network coordinates, and sigma (N, K), shares of the crop, or None."""

    landmarks: np.ndarray
    sigma: np.ndarray | None


# From normalised inputs (N, 3, S, S) float32.
Run = Callable[[np.ndarray], Outputs]


def open_onnx(model: Path | bytes) -> Run:
    """Open a file for onnxruntime, with one thread, so that times say what the arithmetic costs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: np.ndarray) -> Outputs:
        found = dict(zip(names, session.run(names, {INPUT_NAME: inputs}), strict=True))
        return Outputs(found[OUTPUT_NAME], found.get(SIGMA_NAME))

    return run


def one_by_one(run: Run) -> Run:
    """Let a network that takes one face take several."""

    def run_all(inputs: np.ndarray) -> Outputs:
        found = [run(np.ascontiguousarray(face)) for face in inputs[:, None]]
        sigma = [outputs.sigma for outputs in found if outputs.sigma is not None]
        return Outputs(
            np.concatenate([outputs.landmarks for outputs in found]),
            np.concatenate(sigma) if sigma else None,
        )

    return run_all


def normalized(crops: np.ndarray, info: ModelInfo) -> np.ndarray:
    """Turn crops (N, S, S, 3) uint8 RGB into a network's input (N, 3, S, S) float32."""
    mean, std = (np.array(values, np.float32) for values in (info.mean, info.std))
    inputs = (crops.astype(np.float32) - mean) / std
    return np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
