"""What every reader owes to whatever stands in a file: sound faces, or one clear sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import LONGEST_SENTENCE, UserError
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord, check_landmarks
from landmark_kd.imaging.crops import sample
from landmark_kd.landmarks import geometry


def check_sentence(error: object) -> None:
    sentence = str(error)
    assert sentence.isprintable()
    assert len(sentence) <= LONGEST_SENTENCE


def check_reading(dataset: Dataset, folder: Path) -> None:
    """Read a set as `fetch`, `prepare` and `data check` do; UserError where it is refused."""
    bad = BadFaces("skip")
    records = list(dataset.read(folder, bad))
    for record in records:
        _check_record(record, dataset)
    for _, sentence in bad.left_out:
        check_sentence(sentence)
    for file in dataset.files(folder):
        assert file.is_file()
        assert file.resolve().is_relative_to(folder.resolve())
    if bad.left_out:
        with pytest.raises(UserError):
            list(dataset.read(folder, BadFaces("error")))


def _check_record(record: FaceRecord, dataset: Dataset) -> None:
    assert record.landmarks.shape == (dataset.points, 2)
    assert record.landmarks.dtype == np.float64
    assert np.isfinite(record.landmarks).all()
    record.photo.encode(), record.name.encode()
    try:
        image = record.image.read()
        height, width = image.shape[:2]
        check_landmarks(record, dataset.scheme, width=width, height=height)
    except UserError as error:
        check_sentence(error)
        return
    for box in (geometry.landmarks_box(record.landmarks), record.box):
        if box is not None:
            crop = sample(image, geometry.square_crop(box, 0.25, 32), 32)
            assert crop.shape == (32, 32, 3)


def refused_or_sound(read: Callable[[], object]) -> None:
    try:
        read()
    except UserError as error:
        check_sentence(error)
