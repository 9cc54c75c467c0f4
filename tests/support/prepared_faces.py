"""Small folders of prepared faces: real face shapes, a dark dot at each landmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from landmark_kd.faces.info import FacesInfo
from landmark_kd.faces.prepared import Faces, load_faces, save_faces
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.head import load_prior
from landmark_kd.landmarks.scheme import IBUG_68

MARGIN = 0.25
BORDER = 8
SIZE = 32


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
    crop_size: int = SIZE,
    seed: int = 0,
    occluded: np.ndarray | None = None,
) -> Faces:
    """Write `count` faces as `prepare` does and open them.

    Args:
        subsets: given to the faces in turn; several of one face are joined by |.
        validation: so many of the first faces are held out of training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    landmarks = real_shapes(count, seed)
    # A box that is a little off, as a detector's is: otherwise all faces lie alike in the crop.
    boxes = geometry.landmarks_box(landmarks) + rng.uniform(-30, 30, (count, 4))
    to_crop = np.stack([geometry.square_crop(box, MARGIN, crop_size) for box in boxes])
    side = crop_size + 2 * BORDER
    images = np.empty((count, side, side, 3), np.uint8)
    for image, points in zip(images, geometry.apply(to_crop, landmarks) + BORDER, strict=True):
        image[:] = rng.integers(100, 256, 3)
        for x, y in points.round().astype(int).tolist():
            cv2.circle(image, (x, y), 1, (20, 20, 20), -1)
    np.save(folder / "images.npy", images)
    names = [f"face_{i:03d}" for i in range(count)]
    table = pd.DataFrame(
        {
            "name": names,
            "photo": names,
            "subsets": [subsets[i % len(subsets)] for i in range(count)],
            "validation": [i < validation for i in range(count)],
        }
    )
    info = FacesInfo(
        dataset="tiny",
        licence="Trained on dots.",
        scheme=IBUG_68,
        crop_size=crop_size,
        border=BORDER,
        margin=MARGIN,
        box="landmarks",
        box_in_haar=None,
        published=published or {},
        missing=[],
    )
    save_faces(folder, landmarks, geometry.invert(to_crop), table, info, occluded=occluded)
    return load_faces(folder)


def without_landmarks(faces: Faces, count: int | None = None) -> Faces:
    """Return the first `count` faces, all by default, as `prepare` gives unlabelled ones."""
    return replace(
        faces,
        images=faces.images[:count],
        landmarks=np.full_like(faces.landmarks[:count], np.nan),
        crop_to_image=faces.crop_to_image[:count],
        table=faces.table[:count].assign(validation=False),
        labelled=np.zeros(len(faces.landmarks[:count]), bool),
    )
