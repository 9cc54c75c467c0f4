"""Cuts the faces of a fetched data set into square crops and sets validation faces apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from tqdm import tqdm

from landmark_kd import geometry
from landmark_kd.datasets import DATASETS
from landmark_kd.errors import UserError
from landmark_kd.faces import COLUMNS, FacesInfo, save_faces
from landmark_kd.files import replaced_folder
from landmark_kd.params import CropParams, DataParams
from landmark_kd.pictures import read_picture
from landmark_kd.records import BadFaces, Dataset, FaceRecord, Split, check_landmarks
from landmark_kd.sampling import sample


def prepare(
    data: DataParams,
    validation: float,
    crop: CropParams,
    seed: int,
    *,
    raw: Path,
    out_train: Path,
    out_test: Path,
) -> None:
    """Write the train and the test faces of `raw`/<data.name> as folders of `faces.Faces`.

    Prints what was found, what is missing of the published set, and the faces left out.

    Args:
        validation: share of the train faces set apart, in (0, 1).
        seed: of the choice of validation photos.
        raw: the folder that `fetch` wrote.

    Raises:
        UserError: the set is not there, one of its faces is bad and `data.on_bad` is error, or
            no face of a split is left.
    """
    dataset = DATASETS[data.name]
    bad = BadFaces(data.on_bad)
    records = list(dataset.reader(dataset, raw / dataset.name, bad))
    with replaced_folder(out_train) as train, replaced_folder(out_test) as test:
        folders: dict[Split, Path] = {"train": train, "test": test}
        for split, folder in folders.items():
            candidates = [record for record in records if record.split == split]
            kept, crop_maps = _write_pictures(folder, candidates, bad, crop)
            left_out = bad.sentences(split)
            if not kept:
                raise UserError(
                    f"no {split} face of {dataset.name} is left: all {len(left_out)} are bad, "
                    f"the first because {left_out[0]}"
                )
            rows = [(face.name, face.photo, face.subset, False) for face in kept]
            table = pd.DataFrame(rows, columns=COLUMNS)
            if split == "train":
                table["validation"] = validation_split(table["photo"], validation, seed)
            info = _info(dataset, split, kept, len(left_out), crop)
            landmarks = np.stack([face.landmarks for face in kept])
            save_faces(folder, landmarks, geometry.invert(crop_maps), table, info)
            _report(dataset, split, table, info)
            for sentence in left_out:
                print(f"  left out: {sentence}")


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


def _write_pictures(
    folder: Path, records: Iterable[FaceRecord], bad: BadFaces, crop: CropParams
) -> tuple[list[FaceRecord], np.ndarray]:
    """Write images.npy; return the faces in it and their maps (N, 2, 3) from picture to crop."""
    kept = []
    crop_maps = []
    with _growing_array(folder / "images.npy", _stored_shape(crop)) as append:
        for record, image in _pictures(records, bad):
            crop_map = geometry.square_crop(_box(record, crop), crop.margin, crop.size)
            append(_stored(image, crop_map, crop))
            kept.append(record)
            crop_maps.append(crop_map)
    return kept, np.array(crop_maps)


def _info(
    dataset: Dataset, split: Split, kept: list[FaceRecord], left_out: int, crop: CropParams
) -> FacesInfo:
    missing = dataset.missing(kept, split)
    if left_out:
        missing.append(f"{left_out} bad {split} face{'s' * (left_out > 1)} left out")
    return FacesInfo(
        dataset=dataset.name,
        points=dataset.points,
        crop_size=crop.size,
        border=crop.border,
        margin=crop.margin,
        box=crop.box,
        published=dataset.published(split),
        missing=missing,
    )


def _pictures(
    records: Iterable[FaceRecord], bad: BadFaces
) -> Iterator[tuple[FaceRecord, np.ndarray]]:
    """Yield each good face with its picture (H, W, 3) uint8 BGR, decoded once for neighbours."""
    path, image = None, np.empty((0, 0, 3), dtype=np.uint8)
    for record in tqdm(records, desc="cutting faces", unit="face", disable=None):
        try:
            if record.image != path:
                image = read_picture(record.image)
                path = record.image
            check_landmarks(record, width=image.shape[1], height=image.shape[0])
        except UserError as error:
            bad.add(record.part, error)
        else:
            yield record, image


def _box(record: FaceRecord, crop: CropParams) -> np.ndarray:
    if crop.box == "landmarks":
        return geometry.landmarks_box(record.landmarks)
    if record.box is None:
        raise UserError(f"crop.box is dataset, but {record.name} has no box; take landmarks.")
    return record.box


def _stored_shape(crop: CropParams) -> tuple[int, int, int]:
    side = crop.size + 2 * crop.border
    return side, side, 3


def _stored(image: np.ndarray, crop_map: np.ndarray, crop: CropParams) -> np.ndarray:
    """The crop with its border, RGB; the crop itself is exactly the inner part."""
    beside_border = np.array([[1, 0, crop.border], [0, 1, crop.border]], dtype=np.float64)
    side = _stored_shape(crop)[0]
    return sample(image, geometry.compose(beside_border, crop_map), side)[..., ::-1]


@contextmanager
def _growing_array(path: Path, row: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends a uint8 array of shape `row` to a .npy file.

    Written in order, since a full disk then ends in an error that can be told; writing through
    a memory map would kill the process. numpy leaves room in the header for a growing first
    axis, so the number of rows is put in at the end, when bad faces are known.
    """
    rows = 0
    with path.open("wb") as file:
        _write_header(file, (0, *row))
        data_start = file.tell()

        def append(values: np.ndarray) -> None:
            nonlocal rows
            assert (values.shape, values.dtype) == (row, np.uint8)
            file.write(values.tobytes())
            rows += 1

        yield append
        file.seek(0)
        _write_header(file, (rows, *row))
        assert file.tell() == data_start


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _report(dataset: Dataset, split: Split, table: pd.DataFrame, info: FacesInfo) -> None:
    held_out = int(table["validation"].sum())
    aside = f", {held_out} of them for validation" if held_out else ""
    print(f"{dataset.name}: {len(table)} {split} faces{aside}")
    for name, published in info.published.items():
        n = len(table) if name in dataset.unions else int((table["subset"] == name).sum())
        print(f"  {name}: {n}" + ("" if published is None else f" of {published} published"))
    for sentence in info.missing:
        print(f"  not complete: {sentence}")
