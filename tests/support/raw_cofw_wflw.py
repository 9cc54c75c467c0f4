"""Small COFW and WFLW sets on disk, as their authors hand them out, for tests that read them."""

from __future__ import annotations

from pathlib import Path

import cv2
import h5py
import numpy as np

from landmark_kd.data.datasets.cofw import COFW
from landmark_kd.data.datasets.wflw import FLAGS, IMAGES, WFLW

Size = tuple[int, int]

# What Matlab writes before the HDF5 content of a file.
USER_BLOCK = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512, b" ")
# Every third of COFW's images is grey.
GREY_EVERY = 3
# Faces of a WFLW photo, which differ in their landmarks only.
FACES_A_PHOTO = 2
# Names as they are found in the set, and worse: blanks and letters beyond ASCII.
PHOTO_NAME = "0--Parade/0_Parade größe  {split} {number}.jpg"


def face_landmarks(points: int, seed: int, size: Size) -> np.ndarray:
    """Return the landmarks (points, 2) of a face in an image of width, height."""
    share = np.random.default_rng(seed).uniform(0.25, 0.75, (points, 2))
    return share * (np.array(size) - 1)


def face_image(seed: int, size: Size) -> np.ndarray:
    """Return noise (H, W, 3) uint8."""
    width, height = size
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def cofw_face(number: int, size: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image (H, W, 3) RGB or (H, W), landmarks, hidden (29,) of a face, counted from 1."""
    image = face_image(number, size)
    grey = number % GREY_EVERY == 0
    hidden = np.random.default_rng(number).random(COFW.points) < 0.3
    landmarks = face_landmarks(COFW.points, number, size)
    return (image[..., 0] if grey else image), landmarks, hidden


def write_cofw(folder: Path, train: int = 6, test: int = 3, size: Size = (80, 60)) -> Path:
    """Write both files with the faces `cofw_face` of 1, 2, …; boxes are those of the landmarks."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, faces, ending in zip(COFW.parts, (train, test), ("Tr", "T"), strict=True):
        with h5py.File(folder / part.folder, "w", userblock_size=len(USER_BLOCK)) as content:
            _write_variables(content, faces, ending, size)
        with (folder / part.folder).open("r+b") as file:
            file.write(USER_BLOCK)
    return folder


def write_wflw(folder: Path, train: int = 6, test: int = 4, size: Size = (80, 60)) -> Path:
    """Write both lists and their images, FACES_A_PHOTO to a photo.

    Face i, counted from 0, has the landmarks `face_landmarks(98, i, size)` and the flag k,
    counted from 1, where i is a multiple of k.
    """
    for part, faces in zip(WFLW.parts, (train, test), strict=True):
        lines = []
        for i in range(faces):
            name = PHOTO_NAME.format(split=part.split, number=i // FACES_A_PHOTO)
            image = folder / IMAGES / name
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(_jpeg(face_image(i // FACES_A_PHOTO, size)))
            lines.append(wflw_line(i, name, size))
        file = folder / part.folder
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def wflw_line(i: int, image: str, size: Size = (80, 60)) -> str:
    """Return the line of face i, counted from 0, in a list."""
    landmarks = face_landmarks(WFLW.points, i, size)
    coordinates = [f"{value:.6f}" for value in landmarks.ravel()]
    box = [str(round(v)) for v in (*landmarks.min(axis=0), *landmarks.max(axis=0))]
    flags = [str(int(i % k == 0)) for k in range(1, len(FLAGS) + 1)]
    return " ".join([*coordinates, *box, *flags, image])


def _write_variables(content: h5py.File, faces: int, ending: str, size: Size) -> None:
    images = content.create_group("#refs#")
    references = content.create_dataset(f"Is{ending}", (1, faces), dtype=h5py.ref_dtype)
    columns, boxes = [], []
    for i in range(faces):
        image, landmarks, hidden = cofw_face(i + 1, size)
        stored = images.create_dataset(f"i{i}", data=image.T, compression="gzip")
        references[0, i] = stored.ref
        columns.append(np.concatenate([landmarks[:, 0] + 1, landmarks[:, 1] + 1, hidden]))
        boxes.append(np.concatenate([landmarks.min(axis=0) + 1, np.ptp(landmarks, axis=0)]))
    content[f"phis{ending}"] = np.stack(columns, axis=1)
    content[f"bboxes{ending}"] = np.stack(boxes, axis=1)


def _jpeg(image: np.ndarray) -> bytes:
    written, content = cv2.imencode(".jpg", image)
    assert written
    return content.tobytes()
