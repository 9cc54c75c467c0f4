"""Faces without landmarks, for which a student has the teachers' word alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from landmark_kd.config.paths import DISAGREEMENT_FILE, TEACHERS, UNLABELLED_FILE
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import check_finite, load_array
from landmark_kd.faces.prepared import Faces, landmarks_file


def load_unlabelled(faces: Faces, predictions: Path, keep: float) -> tuple[Faces, np.ndarray]:
    """Return the unlabelled faces to learn from, and what the teachers say of them.

    Args:
        faces: N prepared unlabelled faces, which may be none.
        predictions: folder of the stage teacher_predictions.
        keep: share of the faces that is kept, in (0, 1]: those on which the teachers disagree
            least with what they say of the mirror image. One face at least is kept.

    Returns:
        n kept faces in their order, their images still on disk; and (n, 2, K, 2), the points of
        the tough and of the tolerant teacher, network coordinates.

    Raises:
        UserError: the predictions are missing, damaged or were made for other faces.
    """
    points = [
        landmarks_file(predictions / UNLABELLED_FILE.format(teacher=teacher), faces)
        for teacher in TEACHERS
    ]
    path = predictions / DISAGREEMENT_FILE
    disagreement = load_array(path)
    if disagreement.shape != (len(faces),):
        raise UserError(
            f"{path} holds {disagreement.shape} numbers, but there are {len(faces)} unlabelled "
            "faces; run `dvc repro` to make it again."
        )
    check_finite(path, disagreement)
    count = min(len(faces), max(1, round(keep * len(faces))))
    rows = np.sort(np.argsort(disagreement, kind="stable")[:count])
    return _chosen(faces, rows), np.stack(points, axis=1)[rows]


def join_faces(train: Faces, unlabelled: Faces) -> Faces:
    """Return the train faces, and after them the unlabelled ones, as faces to train on.

    The images stay where they are. `labelled` tells the two apart; the unlabelled faces have NaN
    as landmarks and are never used for validation.

    Args:
        train: N faces with landmarks.
        unlabelled: M faces without, in crops of the same size and border; if there are none,
            `train` comes back as it is.

    Raises:
        UserError: the crops are of another size or border, or landmarks of another scheme.
    """
    if not len(unlabelled):
        return train
    forms = [(f.info.crop_size, f.info.border, f.info.points) for f in (train, unlabelled)]
    if forms[0] != forms[1]:
        raise UserError(
            f"the unlabelled faces' crop size, border and number of landmarks are {forms[1]}, but "
            f"the train faces' {forms[0]}; run `dvc repro` to prepare both alike."
        )
    images = ImageRows([(f.images, np.arange(len(f))) for f in (train, unlabelled)])
    occluded = train.occluded
    if occluded is not None:
        occluded = np.concatenate([occluded, np.zeros((len(unlabelled), train.info.points), bool)])
    return Faces(
        # Rows are all that anybody takes of the images.
        images=cast(np.ndarray, images),
        landmarks=np.concatenate([train.landmarks, np.full_like(unlabelled.landmarks, np.nan)]),
        crop_to_image=np.concatenate([train.crop_to_image, unlabelled.crop_to_image]),
        table=pd.concat(
            [train.table, unlabelled.table.assign(validation=False)], ignore_index=True
        ),
        info=train.info,
        occluded=occluded,
        labelled=np.arange(len(train) + len(unlabelled)) < len(train),
    )


def _chosen(faces: Faces, rows: np.ndarray) -> Faces:
    if len(rows) == len(faces):
        return faces
    return replace(
        faces,
        images=cast(np.ndarray, ImageRows([(faces.images, rows)])),
        landmarks=faces.landmarks[rows],
        crop_to_image=faces.crop_to_image[rows],
        table=faces.table.iloc[rows].reset_index(drop=True),
        labelled=np.zeros(len(rows), bool),
    )


class ImageRows:
    """What the project needs of an array (N, S, S, 3), made of rows of others that stay on disk.

    It has `shape`, `dtype`, `ndim` and `len()`. The first axis takes an integer, a slice or
    integers; what follows is passed on to the arrays. What comes back is a numpy array, of one
    image that the array it lies in would give.

    Args:
        parts: an array (n, S, S, 3) and the rows of it that are taken, in the order that they are
            to have. All arrays have the same images' size and the same type.
    """

    def __init__(self, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        self._arrays = [array for array, _ in parts]
        self._part = np.concatenate([np.full(len(rows), i) for i, (_, rows) in enumerate(parts)])
        self._row = np.concatenate([np.asarray(rows, dtype=np.intp) for _, rows in parts])
        first = self._arrays[0]
        if any((a.shape[1:], a.dtype) != (first.shape[1:], first.dtype) for a in self._arrays):
            forms = " and ".join(f"{a.dtype} {a.shape}" for a in self._arrays)
            raise ValueError(f"images of one form are needed, but the arrays are {forms}")
        self.shape: tuple[int, ...] = (len(self._row), *first.shape[1:])
        self.dtype = first.dtype
        self.ndim = first.ndim

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, index: Any) -> np.ndarray:
        rows, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        if isinstance(rows, int | np.integer):
            return self._arrays[self._part[rows]][(self._row[rows], *rest)]
        chosen = np.arange(len(self))[rows]
        # Of no row, to know what form the rest of the index gives.
        form = self._arrays[0][(slice(0, 0), *rest)].shape[1:]
        found = np.empty((len(chosen), *form), self.dtype)
        for number, array in enumerate(self._arrays):
            here = self._part[chosen] == number
            found[here] = array[(self._row[chosen[here]], *rest)]
        return found
