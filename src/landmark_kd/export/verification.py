"""An exported file compared with the torch network that it was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from landmark_kd.export.runs import one_by_one, open_onnx
from landmark_kd.faces.prepared import Faces
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
    run = open_onnx(path)
    size = net.config.size
    in_crop = in_image = 0.0
    for start in range(0, len(rows), SEVERAL):
        part = rows[start : start + SEVERAL]
        crops = faces.crops(part)
        points, sigma = network.predict_with_sigma(net, crops)
        expected = geometry.from_network(points, size)
        inputs = np.ascontiguousarray(net.normalize(torch.from_numpy(crops)).numpy())
        for outputs in (run(inputs), one_by_one(run)(inputs)):
            if outputs.sigma is not None:
                in_crop = np.maximum(in_crop, size * np.abs(outputs.sigma - sigma).max())
            landmarks = outputs.landmarks.astype(np.float64)
            away = geometry.from_network(landmarks, size) - expected
            in_crop = np.maximum(in_crop, np.linalg.norm(away, axis=-1).max())
            linear = faces.crop_to_image[part][:, None, :, :2]
            away = (linear @ away[..., None])[..., 0]
            in_image = np.maximum(in_image, np.linalg.norm(away, axis=-1).max())
    return float(in_crop), float(in_image)
