"""What readers of data sets work with: a face as it is read, parts of a set, bad faces.

A reader yields a `FaceRecord` a face and hands what cannot be read to `BadFaces`, which stops the
run or leaves the face out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from landmark_kd import geometry
from landmark_kd.errors import UserError
from landmark_kd.topology import TOPOLOGIES

Split = Literal["train", "test"]

# A landmark further outside of its picture than this share of the face's size is a mistake:
# annotators do place a cheek or a chin that the picture's edge cuts off.
FAR_OUTSIDE = 0.5


@dataclass(frozen=True)
class Part:
    """A folder of a data set; `published` counts its faces, None where nobody published one."""

    folder: str
    split: Split
    subset: str
    published: int | None


@dataclass(frozen=True)
class FaceRecord:
    """One face as its data set gives it.

    Attributes:
        name: unique in the data set.
        image: its picture.
        landmarks: (K, 2) float64, 0-based pixels of the picture.
        photo: faces of one photo share it.
        part: the part of the data set it belongs to.
        box: (4,) x0, y0, x1, y1 where the data set brings one.
    """

    name: str
    image: Path
    landmarks: np.ndarray
    photo: str
    part: Part
    box: np.ndarray | None = None

    @property
    def split(self) -> Split:
        return self.part.split

    @property
    def subset(self) -> str:
        return self.part.subset


@dataclass
class BadFaces:
    """What becomes of faces that cannot be read, by `data.on_bad`.

    Attributes:
        on_bad: error: the first one ends the run; skip: it is noted and left out.
        left_out: (part, sentence) of each face left out.
    """

    on_bad: Literal["error", "skip"]
    left_out: list[tuple[Part, str]] = field(default_factory=list)

    def add(self, part: Part, error: UserError) -> None:
        """Note a bad face, or raise.

        Raises:
            UserError: `on_bad` is error.
        """
        sentence = str(error)
        if self.on_bad == "error":
            raise UserError(
                f"{sentence.removesuffix('.')}; correct or remove the face in data.path, or "
                "leave out all such faces with -S data.on_bad=skip."
            )
        self.left_out.append((part, sentence))

    def sentences(self, split: Split) -> list[str]:
        """A sentence for each face of a split that was left out."""
        return [sentence for part, sentence in self.left_out if part.split == split]


@dataclass(frozen=True)
class Dataset:
    """What a data set is.

    Attributes:
        name: as in `data.name`.
        points: landmarks a face, K.
        parts: its folders; a subset may have several.
        unions: subsets that are made of all faces of a split.
        reader: yields the faces of a folder; `reader(dataset, folder, bad)`.
        photo: from a face's part and file stem to what names its photo within the set.
        source: where the data set comes from, in words; empty where it is made here.
    """

    name: str
    points: int
    parts: tuple[Part, ...]
    unions: dict[str, Split]
    reader: Callable[[Dataset, Path, BadFaces], Iterator[FaceRecord]]
    photo: Callable[[Part, str], str]
    source: str

    def published(self, split: Split) -> dict[str, int | None]:
        """The number of faces of each subset of a split that its authors published."""
        counts: dict[str, int | None] = {}
        for part in self.parts:
            if part.split == split:
                counts[part.subset] = _plus(counts.get(part.subset, 0), part.published)
        total: int | None = 0
        for count in counts.values():
            total = _plus(total, count)
        for union, of_split in self.unions.items():
            if of_split == split:
                counts[union] = total
        return counts

    def missing(self, records: Iterable[FaceRecord], split: Split) -> list[str]:
        """Say in words which parts of a split are not what was published."""
        found = Counter(record.part.folder for record in records)
        sentences = []
        for part in self.parts:
            n = found[part.folder]
            if part.split == split and part.published is not None and n != part.published:
                sentences.append(
                    f"{part.folder} has {n or 'none'} of {part.published} published faces"
                    if n < part.published
                    else f"{part.folder} has {n} faces, more than the {part.published} published"
                )
        return sentences


def check_landmarks(record: FaceRecord, width: int, height: int) -> None:
    """Check that a face lies in its picture of `width` x `height` pixels and has a size.

    Raises:
        UserError: landmarks lie far outside, or the outer eye corners in one place (the error
            measure divides by their distance).
    """
    left, right = TOPOLOGIES[len(record.landmarks)].outer_eye_corners
    if np.array_equal(record.landmarks[left], record.landmarks[right]):
        raise UserError(
            f"the landmarks of {record.image} have both outer eye corners in one place."
        )
    x0, y0, x1, y1 = geometry.landmarks_box(record.landmarks)
    size = max(x1 - x0, y1 - y0)
    outside = max(-0.5 - x0, -0.5 - y0, x1 - (width - 0.5), y1 - (height - 0.5))
    if outside > FAR_OUTSIDE * size:
        raise UserError(
            f"the landmarks of {record.image} reach {outside:.0f} pixels outside of its "
            f"{width} x {height} pixels, more than half of the face's {size:.0f}."
        )


def _plus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b
