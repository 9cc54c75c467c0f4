"""Cuts unlabelled faces into crops like those of the labelled ones."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from landmark_kd.config.params import UnlabelledBox
from landmark_kd.config.paths import UNLABELLED
from landmark_kd.core.errors import UserError
from landmark_kd.core.parallel import threaded_map
from landmark_kd.data.datasets.base import BadFaces, FaceRecord, Part, rows_by_picture
from landmark_kd.data.datasets.unlabelled import unlabelled_records
from landmark_kd.data.preparation.cropping import CutFace, Cutter, cut_out
from landmark_kd.data.preparation.writer import FacesWriter
from landmark_kd.faces.info import FacesInfo
from landmark_kd.faces.prepared import COLUMNS
from landmark_kd.imaging import face_detector
from landmark_kd.imaging.images import Picture

CutRecords = Callable[[Sequence[FaceRecord]], list[CutFace | tuple[Part, UserError]]]


class NoFaceError(UserError):
    """The detector finds no face in a picture."""


class LabelledPictureError(UserError):
    """A picture is one of those that have landmarks."""


# What is left out for no fault of its own, in words; all else is told one by one.
_REASONS: dict[type[UserError], str] = {
    NoFaceError: "pictures in which the detector found no face",
    LabelledPictureError: "faces of pictures that the data set itself has, for training or tests",
}


def prepare_unlabelled(
    writer: FacesWriter,
    folder: Path,
    like: FacesInfo,
    labelled: Sequence[FaceRecord],
    *,
    box: UnlabelledBox,
    limit: int | None,
    seed: int,
) -> None:
    """Write the faces of a folder, which have no landmarks: all theirs are NaN.

    What cannot be read, shows no face or has the same pixels as a labelled picture is left out,
    and how many these are is said.

    Args:
        folder: that `fetch` left; where there is none, there are no faces.
        like: what holds for the train faces.
        labelled: all faces that have landmarks, test faces too.
        box: detector (the surest face of each picture) or landmarks, see `unlabelled_records`.
        limit: so many faces at most, chosen by `seed`, or None; more have the same and others.

    Raises:
        UserError: there are pictures, but no face is left.
    """
    bad = BadFaces("skip")
    there = folder.is_dir()
    records = unlabelled_records(folder, box, like.topology, bad) if there else []
    pictures = rows_by_picture(records)
    if limit is not None:
        order = np.random.default_rng(seed).permutation(len(pictures))
        pictures = [pictures[i] for i in order]
    known = _hashes(labelled) if there else frozenset()
    hide = [replace(r, picture=_UnlabelledPicture(r.picture, known)) for r in records]
    kept: list[FaceRecord] = []
    left_out: Counter[type[UserError]] = Counter()
    with (
        writer.pictures() as append,
        closing(
            threaded_map(_cutter(writer, like, box), ([hide[row] for row in p] for p in pictures))
        ) as cut,
    ):
        for faces in cut:
            for face in faces:
                if isinstance(face, CutFace):
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
    info = replace(like, dataset=UNLABELLED, licence="", published={}, missing=missing)
    writer.all_else(np.full((len(kept), like.points, 2), np.nan), table, info)
    if there:
        print(f"{UNLABELLED}: {len(kept)} faces of {len(pictures)} pictures, without landmarks")
        for sentence in missing:
            print(f"  left out: {sentence}")


@dataclass(frozen=True)
class _UnlabelledPicture:
    """A picture that is not read where it has landmarks elsewhere."""

    picture: Picture
    labelled: frozenset[bytes]

    def read(self) -> np.ndarray:
        image = self.picture.read()
        if _hash(image) in self.labelled:
            raise LabelledPictureError(f"{self.picture} is a picture of the data set.")
        return image

    def __str__(self) -> str:
        return str(self.picture)


@dataclass(frozen=True)
class _FaceFinder:
    """Cuts the surest face of a picture, as a detector finds it."""

    cutter: Cutter

    def __call__(self, records: Sequence[FaceRecord]) -> list[CutFace | tuple[Part, UserError]]:
        (record,) = records
        try:
            image = record.picture.read()
        except UserError as error:
            return [(record.part, error)]
        boxes, _ = face_detector.find_faces(
            image, self.cutter.box_in_haar or face_detector.LANDMARK_BOX
        )
        if not len(boxes):
            return [(record.part, NoFaceError(f"no face is found in {record.picture}."))]
        crops = tuple(cut_out(image, boxes[0], crop) for crop in self.cutter.crops)
        return [CutFace(record, crops, found=True)]


def _cutter(writer: FacesWriter, like: FacesInfo, box: UnlabelledBox) -> CutRecords:
    crops = tuple(crop.model_copy(update={"box": "landmarks"}) for crop in writer.crops)
    cutter = Cutter(like.topology, crops, like.box_in_haar)
    return cutter if box == "landmarks" else _FaceFinder(cutter)


def _hashes(records: Sequence[FaceRecord]) -> frozenset[bytes]:
    """Return the hashes of all pictures; those that cannot be read have none."""

    def hash_of(picture: Picture) -> bytes | None:
        try:
            return _hash(picture.read())
        except UserError:
            return None

    found = threaded_map(hash_of, dict.fromkeys(record.picture for record in records))
    return frozenset(value for value in found if value is not None)


def _hash(image: np.ndarray) -> bytes:
    return hashlib.sha256(str(image.shape).encode() + image.tobytes()).digest()
