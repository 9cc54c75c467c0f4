"""A custom data set (`data.name=pts`): a folder with annotations and landmark-kd.yaml."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord, Part, Split
from landmark_kd.data.datasets.custom.annotations import Annotations, CustomFace
from landmark_kd.data.datasets.custom.coco import read_coco
from landmark_kd.data.datasets.custom.config import (
    CONFIG_NAME,
    PTS,
    CustomConfig,
    SplitConfig,
    read_custom_config,
)
from landmark_kd.data.datasets.custom.image_names import ImageNames, find_images
from landmark_kd.data.datasets.custom.images import MarkedImage
from landmark_kd.data.datasets.custom.pts_tree import PtsTree, read_pts_tree
from landmark_kd.data.datasets.custom.table import read_table


@dataclass(frozen=True)
class _Placed:
    """A face, its split, and the name of what may not be in two splits."""

    face: CustomFace
    split: Split
    photo: str


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
    placed: Sequence[_Placed]
    absent: Mapping[str, str] = field(default_factory=dict)

    def check(self, folder: Path) -> None:
        """Find nothing wrong: `read_custom_dataset` has refused what would be."""

    def files(self, folder: Path) -> list[Path]:
        names = {one.face.image for one in self.placed if one.face.image} - self.absent.keys()
        images = [folder / self.config.images / name for name in sorted(names)]
        return list(dict.fromkeys([folder / CONFIG_NAME, *self.annotated, *images]))

    def read(self, folder: Path, bad: BadFaces) -> Iterator[FaceRecord]:
        parts = {part.split: part for part in self.parts}
        shared = {name for name, n in Counter(p.face.image for p in self.placed).items() if n > 1}
        number: Counter[str] = Counter()
        first: dict[tuple[str, bytes], str] = {}
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
            yield FaceRecord(
                name=f"{image}#{number[image]}" if image in shared else image,
                image=MarkedImage(
                    folder / self.config.images / image,
                    shown=self.config.orientation == "shown",
                    size=face.size,
                    where=face.where,
                ),
                landmarks=face.marks.landmarks,
                photo=one.photo,
                part=parts[one.split],
                box=face.marks.box,
                occluded=face.marks.occluded,
            )

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
                f"lies in no folder below {folder / self.config.images}"
                if self.config.annotations == PTS
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
    return CustomDataset(
        name=config.name,
        scheme=config.scheme(),
        parts=(Part("train", "train", "train", None), Part("test", "test", config.name, None)),
        boxes=annotations.has_boxes,
        licence=config.licence,
        config=config,
        annotated=(
            annotations.files if isinstance(annotations, PtsTree) else [folder / config.annotations]
        ),
        placed=_placed(faces, config, folder),
        absent=names.absent,
        notes=names.notes,
    )


def choose_test(counts: Mapping[str, int], share: float, seed: int) -> set[str]:
    """Choose groups until they hold a share of all faces: at least one, and never all.

    The order in which groups are taken is that of a hash of seed and name, so that it depends on
    no other group: groups that are added later leave the choice much as it was.

    Args:
        counts: number of faces of each group, two groups or more.
        share: the share of the faces, in (0, 1).
        seed: the choice's; another one gives another choice.
    """
    order = sorted(counts, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    wanted = round(share * sum(counts.values()))
    chosen: set[str] = set()
    faces = 0
    for name in order[:-1]:
        if chosen and faces >= wanted:
            break
        chosen.add(name)
        faces += counts[name]
    return chosen


def _open(config: CustomConfig, folder: Path) -> Annotations:
    """Open the annotations, whichever format they have.

    Raises:
        UserError: something is not there, or is not what its name says.
    """
    images = folder / config.images
    # os.path, unlike Path, says False of a name that is too long for any file, here and below.
    if not os.path.isdir(images):
        raise UserError(f"{images} is not a folder, but images in {folder / CONFIG_NAME} names it.")
    if config.annotations == PTS:
        return read_pts_tree(images)
    path = folder / config.annotations
    if not os.path.isfile(path):
        raise UserError(
            f"{path} is not a file, but annotations in {folder / CONFIG_NAME} names it."
        )
    return read_coco(path) if path.suffix.lower() == ".json" else read_table(path)


def _with_images(
    annotations: Annotations, config: CustomConfig, folder: Path
) -> tuple[list[CustomFace], ImageNames]:
    """Read all faces and find their images.

    Raises:
        UserError: none of the images is there.
    """
    faces = annotations.faces(config.points, config.first_pixel, config.split.column)
    images = folder / config.images
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
    return found, names


def _placed(faces: Sequence[CustomFace], config: CustomConfig, folder: Path) -> list[_Placed]:
    """Tell test faces from training faces.

    Raises:
        UserError: the faces make no two splits.
    """
    if config.split.test is None:
        return _split_as_said(faces, config.split, folder)
    return _split_by_share(faces, config.split, config.split.test, folder)


def _split_as_said(faces: Sequence[CustomFace], split: SplitConfig, folder: Path) -> list[_Placed]:
    """Place faces whose column says train or test."""
    said: dict[str, tuple[str, str]] = {}
    for face in faces:
        if face.group is None:
            continue
        if face.group not in get_args(Split):
            raise UserError(
                f"{face.where}: {split.column} is '{face.group}', but with split.test: null in "
                f"{folder / CONFIG_NAME} it must say train or test."
            )
        other, where = said.setdefault(face.image or "", (face.group, face.where))
        if face.image and other != face.group:
            raise UserError(
                f"{face.where}: is {face.group}, but {where} with the same image "
                f"{face.image} is {other}; an image can be of one split only."
            )
    placed = [
        _Placed(face, "test" if face.group == "test" else "train", face.image or "")
        for face in faces
    ]
    for name in get_args(Split):
        if not any(face.group == name for face in faces):
            raise UserError(f"{folder}: {split.column} says {name} of no face, but both must be.")
    return placed


def _split_by_share(
    faces: Sequence[CustomFace], split: SplitConfig, share: float, folder: Path
) -> list[_Placed]:
    """Place faces by their groups: each image where no column is given."""
    groups = [face.group if split.column else face.image for face in faces]
    merged = _joined_by_images(
        [(g, f.image) for g, f in zip(groups, faces, strict=True) if g and f.image]
    )
    counts = Counter(merged.get(group, group) for group in groups if group)
    if len(counts) < 2:
        what = f"values of {split.column}" if split.column else "images"
        joined = len(set(groups) - {None}) > len(counts)
        together = " once those that share an image are one" if joined else ""
        raise UserError(
            f"{folder} has {len(counts)} {what}{together}, but training and test faces need at "
            f"least one each; set split in {folder / CONFIG_NAME} to another column, or to null "
            "for each image on its own."
        )
    test = choose_test(counts, share, split.seed)
    placed = []
    for group, face in zip(groups, faces, strict=True):
        photo = merged.get(group, group) if group else ""
        placed.append(_Placed(face, "test" if photo in test else "train", photo))
    return placed


def _joined_by_images(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return for each group the first name, in order, of those it is joined with.

    Groups with faces in one image cannot be in different splits: the image would be in both.

    Args:
        pairs: (group, image) of each face.
    """
    groups = {name: i for i, name in enumerate(sorted({group for group, _ in pairs}))}
    images = {name: i for i, name in enumerate(sorted({image for _, image in pairs}))}
    rows = [groups[group] for group, _ in pairs]
    columns = [len(groups) + images[image] for _, image in pairs]
    size = len(groups) + len(images)
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    for name, i in groups.items():
        first.setdefault(int(label[i]), name)
    return {name: first[int(label[i])] for name, i in groups.items()}
