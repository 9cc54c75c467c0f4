"""What the teachers say of prepared faces, predicted once for all student runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from landmark_kd.faces import Faces
from landmark_kd.files import replaced_folder, save_array
from landmark_kd.networks import LandmarkNet, load_network, predict, predict_faces
from landmark_kd.teachers import TEACHERS

# Mirrored crops that lie in memory at a time.
_BATCH = 64


def write_predictions(
    faces: Faces, models: Path, out: Path, device: torch.device, *, flip_average: bool
) -> None:
    """Predict all train faces' un-augmented crops with both teachers, once for all students.

    Args:
        faces: the train faces in the teachers' size.
        models: folder that holds the teachers' folders.
        out: folder for `tough.npy` and `tolerant.npy`, (N, K, 2) float64 network coordinates.
        flip_average: predictions are the mean of those on the crop and on its mirror image.
    """
    with replaced_folder(out) as temporary:
        for teacher in TEACHERS:
            net = load_network(models / teacher, device)
            points = predict_faces(net, faces)
            if flip_average:
                points = (points + predict_mirrored(net, faces)) / 2
            save_array(temporary / f"{teacher}.npy", points)


def predict_mirrored(net: LandmarkNet, faces: Faces) -> np.ndarray:
    """Predict the mirror images of all faces' crops; return the points of the faces themselves.

    A network without error, or one that is as wrong about the left as about the right, gives
    what `predict_faces` does.

    Returns:
        (N, K, 2) float64 network coordinates of the crops, mirrored back, each landmark in its
        own place by the flip table.
    """
    flip = faces.info.topology.flip
    found = [np.empty((0, faces.info.points, 2))]
    for start in range(0, len(faces), _BATCH):
        crops = faces.crops(slice(start, start + _BATCH))
        mirrored = predict(net, np.ascontiguousarray(crops[:, :, ::-1]))
        # The crop's middle is 0, so that mirroring is another sign of x.
        found.append(mirrored[:, flip] * [-1, 1])
    return np.concatenate(found)
