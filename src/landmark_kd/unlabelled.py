"""Faces without landmarks, for which a student has the teachers' word alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from landmark_kd.errors import UserError
from landmark_kd.faces import Faces, check_finite, load_array
from landmark_kd.picture_rows import PictureRows
from landmark_kd.teachers import (
    DISAGREEMENT_FILE,
    TEACHERS,
    UNLABELLED_FILE,
    landmarks_file,
)


def load_unlabelled(faces: Faces, predictions: Path, keep: float) -> tuple[Faces, np.ndarray]:
    """Return the unlabelled faces to learn from, and what the teachers say of them.

    Args:
        faces: N prepared unlabelled faces, which may be none.
        predictions: folder of the stage teacher_predictions.
        keep: share of the faces that is kept, in (0, 1]: those on which the teachers disagree
            least with what they say of the mirror image. One face at least is kept.

    Returns:
        n kept faces in their order, their pictures still on disk; and (n, 2, K, 2), the points of
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

    The pictures stay where they are. `labelled` tells the two apart; the unlabelled faces have NaN
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
    images = PictureRows([(f.images, np.arange(len(f))) for f in (train, unlabelled)])
    occluded = train.occluded
    if occluded is not None:
        occluded = np.concatenate([occluded, np.zeros((len(unlabelled), train.info.points), bool)])
    return Faces(
        # Rows are all that anybody takes of the pictures.
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
        images=cast(np.ndarray, PictureRows([(faces.images, rows)])),
        landmarks=faces.landmarks[rows],
        crop_to_image=faces.crop_to_image[rows],
        table=faces.table.iloc[rows].reset_index(drop=True),
        labelled=np.zeros(len(rows), bool),
    )
