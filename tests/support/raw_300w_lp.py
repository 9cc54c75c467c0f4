"""A small 300W-LP with AFLW2000-3D, as their authors hand them out, for tests that read them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from tests.support.raw_faces import landmarks_in

SIZE = 90
# Faces of four photos: two of AFW have two faces, each in two poses or three.
STEMS_300W_LP = {
    "AFW": ["AFW_11_1_0", "AFW_11_1_1", "AFW_11_2_0", "AFW_11_2_1", "AFW_12_1_0"],
    "HELEN": ["HELEN_20_1_0", "HELEN_20_1_10"],
    "IBUG": ["IBUG_image_003_1_0", "IBUG_image_004 _01_0"],
    "LFPW": ["LFPW_image_test_0001_0", "LFPW_image_test_0001_3", "LFPW_image_train_0001_0"],
}
STEMS_AFLW2000 = ["image00002", "image00004"]


def landmarks_of(stem: str) -> np.ndarray:
    """Return the landmarks (68, 2) of a face, 0-based pixels, which differ from face to face."""
    return landmarks_in(SIZE, SIZE) + sum(stem.encode()) % 7


def write_aflw2000(folder: Path) -> Path:
    """Write the images and .mat files of AFLW2000-3D into a folder."""
    for stem in STEMS_AFLW2000:
        depth = np.zeros((1, 68))
        write_image_and_mat(
            folder, stem, pt2d=-np.ones((2, 21)), pt3d_68=np.vstack([matlab(stem).T, depth])
        )
    return folder


def write_300w_lp(folder: Path, *, train: str = ".", test: str | None = "AFLW2000") -> Path:
    """Write both sets, or 300W-LP alone; mirrored copies, which are not read, are among it."""
    for part, stems in STEMS_300W_LP.items():
        for stem in stems:
            at = folder / train
            # The landmarks of the photo before it was turned.
            photo = matlab(stem.rpartition("_")[0] + "_0")
            for name in (part, f"{part}_Flip"):
                write_image_and_mat(at / name, stem, pt2d=photo.T, roi=np.ones((1, 4)))
            apart = at / "landmarks" / part / f"{stem}_pts.mat"
            apart.parent.mkdir(parents=True, exist_ok=True)
            savemat(apart, {"pts_3d": matlab(stem), "pts_2d": matlab(stem) + 3})
    if test is not None:
        write_aflw2000(folder / test)
    return folder


def matlab(stem: str) -> np.ndarray:
    """Return a face's landmarks (68, 2) as the files count, from 1."""
    return landmarks_of(stem) + 1


def write_image_and_mat(folder: Path, stem: str, **variables: np.ndarray) -> None:
    """Write a grey image and the .mat file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"{stem}.jpg"), np.full((SIZE, SIZE, 3), 128, dtype=np.uint8))
    savemat(folder / f"{stem}.mat", {**variables, "Pose_Para": np.zeros((1, 7))})
