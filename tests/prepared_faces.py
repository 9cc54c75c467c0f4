"""Small folders of prepared faces, with real face shapes on grey noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from landmark_kd import geometry
from landmark_kd.faces import Faces, FacesInfo, load_faces, save_faces
from landmark_kd.synthetic_shape import load_prior

MARGIN = 0.25
BORDER = 8


def real_shapes(count: int, seed: int = 0, size: float = 200.0) -> np.ndarray:
    """Shapes (count, 68, 2) such as real faces have, turned, scaled and shifted; pixels."""
    rng = np.random.default_rng(seed)
    prior = load_prior()
    weights = rng.standard_normal((count, len(prior.variances))) * np.sqrt(prior.variances)
    shapes = prior.mean[:, :2] + np.tensordot(weights, prior.modes, axes=1)
    shapes = shapes / np.ptp(prior.mean[:, 1]) * size * rng.uniform(0.7, 1.3, (count, 1, 1))
    angle = rng.uniform(-0.4, 0.4, count)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1)
    shapes = shapes @ turn.reshape(-1, 2, 2).swapaxes(1, 2)
    return shapes + rng.uniform(300, 500, (count, 1, 2))


def prepared_faces(
    folder: Path,
    count: int,
    *,
    subsets: Sequence[str] = ("test",),
    published: dict[str, int | None] | None = None,
    validation: int = 0,
    crop_size: int = 32,
    seed: int = 0,
) -> Faces:
    """Write `count` faces as `prepare` does and open them.

    Args:
        subsets: given to the faces in turn.
        validation: so many of the first faces are held out of training.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    landmarks = real_shapes(count, seed)
    to_crop = [
        geometry.square_crop(box, MARGIN, crop_size) for box in geometry.landmarks_box(landmarks)
    ]
    side = crop_size + 2 * BORDER
    np.save(folder / "images.npy", rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8))
    names = [f"face_{i:03d}" for i in range(count)]
    table = pd.DataFrame(
        {
            "name": names,
            "photo": names,
            "subset": [subsets[i % len(subsets)] for i in range(count)],
            "validation": [i < validation for i in range(count)],
        }
    )
    info = FacesInfo(
        dataset="tiny",
        points=68,
        crop_size=crop_size,
        border=BORDER,
        margin=MARGIN,
        box="landmarks",
        published=published or {},
        missing=[],
    )
    save_faces(folder, landmarks, geometry.invert(np.stack(to_crop)), table, info)
    return load_faces(folder)
