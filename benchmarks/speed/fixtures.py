"""Makes faces of noise and networks of random weights, since speed depends on neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from landmark_kd.config.params import TrainingParams
from landmark_kd.faces.info import FacesInfo
from landmark_kd.faces.prepared import COLUMNS, Faces
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.models.network import LandmarkNet, build_network


def noise_faces(count: int, size: int, folder: Path) -> Faces:
    """Return prepared faces of noise, memory-mapped as real ones are."""
    rng = np.random.default_rng(0)
    border = size // 4
    side = size + 2 * border
    path = folder / f"images_{size}.npy"
    np.save(path, rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8))
    names = [str(i) for i in range(count)]
    table = pd.DataFrame({"name": names, "photo": names, "subsets": "train", "validation": False})
    info = FacesInfo(
        dataset="noise",
        licence="none",
        scheme=IBUG_68,
        crop_size=size,
        border=border,
        margin=0.25,
        box="landmarks",
        box_in_haar=None,
        published={},
        missing=[],
    )
    matrix = np.tile(np.eye(2, 3), (count, 1, 1))
    landmarks = rng.uniform(0.1, 0.9, (count, IBUG_68.points, 2)) * size
    return Faces(
        np.load(path, mmap_mode="r", allow_pickle=False), landmarks, matrix, table[COLUMNS], info
    )


def random_network(settings: TrainingParams, size: int, points: int) -> LandmarkNet:
    """Return the network of a section of params.yaml with random weights."""
    return build_network(
        settings.backbone, settings.head, "random", "auto", points=points, size=size
    )
