"""Cuts the faces of a fetched data set into square crops and sets validation faces apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from landmark_kd.config.params import CropParams, DataParams, UnlabelledBox
from landmark_kd.config.paths import EXTRA, UNLABELLED
from landmark_kd.core.errors import UserError
from landmark_kd.core.parallel import threaded_map
from landmark_kd.core.progress import ProgressBar
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord, Split
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.datasets.registry import dataset_at
from landmark_kd.data.preparation.cropping import (
    CroppedFace,
    Cropper,
    measure_boxes,
    stored_border,
)
from landmark_kd.data.preparation.extra import extra_records
from landmark_kd.data.preparation.unlabelled import prepare_unlabelled
from landmark_kd.data.preparation.writer import FacesWriter, faces_writer
from landmark_kd.faces.info import FacesInfo
from landmark_kd.faces.prepared import COLUMNS, SEPARATOR
from landmark_kd.landmarks.missing import present


def prepare(
    data: DataParams,
    validation: float,
    crop: CropParams,
    seed: int,
    *,
    unlabelled_box: UnlabelledBox,
    unlabelled_limit: int | None,
    raw: Path,
    out: Path,
) -> None:
    """Write the train and the test faces of `raw`/<data.name> as folders of `faces.Faces`.

    `out`/train and `out`/test have them in the students' size, `out`/teacher_train and
    `out`/teacher_test in the teachers'; where that is the same, they only refer to the former.
    The train faces of the sets of `data.extra` come after the data set's own, and none of them is
    for validation. `out`/unlabelled and `out`/teacher_unlabelled have the faces without landmarks,
    or none. Prints what was found, what is missing of the published set, and the faces left out.

    Args:
        validation: share of the train faces set apart, in (0, 1), where the data set does not say
            itself which they are.
        seed: of the choice of validation photos, and of unlabelled faces.
        unlabelled_box, unlabelled_limit: see `prepare_unlabelled`.
        raw: the folder that `fetch` wrote.

    Raises:
        UserError: the set is not there, one of its faces is bad and `data.on_bad` is error, no
            face of a split is left, or `crop.detector` is yunet, whose file cannot be had.
    """
    dataset = dataset_at(data.name, raw / data.name)
    bad = BadFaces(data.on_bad)
    records = list(dataset.read(raw / data.name, bad))
    for note in dataset.notes:
        print(f"{dataset.name}: {note}")
    by_split: dict[Split, list[FaceRecord]] = {
        split: [record for record in records if record.split == split]
        for split in ("train", "test")
    }
    licences = [dataset.licence]
    for number in range(len(data.extra)):
        folder = raw / EXTRA / str(number)
        extra = read_custom_dataset(folder)
        by_split["train"] += extra_records(extra, folder, dataset.scheme, bad)
        licences.append(extra.licence)
    licence = " ".join(dict.fromkeys(licences))
    crops: tuple[CropParams, ...] = (crop,)
    if crop.teacher_resolution not in (None, crop.resolution):
        crops += (crop.model_copy(update={"resolution": crop.teacher_resolution}),)
    cropper = Cropper(dataset.scheme, crops, measure_boxes(by_split["train"], crop))
    infos: dict[Split, FacesInfo] = {}
    with ExitStack() as stack:
        for split, of_split in by_split.items():
            writer = stack.enter_context(faces_writer(out, split, crops))
            cut = _write_images(writer, of_split, bad, cropper)
            left_out = bad.sentences(split)
            if not cut:
                says = (*dataset.missing([], split), dataset.source)
                raise UserError(
                    f"no {split} face of {dataset.name} is left: all {len(left_out)} are bad, "
                    f"the first because {left_out[0]}"
                    if left_out
                    else f"{dataset.name} has no {split} face, but both splits are needed"
                    + "".join(f"; {said}" for said in filter(None, says))
                    + "."
                )
            faces = [face.record for face in cut]
            table = _table(dataset, faces)
            if split == "train":
                own = [face for face in faces if face.part in dataset.parts]
                chosen = _validation(dataset, own, validation, seed)
                table["validation"] = np.pad(chosen, (0, len(faces) - len(own)))
            info = _info(dataset, split, cut, len(left_out), cropper)
            info = replace(info, licence=licence)
            marked = [face.occluded for face in faces if face.occluded is not None]
            writer.all_else(
                np.stack([face.landmarks for face in faces]),
                table,
                info,
                occluded=np.stack(marked) if len(marked) == len(faces) else None,
            )
            infos[split] = info
            _report(dataset, split, table, info)
            for sentence in left_out:
                print(f"  left out: {sentence}")
        prepare_unlabelled(
            stack.enter_context(faces_writer(out, UNLABELLED, crops)),
            raw / UNLABELLED,
            infos["train"],
            records,
            cropper.detected,
            box=unlabelled_box,
            limit=unlabelled_limit,
            seed=seed,
        )


def _validation(
    dataset: Dataset, faces: Sequence[FaceRecord], share: float, seed: int
) -> np.ndarray:
    """Return (N,) bool, the data set's own validation faces or, where it has none, drawn ones.

    Raises:
        UserError: no validation face is left, or no other.
    """
    if not dataset.own_validation:
        return validation_split([face.photo for face in faces], share, seed)
    chosen = np.array([face.validation for face in faces])
    if chosen.all() or not chosen.any():
        state = "all train faces that are left are" if chosen.all() else "none that is left is one"
        raise UserError(
            f"{dataset.name} says itself which faces are for validation, but {state}; add faces, "
            "or let them be drawn: remove validation from split in landmark-kd.yaml."
        )
    return chosen


def validation_split(photos: Sequence[str] | pd.Series, share: float, seed: int) -> np.ndarray:
    """Choose validation faces, all or none of a photo's.

    Photos are taken in a seeded order until `share` of the faces is reached; one photo at least
    is taken and one at least is left.

    Args:
        photos: the photo of each of N faces; their order does not matter.
        share: in (0, 1).

    Returns:
        (N,) bool.

    Raises:
        UserError: all faces are of one photo.
    """
    names, photo_of_face, faces_of_photo = np.unique(
        np.asarray(photos), return_inverse=True, return_counts=True
    )
    if len(names) < 2:
        raise UserError(
            f"the train faces are of {len(names)} photo, but validation needs photos of its own; "
            "bring at least two."
        )
    order = np.random.default_rng(seed).permutation(len(names))
    faces_before = np.cumsum(faces_of_photo[order]) - faces_of_photo[order]
    wanted = max(1, round(share * len(photos)))
    chosen = np.zeros(len(names), dtype=bool)
    chosen[order[:-1]] = faces_before[:-1] < wanted
    return chosen[photo_of_face]


def _write_images(
    writer: FacesWriter, records: Iterable[FaceRecord], bad: BadFaces, cropper: Cropper
) -> list[CroppedFace]:
    """Write all images; return the faces, without their crops."""
    kept = []
    photos = (list(same) for _, same in groupby(records, key=lambda record: record.image))
    with (
        writer.images() as append,
        ProgressBar(desc="cropping faces", unit="face", disable=None) as progress,
    ):
        for faces in threaded_map(cropper, photos):
            for face in faces:
                if isinstance(face, CroppedFace):
                    append(face.crops)
                    kept.append(replace(face, crops=()))
                else:
                    bad.add(*face)
                progress.update()
    return kept


def _table(dataset: Dataset, faces: Sequence[FaceRecord]) -> pd.DataFrame:
    """Return a row a face, none of them for validation."""
    rows = [(face.name, face.photo, "", False) for face in faces]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["subsets"] = _subsets(dataset, faces)
    return table


def _subsets(dataset: Dataset, faces: Sequence[FaceRecord]) -> list[str]:
    """Return the subsets of each face, joined."""
    names: list[list[str]] = [[] for _ in faces]
    for name, rows in dataset.subsets(faces).items():
        for row in rows:
            names[row].append(name)
    return [SEPARATOR.join(of_face) for of_face in names]


def _info(
    dataset: Dataset, split: Split, cut: Sequence[CroppedFace], left_out: int, cropper: Cropper
) -> FacesInfo:
    crop = cropper.crops[0]
    missing = dataset.missing([face.record for face in cut], split)
    if left_out:
        missing.append(f"{left_out} bad {split} face{'s' * (left_out > 1)} left out")
    if not_found := sum(not face.found for face in cut):
        missing.append(
            f"the detector did not find {not_found} of {len(cut)} {split} faces, which keep the "
            "landmarks' box"
        )
    landmarks = np.stack([face.record.landmarks for face in cut])
    return FacesInfo(
        dataset=dataset.name,
        licence=dataset.licence,
        scheme=dataset.scheme,
        crop_size=crop.resolution,
        border=stored_border(crop),
        margin=crop.margin,
        box=crop.box,
        box_in_haar=cropper.detected.box_in_haar,
        box_in_yunet=cropper.detected.box_in_yunet,
        published=dataset.published_counts(split),
        missing=missing,
        missing_landmarks=int((~present(landmarks)).sum()),
    )


def _report(dataset: Dataset, split: Split, table: pd.DataFrame, info: FacesInfo) -> None:
    held_out = int(table["validation"].sum())
    aside = ""
    if held_out:
        whence = "as the data set says" if dataset.own_validation else "drawn"
        aside = f", {held_out} of them for validation ({whence})"
    print(f"{dataset.name}: {len(table)} {split} faces{aside}")
    in_subset = table["subsets"].str.split(SEPARATOR)
    for name in sorted({name for names in in_subset for name in names} - info.published.keys()):
        print(f"  {name}: {sum(name in subsets for subsets in in_subset)}")
    for name, published in info.published.items():
        n = sum(name in subsets for subsets in in_subset)
        print(f"  {name}: {n}" + ("" if published is None else f" of {published} published"))
    if info.missing_landmarks:
        share = info.missing_landmarks / (len(table) * info.points)
        print(f"  missing landmarks: {info.missing_landmarks} ({share:.1%} of all)")
    for sentence in info.missing:
        print(f"  not complete: {sentence}")
