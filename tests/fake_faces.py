"""Small prepared faces for tests: blurred dots at the landmarks, drawn from a seed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from landmark_kd.faces import Faces, FacesInfo, load_faces, save_faces
from landmark_kd.synthetic_shape import load_prior

SIZE, BORDER = 32, 8


def write_faces(folder: Path, n: int, *, validation: int = 0, seed: int = 0) -> Faces:
    """Write n faces of 68 points with crops of 32 px; the last `validation` are held out."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    mean = load_prior().mean[:, :2]
    mean = (mean - mean.mean(axis=0)) / np.ptp(mean, axis=0).max()
    side = SIZE + 2 * BORDER
    images = np.lib.format.open_memmap(
        folder / "images.npy", mode="w+", dtype=np.uint8, shape=(n, side, side, 3)
    )
    landmarks = np.empty((n, 68, 2))
    for i in range(n):
        angle, scale = rng.uniform(-0.2, 0.2), rng.uniform(0.6, 0.8) * SIZE
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        crop = mean @ turn.T * scale + (SIZE - 1) / 2 + rng.uniform(-2, 2, 2)
        landmarks[i] = 2 * crop + 10
        picture = np.full((side, side, 3), rng.integers(100, 256, 3), np.uint8)
        for x, y in (crop + BORDER).round().astype(int).tolist():
            cv2.circle(picture, (x, y), 1, (20, 20, 20), -1)
        images[i] = picture
    images.flush()
    to_image = np.tile(np.array([[2.0, 0.0, 10.0], [0.0, 2.0, 10.0]]), (n, 1, 1))
    table = pd.DataFrame(
        {
            "name": [f"face_{i}" for i in range(n)],
            "photo": [f"photo_{i}" for i in range(n)],
            "subset": "test",
            "validation": np.arange(n) >= n - validation,
        }
    )
    info = FacesInfo("synthetic", 68, SIZE, BORDER, 0.25, "landmarks", {"test": None}, [])
    save_faces(folder, landmarks, to_image, table, info)
    return load_faces(folder)
