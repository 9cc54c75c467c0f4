"""landmark-kd.yaml, which says what a custom data set is."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, PlainValidator, field_validator, model_validator

from landmark_kd.core.errors import UserError
from landmark_kd.core.names import absence
from landmark_kd.core.schema import Section, read_yaml_model
from landmark_kd.data.datasets.layout import neighbours
from landmark_kd.landmarks.scheme import LandmarkScheme, flip_of_pairs

CONFIG_NAME = "landmark-kd.yaml"
# `annotations` of a set that has a .pts file beside each image.
PTS = "pts"
# The same of a set that has a .json file by labelme for each image.
LABELME = "labelme"
# `split.column` for the top folder that an image lies in, and folder_2 for the one in that, …
FOLDER_COLUMN = re.compile(r"folder(?:_([1-9]))?")
# The same for the file that a face's annotation is in, where there are several.
FILE_COLUMN = "annotations"
# What a file may have for a missing landmark, beside coordinates that stand for it: an empty cell,
# NaN, null or a label that is not there; COCO's v = 0.
EMPTY, NOT_LABELLED = "empty", "v0"
MISSING_WORDS = (EMPTY, NOT_LABELLED)
DRAFT_HINT = "`landmark-kd data init {}` writes one to start from"
# Subsets of the sets that are built in, whose names tables and reports know.
RESERVED_NAMES = frozenset(
    (
        *("train", "test", "common", "challenging", "full", "aflw2000", "cofw", "all", "pose"),
        *("expression", "illumination", "make-up", "occlusion", "blur"),
    )
)

Index = Annotated[int, Field(ge=0)]
Pair = Annotated[list[Index], Field(min_length=2, max_length=2)]
Group = Annotated[list[Index], Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]


class Contour(Section):
    """A line to draw through points; one point alone is a dot."""

    points: Group
    closed: bool


class SplitConfig(Section):
    """How test and validation faces are told from training faces.

    Attributes:
        column: the column whose values are each of one split; None: each image is on its own.
        test: the share of test faces, or the values of `column` that are test faces; None: the
            values of the column are words such as train, val and test.
        validation: the values of `column` that are validation faces; None: faces are drawn.
        seed: the seed of the choice.
    """

    column: Text | None
    test: Any
    validation: list[str] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)]

    @field_validator("test")
    @classmethod
    def _share_or_values(cls, test: Any) -> float | list[str] | None:
        if isinstance(test, list) and test:
            return _texts(test)
        if test is None or (isinstance(test, float) and 0 < test < 1):
            return test
        raise ValueError(
            f"{test!r} must be a share greater than 0 and less than 1, such as 0.2, a list of the "
            "values of column that are test faces, such as [test], or null where the column says "
            "train or test"
        )

    @field_validator("validation", mode="before")
    @classmethod
    def _values(cls, validation: Any) -> Any:
        return _texts(validation) if isinstance(validation, list) else validation

    @model_validator(mode="after")
    def _says_what_is_test(self) -> SplitConfig:
        if self.column is None and self.test is None:
            raise ValueError(
                "column and test are both null; give the share of test faces, such as 0.2, or "
                "the column that says train or test"
            )
        if self.column is None and (self.validation or isinstance(self.test, list)):
            raise ValueError("test and validation list values of column, but column is null")
        if self.test is None and self.validation:
            raise ValueError(
                "validation lists values, but test is null, so that the column itself says what "
                "is validation; list the values of test faces, too, or set validation to null"
            )
        twice = repeated(
            value.casefold() for value in [*(self.validation or ()), *(self.test_values or ())]
        )
        if twice is not None:
            raise ValueError(f"test and validation list the value '{twice}' twice")
        return self

    @property
    def test_values(self) -> list[str] | None:
        """The values of `column` that are test faces, where they are listed."""
        return self.test if isinstance(self.test, list) else None


def _within(value: Any) -> str | list[str]:
    """Check the name of a file or folder, or a list of such."""
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{value!r} must be a name, or a list of names")
    for name in names:
        if leaves_folder(name):
            raise ValueError(
                f"'{name}' must lie within the folder of {CONFIG_NAME}; give it relative to that "
                "folder, without '..'"
            )
    return value


Names = Annotated[str | list[str], PlainValidator(_within)]


Mark = str | tuple[float, float]


def _marks(value: Any) -> tuple[Mark, ...]:
    """Check what stands for missing landmarks: one mark, several, or none (null)."""
    if value is None:
        return ()
    marks = [value] if isinstance(value, str) or _is_point(value) else value
    if not isinstance(marks, list) or not all(m in MISSING_WORDS or _is_point(m) for m in marks):
        raise ValueError(
            f"{value!r} must be {EMPTY} (an empty cell, NaN), {NOT_LABELLED} (COCO's v = 0), "
            "coordinates as the files have them, such as [-1, -1], or a list of such"
        )
    return tuple(m if isinstance(m, str) else (float(m[0]), float(m[1])) for m in marks)


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, int | float) and math.isfinite(v) for v in value)
    )


class CustomConfig(Section):
    """The whole of landmark-kd.yaml; docs/data.md explains each key."""

    name: str
    annotations: Names
    images: Names
    orientation: Literal["shown", "stored"] = "shown"
    first_pixel: Literal[0, 1]
    points: Annotated[int, Field(ge=2, le=10_000)]
    missing: Annotated[tuple[Mark, ...], PlainValidator(_marks)] = ()
    names: list[Text] | None = None
    flip_pairs: list[Pair]
    normalizer: Pair
    normalizer_name: Text
    pupils: Annotated[list[Group], Field(min_length=2, max_length=2)] | None = None
    contours: list[Contour] = Field(default_factory=list)
    split: SplitConfig
    licence: Text

    @field_validator("name")
    @classmethod
    def _usable(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", name):
            raise ValueError(
                f"'{name}' must be 1 to 40 letters, digits, '-', '_' or '.', the first a letter "
                "or digit"
            )
        if name.casefold() in RESERVED_NAMES:
            raise ValueError(f"'{name}' is a subset of a built-in data set; take another name")
        return name

    @model_validator(mode="after")
    def _goes_together(self) -> CustomConfig:
        self._check_annotations()
        self._check_names()
        self._check_flip_pairs()
        self._check_normalizer()
        self._check_lines()
        return self

    @property
    def missing_words(self) -> frozenset[str]:
        """What of `missing` is not coordinates."""
        return frozenset(mark for mark in self.missing if isinstance(mark, str))

    @property
    def missing_points(self) -> list[tuple[float, float]]:
        """Coordinates, as the files have them, that stand for missing landmarks."""
        return [mark for mark in self.missing if not isinstance(mark, str)]

    def scheme(self) -> LandmarkScheme:
        """Return the landmark scheme; points without names are called point_0, point_1, …"""
        first, second = self.normalizer
        return LandmarkScheme(
            names=tuple(self.names or (f"point_{i}" for i in range(self.points))),
            flip=self._flip(),
            normalizer=(first, second),
            normalizer_name=self.normalizer_name,
            pupils=(tuple(self.pupils[0]), tuple(self.pupils[1])) if self.pupils else None,
            contours=tuple((tuple(line.points), line.closed) for line in self.contours),
        )

    def _flip(self) -> np.ndarray:
        return flip_of_pairs(self.points, [(a, b) for a, b in self.flip_pairs])

    @property
    def files(self) -> list[str]:
        """The files of annotations, or pts or labelme."""
        return [self.annotations] if isinstance(self.annotations, str) else self.annotations

    @property
    def images_root(self) -> str:
        """The folder that names of images are relative to."""
        return self.images if isinstance(self.images, str) else "."

    @property
    def images_of_files(self) -> list[str]:
        """The folder of each file's images, relative to `images_root`; empty where it is that."""
        return [""] * len(self.files) if isinstance(self.images, str) else self.images

    def _check_annotations(self) -> None:
        per_image = self.annotations in (PTS, LABELME)
        for file in self.files:
            if not (per_image or file.lower().endswith((".csv", ".json"))):
                raise ValueError(
                    f"annotations is '{file}'; it must be a .csv file, a .json file (COCO key "
                    f"points), a list of such, {PTS} (a .pts file for each image) or {LABELME} (a "
                    ".json file by labelme for each image)"
                )
        twice = repeated(self.files)
        if twice is not None:
            raise ValueError(f"annotations has '{twice}' twice")
        if isinstance(self.images, list) and (
            isinstance(self.annotations, str) or len(self.images) != len(self.files)
        ):
            raise ValueError(
                f"images is a list of {len(self.images)}, but annotations is not one of as many "
                "files; give a folder for each of them, or one for all"
            )
        column = self.split.column
        if per_image and column and not FOLDER_COLUMN.fullmatch(column):
            raise ValueError(
                f"split.column is '{column}', but with annotations: {self.annotations} it is "
                "folder (the top folder that an image lies in), folder_2 (the folder in that one), "
                "… or null"
            )

    def _check_names(self) -> None:
        if self.names is None:
            return
        if len(self.names) != self.points:
            raise ValueError(
                f"names are {len(self.names)}, but points is {self.points}; give one name for "
                "each point, or null"
            )
        twice = repeated(self.names)
        if twice is not None:
            raise ValueError(f"names has '{twice}' twice; each point needs a name of its own")

    def _check_flip_pairs(self) -> None:
        self._check_range("flip_pairs", (i for pair in self.flip_pairs for i in pair))
        for a, b in self.flip_pairs:
            if a == b:
                raise ValueError(
                    f"flip_pairs has the pair [{a}, {b}] of one point; leave out points that lie "
                    "on the middle line"
                )
        twice = repeated(i for pair in self.flip_pairs for i in pair)
        if twice is not None:
            pairs = [pair for pair in self.flip_pairs if twice in pair]
            raise ValueError(
                f"flip_pairs has point {twice} in {' and in '.join(map(str, pairs))}, so that "
                "mirroring twice does not give the face back; each point may be in one pair only"
            )

    def _check_normalizer(self) -> None:
        self._check_range("normalizer", self.normalizer)
        first, second = self.normalizer
        if first == second:
            raise ValueError(
                f"normalizer is [{first}, {second}], whose distance is always 0; give two "
                "different points"
            )
        flip = self._flip()
        if {int(flip[first]), int(flip[second])} != {first, second}:
            raise ValueError(
                f"normalizer is [{first}, {second}], which mirrored are {flip[first]} and "
                f"{flip[second]}, so that the unit of errors would change with mirroring; give a "
                "flip pair or two points of the middle line"
            )

    def _check_lines(self) -> None:
        for i, line in enumerate(self.contours):
            self._check_range(f"contours.{i}", line.points)
        if self.pupils is None:
            return
        left, right = self.pupils
        self._check_range("pupils", [*left, *right])
        flip = self._flip()
        if sorted(int(flip[i]) for i in left) != sorted(right):
            raise ValueError(
                f"pupils are {left} and {right}, but the first mirrored is "
                f"{sorted(int(flip[i]) for i in left)}; give two groups that flip_pairs swaps, "
                "or null"
            )

    def _check_range(self, key: str, indices: Iterable[int]) -> None:
        for i in indices:
            if i >= self.points:
                raise ValueError(
                    f"{key} has point {i}, but points is {self.points}: they count from 0 to "
                    f"{self.points - 1}"
                )


def read_custom_config(folder: Path) -> CustomConfig:
    """Read and check landmark-kd.yaml in a folder.

    Raises:
        UserError: the folder or the file is missing, or the file is wrong; one sentence with the
            file, the key, its value and what is allowed.
    """
    if not folder.exists():
        raise UserError(f"the folder {folder} {absence(folder)}; give the one with {CONFIG_NAME}.")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; give the folder that holds {CONFIG_NAME}.")
    path = folder / CONFIG_NAME
    if not path.is_file():
        near = [other for other in neighbours(folder, 1) if (other / CONFIG_NAME).is_file()]
        hint = f"did you mean {near[0]}?" if near else f"{DRAFT_HINT.format(folder)}."
        state = "holds no" if any(folder.iterdir()) else "is empty: it holds no"
        raise UserError(f"{folder} {state} {CONFIG_NAME}; {hint}")
    return read_yaml_model(
        path,
        CustomConfig,
        absent=DRAFT_HINT.format(folder),
        example="keys such as name, annotations and points",
        renamed={"pictures": "images"},
        restore="docs/data.md shows a whole file",
    )


def leaves_folder(name: str) -> bool:
    """Tell whether a name is not relative or climbs out of its folder, on any system."""
    paths = (PurePosixPath(name), PureWindowsPath(name))
    return any(".." in path.parts or path.is_absolute() or path.anchor for path in paths)


def _texts(values: list[Any]) -> list[str]:
    """Return values as the texts that a table has for them."""
    return [str(value) for value in values]


def repeated(values: Iterable[Any]) -> Any:
    """Return the first value that is there more than once, or None."""
    return next((value for value, count in Counter(values).items() if count > 1), None)
