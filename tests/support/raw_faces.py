"""Small data sets on disk, as their authors hand them out, for tests that read them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from landmark_kd.data.datasets.pts import FIRST_PIXEL

# Faces of one photo (AFW, HELEN) and of photos of their own (LFPW), in the official layout.
STEMS_300W = {
    "afw": ["11_1", "11_2", "12_1"],
    "helen/trainset": ["20_1", "20_2", "20_3", "21_1"],
    "lfpw/trainset": ["image_0001", "image_0002", "image_0003"],
    "helen/testset": ["30_1", "31_1"],
    "lfpw/testset": ["image_0001"],
    "ibug": ["image_003_1", "image_004 _01"],
}


def landmarks_in(width: int, height: int) -> np.ndarray:
    """Return 68 different points (68, 2) in the middle half of an image."""
    share = np.random.default_rng(0).uniform(0.25, 0.75, (68, 2))
    return share * [width - 1, height - 1]


def write_pts(path: Path, landmarks: np.ndarray) -> None:
    """Write landmarks (K, 2), 0-based pixels, with three decimals as the iBUG group does."""
    rows = [f"{x:.3f} {y:.3f}" for x, y in landmarks + FIRST_PIXEL]
    text = "\n".join(["version: 1", f"n_points:  {len(rows)}", "{", *rows, "}"])
    path.write_text(text + "\n", encoding="utf-8")


def write_face(
    folder: Path,
    stem: str,
    landmarks: np.ndarray | None = None,
    image: np.ndarray | None = None,
    suffix: str = ".png",
) -> None:
    """Write an image, grey unless given, and its .pts file."""
    folder.mkdir(parents=True, exist_ok=True)
    if image is None:
        image = np.full((60, 80, 3), 128, dtype=np.uint8)
    if landmarks is None:
        landmarks = landmarks_in(image.shape[1], image.shape[0])
    written, content = cv2.imencode(suffix, image)
    assert written
    (folder / (stem + suffix)).write_bytes(content.tobytes())
    write_pts(folder / f"{stem}.pts", landmarks)


def write_300w(folder: Path, without: tuple[str, ...] = ()) -> Path:
    """Write a face for each of STEMS_300W, some parts left out."""
    for part, stems in STEMS_300W.items():
        if part not in without:
            for stem in stems:
                write_face(folder / part, stem)
    return folder


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
