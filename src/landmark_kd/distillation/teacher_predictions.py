"""What the teachers say of prepared faces, predicted once for all student runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from landmark_kd.config.paths import DISAGREEMENT_FILE, TEACHERS, UNLABELLED_FILE
from landmark_kd.core.files import replaced_folder, save_array
from landmark_kd.faces.prepared import Faces
from landmark_kd.models.network import LandmarkNet, load_network, predict_faces

# Crops that lie in memory at a time.
_BATCH = 64


def write_predictions(
    faces: Faces, unlabelled: Faces, models: Path, out: Path, device: torch.device
) -> None:
    """Predict all un-augmented crops with both teachers, once for all students.

    Args:
        faces: the N train faces in the teachers' size.
        unlabelled: M faces in that size, which may be none.
        models: folder that holds the teachers' folders.
        out: folder for `tough.npy` and `tolerant.npy`, (N, K, 2) float64 network coordinates;
            `unlabelled_tough.npy` and `unlabelled_tolerant.npy`, (M, K, 2); and
            `unlabelled_disagreement.npy` (M,): how far what the teachers say of a crop and of its
            mirror image lies apart, mean of both teachers and all landmarks, in crop sides.
    """
    apart = []
    with replaced_folder(out) as temporary:
        for teacher in TEACHERS:
            net = load_network(models / teacher, device)
            save_array(temporary / f"{teacher}.npy", predict_faces(net, faces))
            points = predict_faces(net, unlabelled)
            save_array(temporary / UNLABELLED_FILE.format(teacher=teacher), points)
            apart.append(disagreement(net, unlabelled))
        save_array(temporary / DISAGREEMENT_FILE, np.mean(apart, axis=0))


@torch.inference_mode()
def disagreement(net: LandmarkNet, faces: Faces) -> np.ndarray:
    """Return how far a network's landmarks in a crop and in its mirror image lie apart.

    0 for a network without error, or one that is as wrong about the left as about the right; a
    face that is hard to make out has more. Both looks are taken apart, also of a network that
    averages them.

    Returns:
        (N,) mean distance over the landmarks, in crop sides.
    """
    flip = torch.from_numpy(faces.info.scheme.flip.copy())
    found = np.empty(len(faces))
    for start in range(0, len(faces), _BATCH):
        crops = torch.from_numpy(np.ascontiguousarray(faces.crops(slice(start, start + _BATCH))))
        inputs = net.normalize(crops.to(net.mean.device))
        straight, mirrored = net.forward_single(inputs), net.forward_single(inputs.flip(3))
        back = mirrored[:, flip] * net.mirror
        apart = torch.linalg.vector_norm(straight - back, dim=2).mean(dim=1)
        found[start : start + _BATCH] = apart.cpu().numpy()
    return found
