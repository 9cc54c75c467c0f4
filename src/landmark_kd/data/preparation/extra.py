"""Train faces of further sets (`data.extra`), which join those of the data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord, Part
from landmark_kd.data.datasets.custom.dataset import CustomDataset
from landmark_kd.landmarks.missing import complete
from landmark_kd.landmarks.scheme import LandmarkScheme


def extra_records(
    dataset: CustomDataset, folder: Path, scheme: LandmarkScheme, bad: BadFaces
) -> list[FaceRecord]:
    """Return the train faces of a custom set, as faces of the data set that they join.

    Their subset is the set's name, which also comes before their names, so that none is another
    set's. The set's own test and validation faces are left out.

    Args:
        dataset: the set, read from `folder`.
        scheme: of the landmarks of the data set.

    Raises:
        UserError: the set's landmarks are others; and what `bad` raises.
    """
    _check_scheme(dataset, scheme)
    part = Part("", "train", dataset.name, None)
    return [
        replace(
            record,
            name=f"{dataset.name}/{record.name}",
            photo=f"{dataset.name}/{record.photo}",
            part=part,
            subsets=(dataset.name,),
            whole=None if complete(record.landmarks) else record.box,
        )
        for record in dataset.read(folder, bad)
        if record.split == "train" and not record.validation
    ]


def _check_scheme(dataset: CustomDataset, scheme: LandmarkScheme) -> None:
    own = dataset.scheme
    if own.points != scheme.points:
        raise UserError(
            f"{dataset.name}, a set of data.extra, has {own.points} landmarks, but the data set "
            f"that it is to join has {scheme.points}; bring it into that scheme first, with the "
            "landmarks that it does not have as missing."
        )
    apart = [i for i in range(own.points) if own.flip[i] != scheme.flip[i]]
    if apart:
        raise UserError(
            f"{dataset.name}, a set of data.extra, says that landmark {apart[0]} becomes "
            f"{own.flip[apart[0]]} in a mirrored face, but in the data set that it is to join it "
            f"becomes {scheme.flip[apart[0]]}; bring both into one order of landmarks."
        )
