"""Tells whether landmarks lie on images as shown or as stored, from what is at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.annotations import CustomFace, Marks
from landmark_kd.imaging.images import SIDEWAYS, exif_orientation, read_image

Orientation = Literal["shown", "stored"]

# Images with an EXIF rotation that are read to find out.
TRIED_TURNED = 50


@dataclass(frozen=True)
class ProposedOrientation:
    """`orientation` as in landmark-kd.yaml, and why."""

    value: Orientation
    note: str


def propose_orientation(images: Path, faces: Sequence[CustomFace]) -> ProposedOrientation | None:
    """Propose how to read images; None where none has an EXIF rotation, so that all are alike.

    Args:
        images: the folder of the images.
        faces: faces whose images are files in it.
    """
    files = dict.fromkeys(face.image for face in faces if face.image)
    turned = {name: exif_orientation(images / name) for name in files}
    turned = {name: orientation for name, orientation in turned.items() if orientation != 1}
    if not turned:
        return None
    head = f"{len(turned)} of {len(files)} images have an EXIF rotation"
    sideways = [name for name in turned if turned[name] in SIDEWAYS][:TRIED_TURNED]
    by_image: dict[str, list[CustomFace]] = {name: [] for name in sideways}
    for face in faces:
        if face.image in by_image:
            by_image[face.image].append(face)
    votes = Counter(v for name, of in by_image.items() for v in _votes(images / name, of))
    if len(votes) == 1:
        value = next(iter(votes))
        other = "stored" if value == "shown" else "shown"
        note = f"{head}; sizes stated and landmarks fit them as {value}, not as {other}."
        return ProposedOrientation(value, note)
    return ProposedOrientation(
        "shown",
        f"{head}: shown if the landmarks were placed on them upright, as most tools show them, "
        "stored if on their pixels as stored, as Matlab has them.",
    )


def _votes(path: Path, faces: Sequence[CustomFace]) -> Iterator[Orientation]:
    """Yield shown or stored for each thing said of an image that fits one of the two alone."""
    try:
        height, width = read_image(path, shown=True).shape[:2]
    except UserError:
        return
    if width == height:
        return
    for face in faces:
        if face.size is not None:
            fits = face.size == (width, height), face.size == (height, width)
        elif isinstance(face.marks, Marks):
            longest = np.nanmax(face.marks.landmarks, axis=0)
            fits = bool((longest < [width, height]).all()), bool((longest < [height, width]).all())
        else:
            continue
        if fits[0] != fits[1]:
            yield "shown" if fits[0] else "stored"
