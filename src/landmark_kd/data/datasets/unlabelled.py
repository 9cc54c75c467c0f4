"""Images of faces without trusted landmarks: the files, and the faces that they show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from landmark_kd.config.params import UnlabelledBox
from landmark_kd.config.paths import UNLABELLED
from landmark_kd.core.errors import UserError
from landmark_kd.core.names import absence, check_names
from landmark_kd.data.datasets.base import BadFaces, FaceRecord, Part
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.imaging.images import IMAGE_SUFFIXES, ImageFile
from landmark_kd.landmarks.scheme import LandmarkScheme, convert

_PART = Part(UNLABELLED, "train", UNLABELLED, None)


def unlabelled_files(folder: Path, box: UnlabelledBox) -> list[Path]:
    """Return the files that are needed of a folder with unlabelled faces.

    Args:
        box: detector: all images in the folder and in those within it. landmarks: the files of
            the data set that the folder holds.

    Raises:
        UserError: the folder is not there, has no images, or is not a data set where it has to
            be one.
    """
    if box == "landmarks":
        _, dataset = recognised(folder)
        return dataset.files(folder)
    if not folder.is_dir():
        raise UserError(
            f"unlabelled.path is {folder}, which {absence(folder, 'is not a folder')}; give one "
            "with face images."
        )
    files = list(_images_in(folder))
    if not files:
        raise UserError(
            f"unlabelled.path is {folder}, but it holds no images "
            f"({', '.join(IMAGE_SUFFIXES)}); give a folder that does or, for a data set that "
            "keeps them otherwise, take landmarks as unlabelled.box."
        )
    return files


def unlabelled_records(
    folder: Path, box: UnlabelledBox, scheme: LandmarkScheme, bad: BadFaces
) -> list[FaceRecord]:
    """Return the unlabelled faces of a folder.

    Args:
        box: detector: one face for each image, its landmarks NaN until a detector has found it.
            landmarks: the train faces of a data set, whose landmarks are there to tell the box
            and for nothing else; its test faces stay unseen, for other runs to be measured on.
        scheme: the scheme that a network is to learn. Landmarks of another one are turned into
            it, so that their box encloses as much of a face.

    Raises:
        UserError: the data set's landmarks cannot be turned into the scheme.
    """
    if box == "detector":
        return [_face_in(file, folder, scheme) for file in _images_in(folder)]
    _, dataset = recognised(folder)
    records = [r for r in dataset.read(folder, bad) if r.split == "train"]

    def as_learnt(landmarks: np.ndarray) -> np.ndarray:
        if dataset.points == scheme.points:
            return landmarks
        return convert(landmarks, dataset.scheme, scheme)

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


def _face_in(file: Path, folder: Path, scheme: LandmarkScheme) -> FaceRecord:
    name = file.relative_to(folder).as_posix()
    nowhere = np.full((scheme.points, 2), np.nan)
    image = ImageFile(file, shown=True)
    return FaceRecord(name, image, nowhere, photo=name, part=_PART)


def _images_in(folder: Path) -> Iterator[Path]:
    """Yield the images in a folder and in all folders within it, sorted, hidden ones left out.

    Raises:
        UserError: one has a name that DVC cannot hold, or is a link that leads nowhere.
    """
    for path in sorted(folder.rglob("*")):
        hidden = any(name.startswith(".") for name in path.relative_to(folder).parts)
        if hidden or path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if path.is_symlink() and not path.exists():
            raise UserError(f"{path} {absence(path)}; remove the link or bring the image back.")
        if path.is_file():
            check_names(folder, [path])
            yield path
