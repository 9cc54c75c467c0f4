"""Cuts unlabelled faces into crops like those of the labelled ones."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from landmark_kd.config.params import UnlabelledBox
from landmark_kd.config.paths import UNLABELLED
from landmark_kd.core.errors import UserError
from landmark_kd.core.parallel import threaded_map
from landmark_kd.data.datasets.base import BadFaces, FaceRecord, Part, rows_by_image
from landmark_kd.data.datasets.unlabelled import unlabelled_records
from landmark_kd.data.preparation.cropping import CroppedFace, Cropper, crop_face
from landmark_kd.data.preparation.detected import DetectedBoxes
from landmark_kd.data.preparation.writer import FacesWriter
from landmark_kd.faces.info import FacesInfo
from landmark_kd.faces.prepared import COLUMNS
from landmark_kd.imaging.images import Image, ImageFile, exif_orientation, read_image

CutRecords = Callable[[Sequence[FaceRecord]], list[CroppedFace | tuple[Part, UserError]]]


class NoFaceError(UserError):
    """The detector finds no face in an image."""


class LabelledImageError(UserError):
    """An image is one of those that have landmarks."""


# What is left out for no fault of its own, in words; all else is told one by one.
_REASONS: dict[type[UserError], str] = {
    NoFaceError: "images in which the detector found no face",
    LabelledImageError: "faces of images that the data set itself has, for training or tests",
}


def prepare_unlabelled(
    writer: FacesWriter,
    folder: Path,
    like: FacesInfo,
    labelled: Sequence[FaceRecord],
    detected: DetectedBoxes,
    *,
    box: UnlabelledBox,
    limit: int | None,
    seed: int,
) -> None:
    """Write the faces of a folder, which have no landmarks: all theirs are NaN.

    What cannot be read, shows no face or has the same pixels as a labelled image is left out,
    and how many these are is said.

    Args:
        folder: that `fetch` left; where there is none, there are no faces.
        like: what holds for the train faces.
        labelled: all faces that have landmarks, test faces too.
        detected: the boxes of `crop.detector`.
        box: detector (the highest-scoring face of each image) or landmarks, see
            `unlabelled_records`.
        limit: so many faces at most, chosen by `seed`, or None; more have the same and others.

    Raises:
        UserError: there are images, but no face is left.
    """
    bad = BadFaces("skip")
    there = folder.is_dir()
    records = unlabelled_records(folder, box, like.scheme, bad) if there else []
    images = rows_by_image(records)
    if limit is not None:
        order = np.random.default_rng(seed).permutation(len(images))
        images = [images[i] for i in order]
    known = _hashes(labelled) if there else frozenset()
    hide = [replace(r, image=_UnlabelledImage(r.image, known)) for r in records]
    kept: list[FaceRecord] = []
    left_out: Counter[type[UserError]] = Counter()
    cutter = _cropper(writer, like, box, detected)
    with (
        writer.images() as append,
        closing(threaded_map(cutter, ([hide[row] for row in p] for p in images))) as cut,
    ):
        for faces in cut:
            for face in faces:
                if isinstance(face, CroppedFace):
                    if len(kept) != limit:
                        append(face.crops)
                        kept.append(face.record)
                elif type(face[1]) in _REASONS:
                    left_out[type(face[1])] += 1
                else:
                    bad.add(*face)
            if len(kept) == limit:
                break
    missing = [f"{left_out[kind]} {why}" for kind, why in _REASONS.items() if left_out[kind]]
    if bad.left_out:
        missing.append(f"{len(bad.left_out)} bad faces, the first because {bad.left_out[0][1]}")
    if there and not kept:
        why = "; ".join(missing).removesuffix(".") or "it has no train faces"
        raise UserError(f"unlabelled.path has no face to learn from: {why}.")
    table = pd.DataFrame([(r.name, r.photo, UNLABELLED, False) for r in kept], columns=COLUMNS)
    info = replace(
        like, dataset=UNLABELLED, licence="", published={}, missing=missing, missing_landmarks=0
    )
    writer.all_else(np.full((len(kept), like.points, 2), np.nan), table, info)
    if there:
        print(f"{UNLABELLED}: {len(kept)} faces of {len(images)} images, without landmarks")
        for sentence in missing:
            print(f"  left out: {sentence}")


@dataclass(frozen=True)
class _UnlabelledImage:
    """An image that is not read where it has landmarks elsewhere."""

    image: Image
    labelled: frozenset[bytes]

    def read(self) -> np.ndarray:
        image = self.image.read()
        if any(_hash(view) in self.labelled for view in _views(self.image, image)):
            raise LabelledImageError(f"{self.image} is an image of the data set.")
        return image

    def __str__(self) -> str:
        return str(self.image)


@dataclass(frozen=True)
class _FaceFinder:
    """Cuts the highest-scoring face of an image, as a detector finds it."""

    cropper: Cropper

    def __call__(self, records: Sequence[FaceRecord]) -> list[CroppedFace | tuple[Part, UserError]]:
        (record,) = records
        try:
            image = record.image.read()
        except UserError as error:
            return [(record.part, error)]
        box = self.cropper.detected.highest_scoring(image)
        if box is None:
            return [(record.part, NoFaceError(f"no face is found in {record.image}."))]
        crops = tuple(crop_face(image, box, crop) for crop in self.cropper.crops)
        return [CroppedFace(record, crops, found=True)]


def _cropper(
    writer: FacesWriter, like: FacesInfo, box: UnlabelledBox, detected: DetectedBoxes
) -> CutRecords:
    crops = tuple(crop.model_copy(update={"box": "landmarks"}) for crop in writer.crops)
    cropper = Cropper(like.scheme, crops, detected)
    return cropper if box == "landmarks" else _FaceFinder(cropper)


def _hashes(records: Sequence[FaceRecord]) -> frozenset[bytes]:
    """Return the hashes of all images; those that cannot be read have none."""

    def hashes_of(image: Image) -> list[bytes]:
        try:
            return [_hash(view) for view in _views(image, image.read())]
        except UserError:
            return []

    found = threaded_map(hashes_of, dict.fromkeys(record.image for record in records))
    return frozenset(value for values in found for value in values)


def _views(image: Image, read: np.ndarray) -> Iterator[np.ndarray]:
    """Yield an image as it was read and, where that differs, shown or stored otherwise."""
    yield read
    if isinstance(image, ImageFile) and exif_orientation(image.path) != 1:
        yield read_image(image.path, shown=not image.shown)


def _hash(image: np.ndarray) -> bytes:
    return hashlib.sha256(str(image.shape).encode() + image.tobytes()).digest()
