"""What the teachers say of prepared faces, predicted once for all student runs."""

from __future__ import annotations

from pathlib import Path

import torch

from landmark_kd.faces import Faces
from landmark_kd.files import replaced_folder, save_array
from landmark_kd.networks import load_network, predict_faces
from landmark_kd.teachers import TEACHERS


def write_predictions(faces: Faces, models: Path, out: Path, device: torch.device) -> None:
    """Predict all train faces' un-augmented crops with both teachers, once for all students.

    Args:
        faces: the train faces in the teachers' size.
        models: folder that holds the teachers' folders.
        out: folder for `tough.npy` and `tolerant.npy`, (N, K, 2) float64 network coordinates.
    """
    with replaced_folder(out) as temporary:
        for teacher in TEACHERS:
            net = load_network(models / teacher, device)
            save_array(temporary / f"{teacher}.npy", predict_faces(net, faces))
