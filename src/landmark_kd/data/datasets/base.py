"""What a data set is: its parts, the faces that it is read as, and what becomes of bad ones.

`Dataset.read` yields a `FaceRecord` for each face and hands what cannot be read to `BadFaces`,
which stops the run or leaves the face out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.plausible import check_plausible
from landmark_kd.imaging.images import Image, ImageFile, fits_the_other_way
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import LandmarkScheme

Split = Literal["train", "test"]

# A landmark or box further outside of its image than this share of the face's size, or of the
# image's longer side, is a mistake: annotators do place a cheek or a chin that the image's
# edge cuts off.
FAR_OUTSIDE = 0.5


@dataclass(frozen=True)
class Part:
    """A part of a data set, all of one split.

    Attributes:
        folder: the folder or file that holds the part, relative to the set's.
        split: train or test.
        subset: the subset that its faces are counted in.
        published: number of faces that its authors counted; None where nobody published one.
    """

    folder: str
    split: Split
    subset: str
    published: int | None


@dataclass(frozen=True)
class FaceRecord:
    """One face as its data set gives it.

    Attributes:
        name: unique in the data set.
        image: the image, which is not read yet.
        landmarks: (K, 2) float64, 0-based pixels of the image; NaN where missing, see
            `landmarks.missing`.
        photo: faces that share it are never in train and validation both; mostly the photo's
            name.
        part: the part of the data set that the face belongs to.
        validation: whether the data set itself sets the face, a train face, apart.
        subsets: the subsets that it is counted in besides its part's.
        box: (4,) float64 x0, y0, x1, y1, pixels of the image, where the data set brings one.
        whole: (4,) the box of all landmarks of the face, where `landmarks` have another since some
            are masked.
        occluded: (K,) bool where the data set marks hidden landmarks.
        where: the file of the landmarks and the place in it, for sentences.
        first_pixel: the coordinate that the file gives the first pixel, for sentences.
    """

    name: str
    image: Image
    landmarks: np.ndarray
    photo: str
    part: Part
    validation: bool = False
    subsets: tuple[str, ...] = ()
    box: np.ndarray | None = None
    whole: np.ndarray | None = None
    occluded: np.ndarray | None = None
    where: str = ""
    first_pixel: int = 0

    @property
    def split(self) -> Split:
        return self.part.split


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
                f"{sentence.removesuffix('.')}; correct or remove the face in data.path and fetch "
                "again (dvc repro -f -s fetch), or leave out all such faces with -S "
                "data.on_bad=skip."
            )
        self.left_out.append((part, sentence))

    def sentences(self, split: Split) -> list[str]:
        """Return a sentence for each face of a split that was left out."""
        return [sentence for part, sentence in self.left_out if part.split == split]


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """What a data set is; a subclass knows how one lies in a folder.

    Attributes:
        name: as in `data.name`; of a custom set the name that its landmark-kd.yaml gives it.
        scheme: the scheme of its landmarks.
        parts: the parts that it is made of; a subset may have several.
        unions: subsets that are made of other subsets, all of which have to be there.
        published: faces that its authors counted in subsets that neither parts nor unions make.
        boxes: whether it brings boxes.
        own_validation: whether it says itself which train faces are for validation.
        source: where the data set comes from, in words; empty where it is made here.
        licence: what the data set allows, in a sentence.
        notes: what its owner should know of how its files were understood, in sentences.
    """

    name: str
    scheme: LandmarkScheme
    parts: tuple[Part, ...]
    unions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    boxes: bool = False
    own_validation: bool = False
    source: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()

    @abstractmethod
    def check(self, folder: Path) -> None:
        """Check that a folder holds the set.

        Raises:
            UserError: it does not; the sentence says what was expected and, where a folder nearby
                fits, which.
        """

    @abstractmethod
    def files(self, folder: Path) -> list[Path]:
        """Return the files in a folder that belong to the set, which `check` has passed."""

    @abstractmethod
    def read(self, folder: Path, bad: BadFaces) -> Iterator[FaceRecord]:
        """Check a folder and yield the faces in it; those that cannot be read go to `bad`.

        Raises:
            UserError: the folder does not hold the set, a file that belongs to all faces cannot
                be read, or a face is bad and `bad` ends the run.
        """

    @property
    def points(self) -> int:
        return self.scheme.points

    def subsets(self, faces: Sequence[FaceRecord]) -> dict[str, np.ndarray]:
        """Return the indices of the faces of each subset, none of them empty.

        Subsets of parts come first, then further ones, then unions whose members are all there.
        """
        names = list(dict.fromkeys(part.subset for part in self.parts))
        names += [name for face in faces for name in face.subsets if name not in self.unions]
        rows = {}
        for name in dict.fromkeys(names):
            inside = [i for i, f in enumerate(faces) if name in (f.part.subset, *f.subsets)]
            if inside:
                rows[name] = np.array(inside)
        for union, members in self.unions.items():
            if all(member in rows for member in members):
                rows[union] = np.unique(np.concatenate([rows[member] for member in members]))
        return rows

    def published_counts(self, split: Split) -> dict[str, int | None]:
        """Return the published number of faces of each subset of a split, None where unknown."""
        counts: dict[str, int | None] = {}
        for part in self.parts:
            if part.split == split:
                counts[part.subset] = _plus(counts.get(part.subset, 0), part.published)
        if split == "test":
            counts.update(self.published)
        for union, members in self.unions.items():
            if all(member in counts for member in members):
                total: int | None = 0
                for member in members:
                    total = _plus(total, counts[member])
                counts[union] = total
        return counts

    def missing(self, records: Iterable[FaceRecord], split: Split) -> list[str]:
        """Return a sentence for each part of a split that is not what was published."""
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


def rows_by_image(records: Sequence[FaceRecord]) -> list[list[int]]:
    """Return the indices of the faces of each image, so that it is read once for all of them."""
    rows: dict[Image, list[int]] = {}
    for row, record in enumerate(records):
        rows.setdefault(record.image, []).append(row)
    return list(rows.values())


def check_landmarks(record: FaceRecord, scheme: LandmarkScheme, width: int, height: int) -> None:
    """Check that a face can be one, and lies in its image of `width` x `height` pixels.

    Raises:
        UserError: landmarks or the data set's box lie far outside, or are no face's: see
            `check_plausible`.
    """
    check_plausible(record, scheme)
    boxes = {"landmarks": geometry.landmarks_box(record.landmarks)}
    if record.box is not None:
        boxes["box"] = record.box
    for what, box in boxes.items():
        x0, y0, x1, y1 = box.tolist()
        size = max(x1 - x0, y1 - y0)
        outside = max(-0.5 - x0, -0.5 - y0, x1 - (width - 0.5), y1 - (height - 0.5))
        whose, most = min(("face", size), ("image", max(width, height)), key=lambda most: most[1])
        if outside > FAR_OUTSIDE * most:
            raise UserError(
                f"the {what} of {record.name} in {record.image} reach{'es' * (what == 'box')} "
                f"{outside:.4g} pixels outside of its {width} x {height} pixels, more than half of "
                f"the {whose}'s {most:.4g}{_hint_of_rotation(record, width, height)}."
            )


def _hint_of_rotation(record: FaceRecord, width: int, height: int) -> str:
    image = record.image
    if isinstance(image, ImageFile) and fits_the_other_way(image, record.landmarks, width, height):
        return (
            f"; the image has an EXIF rotation and is read as {image.way}, but its landmarks fit "
            f"it as {image.other_way}"
        )
    return ""


def _plus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b
