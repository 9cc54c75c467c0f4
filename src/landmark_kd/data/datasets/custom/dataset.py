"""A custom data set (`data.name=pts`): a folder with annotations and landmark-kd.yaml."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.core.names import absence
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord, Part
from landmark_kd.data.datasets.custom.annotations import Annotations, CustomFace, folder_of
from landmark_kd.data.datasets.custom.config import (
    CONFIG_NAME,
    FOLDER_COLUMN,
    LABELME,
    PTS,
    CustomConfig,
    read_custom_config,
)
from landmark_kd.data.datasets.custom.image_names import ImageNames, find_images
from landmark_kd.data.datasets.custom.images import MarkedImage
from landmark_kd.data.datasets.custom.labelme import Labelme, read_labelme
from landmark_kd.data.datasets.custom.pts_tree import PtsTree, read_pts_tree
from landmark_kd.data.datasets.custom.several import (
    AnnotationsFile,
    SeveralFiles,
    read_annotations,
)
from landmark_kd.data.datasets.custom.split import PlacedFace, place
from landmark_kd.data.datasets.custom.units import check_units


@dataclass(frozen=True, kw_only=True)
class CustomDataset(Dataset):
    """A custom set with what the files in its folder say, which are read once.

    Attributes:
        config: landmark-kd.yaml.
        annotated: the files of annotations; of a folder of .pts files also its images.
        placed: their faces, good and bad; images that are there have the names of their files.
        absent: the names of images that are not there, and why, in words that follow the name.
    """

    config: CustomConfig
    annotated: Sequence[Path]
    placed: Sequence[PlacedFace]
    absent: Mapping[str, str] = field(default_factory=dict)

    def check(self, folder: Path) -> None:
        """Find nothing wrong: `read_custom_dataset` has refused what would be."""

    def files(self, folder: Path) -> list[Path]:
        names = {one.face.image for one in self.placed if one.face.image} - self.absent.keys()
        images = [folder / self.config.images_root / name for name in sorted(names)]
        return list(dict.fromkeys([folder / CONFIG_NAME, *self.annotated, *images]))

    def read(self, folder: Path, bad: BadFaces) -> Iterator[FaceRecord]:
        parts = {part.split: part for part in self.parts}
        shared = {name for name, n in Counter(p.face.image for p in self.placed).items() if n > 1}
        number: Counter[str] = Counter()
        first: dict[tuple[str, bytes], str] = {}
        good = []
        for one in self.placed:
            face = one.face
            try:
                image = self._checked_image(face, folder)
                number[image] += 1
                if isinstance(face.marks, UserError):
                    raise face.marks
                seen_in = first.setdefault((image, face.marks.landmarks.tobytes()), face.where)
                if seen_in != face.where:
                    raise UserError(
                        f"{face.where}: repeats {seen_in}, with the same image {image} and the "
                        "same landmarks."
                    )
            except UserError as error:
                bad.add(parts[one.split], error)
                continue
            record = FaceRecord(
                name=f"{image}#{number[image]}" if image in shared else image,
                image=MarkedImage(
                    folder / self.config.images_root / image,
                    shown=self.config.orientation == "shown",
                    size=face.size,
                    where=face.where,
                ),
                landmarks=face.marks.landmarks,
                photo=one.photo,
                part=parts[one.split],
                validation=one.use == "validation",
                box=face.marks.box,
                occluded=face.marks.occluded,
                where=face.where,
                first_pixel=self.config.first_pixel,
            )
            good.append(record)
            yield record
        check_units(good)

    def _checked_image(self, face: CustomFace, folder: Path) -> str:
        """Return the name of a face's image, if that is on disk and the face has a split.

        Raises:
            UserError: the image is not there, the face has no split, or nothing of it can be read.
        """
        if face.image is None:
            assert isinstance(face.marks, UserError)
            raise face.marks
        if reason := self.absent.get(face.image):
            raise UserError(f"{face.where}: the image {face.image} {reason}.")
        if self.config.split.column and face.group is None:
            state = (
                f"lies in no such folder below {folder / self.config.images_root}"
                if FOLDER_COLUMN.fullmatch(self.config.split.column)
                else f"has no value of {self.config.split.column}"
            )
            raise UserError(f"{face.where}: {state}, by which split.column tells test faces.")
        return face.image


def read_custom_dataset(folder: Path) -> CustomDataset:
    """Read landmark-kd.yaml in a folder and the annotations that it names.

    Raises:
        UserError: they are missing or wrong, or their faces cannot be split; one sentence with
            file and place.
    """
    config = read_custom_config(folder)
    annotations = _open(config, folder)
    faces, names = _with_images(annotations, config, folder)
    placed = place(faces, config.split, str(folder / CONFIG_NAME))
    return CustomDataset(
        name=config.name,
        scheme=config.scheme(),
        parts=(Part("train", "train", "train", None), Part("test", "test", config.name, None)),
        boxes=annotations.has_boxes,
        licence=config.licence,
        own_validation=any(one.use == "validation" for one in placed),
        config=config,
        annotated=(
            annotations.files
            if isinstance(annotations, PtsTree | Labelme)
            else [folder / file for file in config.files]
        ),
        placed=placed,
        absent=names.absent,
        notes=(*(annotations.notes if isinstance(annotations, PtsTree) else ()), *names.notes),
    )


def _open(config: CustomConfig, folder: Path) -> Annotations:
    """Open the annotations, whichever format they have.

    Raises:
        UserError: something is not there, or is not what its name says.
    """
    root = folder / config.images_root
    for images in (root / within for within in config.images_of_files):
        # os.path, unlike Path, says False of a name that is too long for any file, here and below.
        if not os.path.isdir(images):
            raise UserError(
                f"{images} {absence(images, 'is not a folder')}; images in {folder / CONFIG_NAME} "
                "names it."
            )
    if config.annotations == PTS:
        return read_pts_tree(root)
    if config.annotations == LABELME:
        return read_labelme(root, config.names)
    opened = []
    for name, within in zip(config.files, config.images_of_files, strict=True):
        path = folder / name
        if not os.path.isfile(path):
            raise UserError(
                f"{path} {absence(path, 'is not a file')}; annotations in {folder / CONFIG_NAME} "
                "names it."
            )
        opened.append(AnnotationsFile(name, within, read_annotations(path)))
    return opened[0].content if isinstance(config.annotations, str) else SeveralFiles(opened)


def _with_images(
    annotations: Annotations, config: CustomConfig, folder: Path
) -> tuple[list[CustomFace], ImageNames]:
    """Read all faces and find their images.

    Raises:
        UserError: none of the images is there.
    """
    faces = annotations.faces(
        config.points, config.first_pixel, config.split.column, config.missing_words
    )
    faces = [_without_stand_ins(face, config) for face in faces]
    images = folder / config.images_root
    names = find_images(images, (face.image for face in faces if face.image))
    if names.absent and not names.files:
        name, reason = next(iter(names.absent.items()))
        raise UserError(
            f"{images} holds none of the {len(names.absent)} images that the annotations name: "
            f"{name}, for one, {reason}; set images in {folder / CONFIG_NAME} to the folder that "
            "the names are relative to."
        )
    found = [
        replace(face, image=names.files.get(face.image, face.image)) if face.image else face
        for face in faces
    ]
    column = config.split.column
    if column and column not in annotations.columns() and FOLDER_COLUMN.fullmatch(column):
        found = [replace(face, group=face.group or folder_of(face.image, column)) for face in found]
    return found, names


def _without_stand_ins(face: CustomFace, config: CustomConfig) -> CustomFace:
    """Return a face whose landmarks at declared coordinates are missing."""
    if not config.missing_points or isinstance(face.marks, UserError):
        return face
    stand_ins = np.array(config.missing_points, dtype=np.float64) - config.first_pixel
    landmarks = face.marks.landmarks
    there = ~(landmarks[:, None] == stand_ins).all(axis=2).any(axis=1)
    masked = np.where(there[:, None], landmarks, np.nan)
    return replace(face, marks=replace(face.marks, landmarks=masked))
