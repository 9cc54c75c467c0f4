"""Pictures of faces without trusted landmarks: the files, and the faces that they show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from landmark_kd.config.params import UnlabelledBox
from landmark_kd.config.paths import UNLABELLED
from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord, Part
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.imaging.images import PICTURE_SUFFIXES, PictureFile
from landmark_kd.landmarks.scheme import Topology, convert

_PART = Part(UNLABELLED, "train", UNLABELLED, None)


def unlabelled_files(folder: Path, box: UnlabelledBox) -> list[Path]:
    """Return the files that are needed of a folder with unlabelled faces.

    Args:
        box: detector: all pictures in it and in its folders. landmarks: a data set's own files.

    Raises:
        UserError: it is not there, has no pictures, or is no data set where it has to be one.
    """
    if box == "landmarks":
        _, dataset = recognised(folder)
        return list(dataset.layout.files(dataset, folder))
    if not folder.is_dir():
        raise UserError(
            f"unlabelled.path is {folder}, which is no folder; give one with face pictures."
        )
    files = list(_pictures_in(folder))
    if not files:
        raise UserError(
            f"unlabelled.path is {folder}, but it holds no pictures "
            f"({', '.join(PICTURE_SUFFIXES)}); give a folder that does or, for a data set that "
            "keeps them otherwise, take landmarks as unlabelled.box."
        )
    return files


def unlabelled_records(
    folder: Path, box: UnlabelledBox, topology: Topology, bad: BadFaces
) -> list[FaceRecord]:
    """Return the unlabelled faces of a folder.

    Args:
        box: detector: a face a picture, whose landmarks are NaN until a detector has found it.
            landmarks: the train faces of a data set, whose landmarks are there to tell the box
            and for nothing else; its test faces stay unseen, for other runs to be measured on.
        topology: the scheme that a network is to learn. Landmarks of another one are turned into
            it, so that their box encloses as much of a face.

    Raises:
        UserError: the data set's landmarks cannot be turned into the scheme.
    """
    if box == "detector":
        return [_face_in(file, folder, topology) for file in _pictures_in(folder)]
    _, dataset = recognised(folder)
    records = [r for r in dataset.layout.read(dataset, folder, bad) if r.split == "train"]

    def as_learnt(landmarks: np.ndarray) -> np.ndarray:
        if dataset.points == topology.points:
            return landmarks
        return convert(landmarks, dataset.topology, topology)

    try:
        return [
            replace(r, landmarks=as_learnt(r.landmarks), part=_PART, box=None, occluded=None)
            for r in records
        ]
    except UserError as error:
        raise UserError(
            f"unlabelled.box is landmarks, but {str(error).removesuffix('.')}, so their boxes are "
            "not those of this data set; take detector as unlabelled.box."
        ) from None


def _face_in(file: Path, folder: Path, topology: Topology) -> FaceRecord:
    name = file.relative_to(folder).as_posix()
    nowhere = np.full((topology.points, 2), np.nan)
    return FaceRecord(name, PictureFile(file), nowhere, photo=name, part=_PART)


def _pictures_in(folder: Path) -> Iterator[Path]:
    """Yield the pictures in a folder and in all folders within it, sorted, hidden ones left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(name.startswith(".") for name in path.relative_to(folder).parts)
        if path.suffix.lower() in PICTURE_SUFFIXES and not hidden and path.is_file():
            yield path
