"""Prepared faces on disk: one large array of images, one of landmarks, one table.

`prepare` writes a folder for the train faces and one for the test faces; every later stage reads
them memory-mapped, so a run's memory does not grow with the number of faces.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landmark_kd.config.paths import UNLABELLED
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import (
    check_finite,
    damaged,
    load_array,
    read_json,
    save_array,
    write_json,
)
from landmark_kd.faces.info import FacesInfo
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.missing import present, sound

COLUMNS = ["name", "photo", "subsets", "validation"]
# Between the subsets of a face.
SEPARATOR = "|"
OCCLUDED_FILE = "occluded.npy"
# Names the folder beside it that has the same faces.
SAME_FILE = "same_as.json"
# Before the name of a folder: the same faces in the size that the teachers see.
TEACHER_PREFIX = "teacher_"


@dataclass(frozen=True)
class Faces:
    """N prepared faces.

    Attributes:
        images: (N, S, S, 3) uint8 RGB, S = info.stored_size; memory-mapped.
        landmarks: (N, K, 2) float64, pixels of the original image; NaN where missing, see
            `landmarks.missing`.
        crop_to_image: (N, 2, 3) float64, from crop pixels (not stored pixels) to the image's.
        table: a row a face: name, photo (faces of one photo share it), subsets (joined by |),
            validation.
        info: what holds for all.
        occluded: (N, K) bool where the data set marks hidden landmarks, else None.
        labelled: (N,) bool where some faces have no landmarks at all and are only to be trained
            on, else None: all have some.
    """

    images: np.ndarray
    landmarks: np.ndarray
    crop_to_image: np.ndarray
    table: pd.DataFrame
    info: FacesInfo
    occluded: np.ndarray | None = None
    labelled: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.landmarks)

    def crop_landmarks(self) -> np.ndarray:
        """Hard-landmarks (N, K, 2) in the networks' coordinates, [-0.5, 0.5] of the crop."""
        in_crop = geometry.apply(geometry.invert(self.crop_to_image), self.landmarks)
        return geometry.to_network(in_crop, self.info.crop_size)

    def to_image(self, network_points: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Network coordinates (n, K, 2) of the faces `rows` to pixels of their own images.

        Args:
            rows: (n,) indices of the faces; all N by default.
        """
        matrices = self.crop_to_image if rows is None else self.crop_to_image[rows]
        return geometry.apply(matrices, geometry.from_network(network_points, self.info.crop_size))

    def crop_sides(self) -> np.ndarray:
        """Sides (N,) of the crops, in pixels of their own images."""
        return self.info.crop_size * geometry.scale(self.crop_to_image)

    def crops(self, rows: np.ndarray | slice) -> np.ndarray:
        """The networks' un-augmented crops (n, size, size, 3) uint8 RGB of some faces."""
        inner = slice(self.info.border, self.info.border + self.info.crop_size)
        return np.asarray(self.images[rows, inner, inner])

    def train_rows(self) -> np.ndarray:
        """Indices of the faces to train on."""
        return np.flatnonzero(~self.table["validation"].to_numpy())

    def validation_rows(self) -> np.ndarray:
        """Indices of the faces held out of training."""
        return np.flatnonzero(self.table["validation"].to_numpy())

    def subset_rows(self) -> dict[str, np.ndarray]:
        """Indices by subset, in the order of the data set; a face may be in several."""
        of_face = self.table["subsets"].str.split(SEPARATOR)
        names = dict.fromkeys(name for subsets in of_face for name in subsets)
        # published counts are in the data set's order
        ordered = dict.fromkeys([*(n for n in self.info.published if n in names), *names])
        return {name: np.flatnonzero([name in subsets for subsets in of_face]) for name in ordered}


def save_faces(
    folder: Path,
    landmarks: np.ndarray,
    crop_to_image: np.ndarray,
    table: pd.DataFrame,
    info: FacesInfo,
    *,
    occluded: np.ndarray | None = None,
) -> None:
    """Write all but the images, which `prepare` streams into `folder/images.npy`."""
    save_array(folder / "landmarks.npy", landmarks.astype(np.float64))
    save_array(folder / "crop_to_image.npy", crop_to_image.astype(np.float64))
    table[COLUMNS].to_csv(folder / "faces.csv", index=False)
    if occluded is not None:
        save_array(folder / OCCLUDED_FILE, occluded.astype(bool))
    write_json(folder / "info.json", info.to_json())


def save_same_faces(folder: Path, name: str, other: Path) -> None:
    """Let `folder` hold the faces of the folder `name` that will lie beside it.

    The hash of these is written with it, so that whatever depends on `folder` sees them change.

    Args:
        other: where the faces lie now.
    """
    total = hashlib.sha256()
    for path in sorted(other.iterdir()):
        with path.open("rb") as file:
            total.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    write_json(folder / SAME_FILE, {"folder": name, "sha256": total.hexdigest()})


def load_faces(folder: Path) -> Faces:
    """Open a folder that `prepare` wrote; the images stay on disk.

    Raises:
        UserError: a file is missing, truncated or does not fit the others.
    """
    if not (folder / SAME_FILE).exists():
        return _load_folder(folder)
    content = read_json(folder / SAME_FILE)
    name = content.get("folder") if isinstance(content, dict) else None
    if not isinstance(name, str) or name in ("", "..") or Path(name).name != name:
        raise damaged(folder / SAME_FILE, f"it names no folder beside {folder}")
    return _load_folder(folder.parent / name)


def _load_folder(folder: Path) -> Faces:
    try:
        info = FacesInfo.from_json(read_json(folder / "info.json"))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise damaged(folder / "info.json", error) from None
    images = load_array(folder / "images.npy")
    landmarks = load_array(folder / "landmarks.npy")
    crop_to_image = load_array(folder / "crop_to_image.npy")
    try:
        types = {"name": str, "photo": str, "subsets": str, "validation": bool}
        table = pd.read_csv(folder / "faces.csv", dtype=types, keep_default_na=False)
    except (FileNotFoundError, ValueError) as error:
        raise damaged(folder / "faces.csv", error) from None
    n, side = len(landmarks), info.stored_size
    expected: list[tuple[str, Any, Any]] = [
        ("images.npy", _form(images), f"uint8 {(n, side, side, 3)}"),
        ("landmarks.npy", _form(landmarks), f"float64 {(n, info.points, 2)}"),
        ("crop_to_image.npy", _form(crop_to_image), f"float64 {(n, 2, 3)}"),
        ("faces.csv", (len(table), list(table.columns)), (n, COLUMNS)),
    ]
    occluded = None
    if (folder / OCCLUDED_FILE).exists():
        occluded = np.array(load_array(folder / OCCLUDED_FILE))
        expected.append((OCCLUDED_FILE, _form(occluded), f"bool {(n, info.points)}"))
    for name, found, wanted in expected:
        if found != wanted:
            raise damaged(folder / name, f"found {found}, expected {wanted}")
    check_finite(folder / "crop_to_image.npy", crop_to_image)
    labelled = None
    # Elsewhere missing landmarks are damage; and a person may call a custom data set so, too.
    if n and info.dataset == UNLABELLED and np.isnan(landmarks).all():
        labelled = np.zeros(n, bool)
    else:
        _check_landmarks(folder / "landmarks.npy", landmarks, info.missing_landmarks)
    return Faces(
        images, np.array(landmarks), np.array(crop_to_image), table, info, occluded, labelled
    )


def _form(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"


def _check_landmarks(path: Path, landmarks: np.ndarray, missing: int) -> None:
    """Check that landmarks are finite but for so many that are missing.

    Raises:
        UserError: they are not.
    """
    found = landmarks.size // 2 - int(present(landmarks).sum())
    if not sound(landmarks).all() or found != missing:
        raise damaged(
            path,
            "it has numbers that are not finite"
            if not missing
            else f"{found} landmarks are not there, but {missing} should be",
        )


def landmarks_file(path: Path, faces: Faces, *, as_missing: bool = False) -> np.ndarray:
    """Load landmarks (N, K, 2) that an earlier stage made for all of `faces`.

    Args:
        as_missing: those that are missing of the faces are missing there, too.

    Raises:
        UserError: they are missing, damaged or were made for other faces.
    """
    landmarks = np.array(load_array(path))
    if landmarks.shape != faces.landmarks.shape:
        raise UserError(
            f"{path} holds {landmarks.shape} numbers, but the faces need "
            f"{faces.landmarks.shape}; run `dvc repro` to make it again."
        )
    expected = np.ones(landmarks.shape, dtype=bool)
    if as_missing:
        expected &= present(faces.landmarks)[..., None]
    if not np.array_equal(np.isfinite(landmarks), expected):
        raise damaged(path, "it has numbers that are not finite")
    return landmarks
