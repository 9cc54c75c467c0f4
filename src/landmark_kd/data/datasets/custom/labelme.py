"""Faces in labelme's JSON files: one for each image, with a shape of type point a landmark.

The format: https://github.com/wkentaro/labelme, `labelme/_label_file.py`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field
from pydantic_core import from_json

from landmark_kd.core.errors import UserError
from landmark_kd.core.schema import Section, check_model
from landmark_kd.data.datasets.custom.annotations import CustomFace, Marks, in_short, stated_size
from landmark_kd.data.datasets.custom.config import EMPTY
from landmark_kd.data.datasets.custom.pts_tree import folders_below
from landmark_kd.imaging.images import IMAGE_SUFFIXES

SUFFIX = ".json"
# Labels that are told apart by a number alone.
_NUMBERED = re.compile(r"(\D*)([0-9]+)(\D*)")

# A point and what it is called.
Point = tuple[str, tuple[float, float]]


class LabelmeShape(Section):
    """A shape; its points are x, y in pixels."""

    model_config = ConfigDict(extra="ignore")

    label: Any
    points: list[list[float]]
    shape_type: str | None = None
    group_id: Any = None


class LabelmeFile(Section):
    """A file; the image's name is relative to it."""

    model_config = ConfigDict(extra="ignore")

    shapes: list[LabelmeShape]
    image: str | None = Field(default=None, alias="imagePath")
    width: Any = Field(default=None, alias="imageWidth")
    height: Any = Field(default=None, alias="imageHeight")


@dataclass(frozen=True)
class _Group:
    """The points of one face: those of a file that have the same group_id.

    Attributes:
        where: the file, and the group where it is not the only one.
        image: name of the image, relative to the folder that is searched where it is there.
        size: width and height as the file has them.
        points: in the order of the file.
    """

    where: str
    image: str | None
    size: tuple[int, int] | None
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Labelme:
    """The labelme files in a folder and the folders in it.

    Attributes:
        folder: the folder that was searched.
        files: the files, folders and names in order.
        groups: their faces; a sentence for a file that cannot be read.
        names: labels of the landmarks in order; None where all points have the same.
    """

    folder: Path
    files: list[Path]
    groups: tuple[_Group | tuple[Path, UserError], ...]
    names: tuple[str, ...] | None

    @property
    def points(self) -> int:
        if self.names is not None:
            return len(self.names)
        counts = Counter(len(group.points) for group in self.groups if isinstance(group, _Group))
        return counts.most_common(1)[0][0]

    @property
    def has_boxes(self) -> bool:
        return False

    def columns(self) -> dict[str, list[str]]:
        return {}

    def faces(
        self, points: int, first_pixel: int, column: str | None, missing: Collection[str] = ()
    ) -> list[CustomFace]:
        """Read all faces, files in order; what they are split by is the images' folders."""
        found = []
        for group in self.groups:
            if not isinstance(group, _Group):
                file, error = group
                found.append(CustomFace(str(file), None, None, error))
                continue
            marks: Marks | UserError
            try:
                marks = Marks(self._landmarks(group, points, EMPTY in missing) - first_pixel)
            except UserError as error:
                marks = error
            found.append(CustomFace(group.where, group.image, None, marks, group.size))
        return found

    def _landmarks(self, group: _Group, points: int, partial: bool) -> np.ndarray:
        """Return the landmarks (points, 2) of a face in their order, NaN where it has none."""
        by_label = dict(group.points)
        if self.names is None:
            ordered = [xy for _, xy in group.points]
        else:
            counts = Counter(label for label, _ in group.points)
            twice = next((label for label, n in counts.items() if n > 1), None)
            if twice is not None:
                raise UserError(
                    f"{group.where}: has the label '{twice}' twice; faces of one image must be "
                    "told apart by group_id."
                )
            unknown = next((label for label in by_label if label not in self.names), None)
            if unknown is not None:
                raise UserError(
                    f"{group.where}: has a point with the label '{unknown}', but the landmarks are "
                    f"{in_short(self.names)}."
                )
            missing = [name for name in self.names if name not in by_label]
            if missing and not partial:
                more = f" and {len(missing) - 1} more" * (len(missing) > 1)
                raise UserError(
                    f"{group.where}: has no point with the label '{missing[0]}'{more}; each face "
                    "needs all points, or landmark-kd.yaml says `missing: empty`."
                )
            ordered = [by_label.get(name, (np.nan, np.nan)) for name in self.names]
        if len(ordered) != points:
            raise UserError(f"{group.where}: has {len(ordered)} points, not {points}.")
        landmarks = np.array(ordered, dtype=np.float64).reshape(points, 2)
        if not (np.isfinite(landmarks) | (np.isnan(landmarks) & partial)).all():
            raise UserError(f"{group.where}: a point is not finite.")
        return landmarks


def is_labelme(path: Path) -> bool:
    """Tell whether a JSON file looks like labelme's."""
    content = path.read_bytes()
    return b'"shapes"' in content and b'"imagePath"' in content


def read_labelme(folder: Path, names: Sequence[str] | None = None) -> Labelme:
    """Read the labelme files in a folder and in those within it; hidden ones are left out.

    Args:
        folder: the folder.
        names: of the points in landmark-kd.yaml; as far as they are labels, they give the order.
            Otherwise numbers at the end of the labels do, or else the first of the files with
            most points.

    Raises:
        UserError: none of the files has a point.
    """
    files = [
        path
        for within in folders_below(folder)
        for path in sorted(within.iterdir())
        if path.suffix.lower() == SUFFIX
        and not path.name.startswith(".")
        and path.is_file()
        and is_labelme(path)
    ]
    groups: list[_Group | tuple[Path, UserError]] = []
    for path in files:
        try:
            groups += _groups(path, folder)
        except UserError as error:
            groups.append((path, error))
    faces = [group for group in groups if isinstance(group, _Group)]
    if not faces:
        errors = [str(group[1]) for group in groups if not isinstance(group, _Group)]
        raise UserError(
            f"{folder} and its subfolders hold no labelme file with a shape of type point"
            + (f": {errors[0]}" if errors else ".")
        )
    return Labelme(folder, files, tuple(groups), _order(faces, names))


def _groups(path: Path, folder: Path) -> list[_Group]:
    """Return the faces of one file."""
    try:
        content = from_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}.") from None
    file = check_model(
        path,
        content,
        LabelmeFile,
        example="the list shapes of a labelme file",
        restore="save the file with labelme again",
    )
    groups: dict[Any, list[Point]] = {}
    for i, shape in enumerate(file.shapes):
        if shape.shape_type != "point":
            continue
        if len(shape.points) != 1 or len(shape.points[0]) != 2:
            raise UserError(f"{path}: shapes.{i} is a point, but its points are {shape.points}.")
        x, y = shape.points[0]
        groups.setdefault(str(shape.group_id), []).append((str(shape.label), (x, y)))
    several = len(groups) > 1
    return [
        _Group(
            where=f"{path}, group_id {group}" if several else str(path),
            image=_image(file.image, path, folder),
            size=stated_size(file.width, file.height),
            points=tuple(points),
        )
        for group, points in groups.items()
    ]


def _image(name: str | None, path: Path, folder: Path) -> str | None:
    """Return the image that a file is for, as well as that can be told.

    That is the one its imagePath names, or one of that name, or of the file's own, beside it.
    """
    slashed = (name or "").replace("\\", "/")
    beside = [path.with_suffix(suffix).name for suffix in IMAGE_SUFFIXES]
    for tried in [slashed, slashed.rsplit("/", 1)[-1], *beside]:
        image = Path(os.path.normpath(path.parent / tried))
        if tried and image.is_relative_to(folder) and os.path.isfile(image):
            return image.relative_to(folder).as_posix()
    return slashed.strip() or None


def _order(faces: Sequence[_Group], names: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the labels in the order of the landmarks; None where all points have the same."""
    fullest = max(faces, key=lambda face: len(face.points))
    labels = tuple(dict.fromkeys(label for label, _ in fullest.points))
    if names and set(names) & set(labels):
        return tuple(names)
    if len(labels) == 1 < len(fullest.points):
        return None
    numbered = {label: m for label in labels if (m := _NUMBERED.fullmatch(label))}
    if len(numbered) == len(labels) and len({(m[1], m[3]) for m in numbered.values()}) == 1:
        return tuple(sorted(labels, key=lambda label: int(numbered[label][2])))
    return labels
