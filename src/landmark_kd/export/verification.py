"""An exported file compared with the torch network that it was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from landmark_kd.faces.prepared import Faces
from landmark_kd.inference.metadata import INPUT_NAME, OUTPUT_NAME, SIGMA_NAME
from landmark_kd.landmarks import geometry
from landmark_kd.models import network
from landmark_kd.models.network import LandmarkNet

# Faces at once in the check, besides one by one.
SEVERAL = 32


def largest_differences(
    net: LandmarkNet, faces: Faces, rows: np.ndarray, path: Path
) -> tuple[float, float]:
    """Return the largest distance of a landmark from torch's, in crop and in image pixels.

    That of crop pixels is as well the largest difference of a sigma, where the file gives any.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    size = net.config.size
    in_crop = in_image = 0.0
    for start in range(0, len(rows), SEVERAL):
        part = rows[start : start + SEVERAL]
        crops = faces.crops(part)
        points, sigma = network.predict_with_sigma(net, crops)
        expected = geometry.from_network(points, size)
        inputs = net.normalize(torch.from_numpy(crops)).numpy()
        several = _run(session, inputs)
        single = [_run(session, inputs[i : i + 1]) for i in range(len(part))]
        one_by_one = {name: np.concatenate([each[name] for each in single]) for name in several}
        for outputs in (several, one_by_one):
            if SIGMA_NAME in outputs:
                in_crop = np.maximum(in_crop, size * np.abs(outputs[SIGMA_NAME] - sigma).max())
            away = geometry.from_network(outputs[OUTPUT_NAME], size) - expected
            in_crop = np.maximum(in_crop, np.linalg.norm(away, axis=-1).max())
            linear = faces.crop_to_image[part][:, None, :, :2]
            away = (linear @ away[..., None])[..., 0]
            in_image = np.maximum(in_image, np.linalg.norm(away, axis=-1).max())
    return float(in_crop), float(in_image)


def _run(session: onnxruntime.InferenceSession, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Return all outputs by name, float64."""
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {INPUT_NAME: np.ascontiguousarray(inputs)})
    return {name: np.asarray(values, np.float64) for name, values in zip(names, found, strict=True)}
