"""Faces in a COCO key-point file: `images`, `annotations` with `keypoints`, `categories`.

The format: https://cocodataset.org/#format-data, "Keypoint Detection". Of COCO-WholeBody, whose
annotations are people, the face of each is read: `face_kpts` with its `face_box`
(https://github.com/jin-s13/COCO-WholeBody/blob/master/data_format.md).
"""

from __future__ import annotations

import math
from codecs import BOM_UTF8
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import from_json

from landmark_kd.core.errors import UserError
from landmark_kd.core.schema import Section, check_model
from landmark_kd.data.datasets.custom.annotations import (
    CustomFace,
    Marks,
    box_of,
    check_pairs,
    image_name,
    stated_size,
)
from landmark_kd.data.datasets.custom.config import EMPTY, FOLDER_COLUMN, NOT_LABELLED

# v of a key point x, y, v; 0: not labelled.
HIDDEN, VISIBLE = 1, 2
# Fields that every COCO file may have and that say nothing about whose face it is.
_FORMAT_FIELDS = frozenset(
    (
        *("id", "image_id", "category_id", "keypoints", "num_keypoints", "bbox", "area"),
        *("segmentation", "iscrowd", "file_name", "width", "height", "license"),
        *("date_captured", "flickr_url", "coco_url"),
        *(f"{part}_valid" for part in ("face", "lefthand", "righthand", "foot")),
    )
)
_NUMBERS = TypeAdapter(list[float], config=ConfigDict(strict=True))

Fields = Mapping[str, Any]


class CocoEntry(Section):
    """An entry of a list; a mistake in its further fields makes one face bad, not the file."""

    model_config = ConfigDict(extra="allow")

    id: Any

    @field_validator("id")
    @classmethod
    def _number_or_text(cls, key: Any) -> str:
        text = _id_text(key)
        if text is None:
            raise ValueError(f"must be a number or a text, but is {key!r}")
        return text


class CocoImage(CocoEntry):
    """An image, its name relative to the set's images."""

    file_name: Annotated[str, Field(min_length=1)]


class CocoFile(Section):
    """A file; one without categories is read as one of faces alone."""

    model_config = ConfigDict(extra="ignore")

    images: list[CocoImage]
    annotations: list[CocoEntry]
    categories: list[CocoEntry] = Field(default_factory=list)

    @field_validator("images", "annotations")
    @classmethod
    def _no_id_twice(cls, entries: list[CocoEntry]) -> list[CocoEntry]:
        first: dict[str, int] = {}
        for i, entry in enumerate(entries):
            if first.setdefault(entry.id, i) != i:
                raise ValueError(f"entries {first[entry.id]} and {i} both have the id {entry.id}")
        return entries


@dataclass(frozen=True)
class Coco:
    """The faces of a COCO file; crowds and categories without key points are none.

    Attributes:
        path: the file.
        annotations: the fields of each face, its own before those of its image; `file_name` is
            the image's, None where the image_id is not an image's id.
        names: names of the key points; None where no category says.
        skeleton: pairs of points, 0-based, that lines connect.
    """

    path: Path
    annotations: tuple[Fields, ...]
    names: tuple[str, ...] | None
    skeleton: tuple[tuple[int, int], ...]

    @property
    def points(self) -> int:
        if self.names is not None:
            return len(self.names)
        return next(len(a["keypoints"]) for a in self.annotations if _has_points(a)) // 3

    @property
    def has_boxes(self) -> bool:
        return all(a.get("bbox") for a in self.annotations)

    def columns(self) -> dict[str, list[str]]:
        """Return the values of the fields, of annotations or images, beyond the format's."""
        names = dict.fromkeys(name for a in self.annotations for name in a)
        values = {name: self._texts(name) for name in names if name not in _FORMAT_FIELDS}
        return {
            name: [text or "" for text in texts] for name, texts in values.items() if any(texts)
        }

    def faces(
        self, points: int, first_pixel: int, column: str | None, missing: Collection[str] = ()
    ) -> list[CustomFace]:
        """Read all faces, annotations in order.

        Raises:
            UserError: no annotation and no image has the field `column`.
        """
        groups = self._texts(column) if column else [None] * len(self.annotations)
        if column and not any(groups) and not FOLDER_COLUMN.fullmatch(column):
            known = ", ".join(self.columns()) or "none"
            raise UserError(
                f"{self.path}: no annotation and no image has the field {column}, which "
                f"split.column names; there are {known}."
            )
        boxes = self.has_boxes
        hidden = any(_has_points(a) and HIDDEN in a["keypoints"][2::3] for a in self.annotations)
        found = []
        for annotation, group in zip(self.annotations, groups, strict=True):
            where = f"{self.path}, annotation {annotation['id']}"
            name = annotation["file_name"]
            marks: Marks | UserError
            try:
                if name is None:
                    raise UserError(
                        f"{where}: its image_id {annotation.get('image_id')!r} is not an image's "
                        "id."
                    )
                table = _table(where, annotation.get("keypoints"), points, missing)
                marks = Marks(
                    landmarks=table[:, :2] - first_pixel,
                    box=_box(where, annotation["bbox"], first_pixel) if boxes else None,
                    occluded=table[:, 2] == HIDDEN if hidden else None,
                )
            except UserError as error:
                marks = error
            size = stated_size(annotation.get("width"), annotation.get("height"))
            found.append(CustomFace(where, name and image_name(name), group, marks, size))
        return found

    def _texts(self, name: str) -> list[str | None]:
        return [_text(a.get(name)) for a in self.annotations]


def read_coco(path: Path) -> Coco:
    """Read a COCO key-point file.

    Raises:
        UserError: it is not JSON, not a COCO file, has no key points, or an id twice.
    """
    try:
        content = from_json(path.read_bytes().removeprefix(BOM_UTF8))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}.") from None
    file = check_model(
        path,
        content,
        CocoFile,
        example="the lists images and annotations of a COCO key-point file",
        restore="https://cocodataset.org/#format-data says what a COCO key-point file holds",
    )
    annotations = [dict(annotation) for annotation in file.annotations]
    whole_body = any(annotation.get("face_kpts") for annotation in annotations)
    if whole_body:
        annotations = [_face(annotation) for annotation in annotations if _has_face(annotation)]
    if not any(map(_has_points, annotations)):
        raise UserError(
            f"{path} has no key points: none of its {len(annotations)} annotations has "
            "'keypoints'; export key points, not boxes or outlines alone."
        )
    categories = {category.id: dict(category) for category in file.categories}
    with_points = {key for key, entry in categories.items() if entry.get("keypoints")}
    others = categories.keys() - with_points if with_points else set()
    faces = [
        a
        for a in annotations
        if not a.get("iscrowd") and (_has_points(a) or _key(a, "category_id") not in others)
    ]
    first = next(filter(_has_points, faces), None)
    if first is None:
        raise UserError(f"{path} has no face: all its annotations with key points are crowds.")
    category = {} if whole_body else categories.get(_key(first, "category_id"), {})
    names, skeleton = _scheme(category)
    images = {image.id: dict(image) for image in file.images}
    merged = []
    for annotation in faces:
        image = images.get(_key(annotation, "image_id"), {"file_name": None})
        merged.append({**image, **annotation, "file_name": image["file_name"]})
    return Coco(path, tuple(merged), names, skeleton)


def _has_face(person: Fields) -> bool:
    return bool(person.get("face_kpts")) and person.get("face_valid") is not False


def _face(person: Fields) -> dict[str, Any]:
    """Return a person of COCO-WholeBody as an annotation of the face alone.

    v is not that of COCO there, but how sure an annotating network was; 0: not labelled.
    """
    points = person["face_kpts"]
    if isinstance(points, list):
        points = [VISIBLE if i % 3 == 2 and v else v for i, v in enumerate(points)]
    return {**person, "keypoints": points, "bbox": person.get("face_box")}


def _has_points(annotation: Fields) -> bool:
    return isinstance(annotation.get("keypoints"), list) and bool(annotation["keypoints"])


def _key(annotation: Fields, name: str) -> str | None:
    """Return the id of another entry that a field names, if it can be one."""
    return _id_text(annotation.get(name))


def _id_text(key: Any) -> str | None:
    """Return an id as text: some tools write 7 in one place and "7" or 7.0 in another."""
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    return str(key) if isinstance(key, int | str) else None


def _scheme(category: Fields) -> tuple[tuple[str, ...] | None, tuple[tuple[int, int], ...]]:
    """Return names and skeleton of a category, as far as they make sense."""
    names, edges = category.get("keypoints"), category.get("skeleton")
    if not (isinstance(names, list) and names and all(isinstance(n, str) and n for n in names)):
        return None, ()
    return tuple(names), tuple(
        (edge[0] - 1, edge[1] - 1)  # COCO counts key points from 1
        for edge in (edges if isinstance(edges, list) else [])
        if isinstance(edge, list)
        and len(edge) == 2
        and all(isinstance(i, int) and 1 <= i <= len(names) for i in edge)
        and edge[0] != edge[1]
    )


def _table(where: str, keypoints: Any, points: int, missing: Collection[str]) -> np.ndarray:
    """Return x, y, v of each key point, (points, 3) float64; x and y NaN where missing."""
    if EMPTY in missing and isinstance(keypoints, list):
        keypoints = [math.nan if number is None else number for number in keypoints]
    numbers = _numbers(keypoints)
    if numbers is None:
        raise UserError(f"{where}: 'keypoints' must be the numbers x, y, v of each point.")
    if len(numbers) != 3 * points:
        raise UserError(
            f"{where}: has {len(numbers) / 3:g} key points ({len(numbers)} numbers, three a "
            f"point), not {points}."
        )
    table = np.array(numbers).reshape(points, 3)
    if EMPTY in missing:
        check_pairs(where, table[:, :2])
        table[np.isnan(table[:, 0]), 2] = VISIBLE
    if NOT_LABELLED in missing:
        table[table[:, 2] == 0] = np.nan, np.nan, VISIBLE
    finite = np.isfinite(table).all(axis=1) | (np.isnan(table[:, 0]) & bool(missing))
    seen = table[:, 2]
    if not finite.all():
        raise UserError(f"{where}: key point {_first(~finite)} is not finite.")
    if (seen == 0).any():
        raise UserError(
            f"{where}: key point {_first(seen == 0)} is not labelled (v = 0); each face needs all "
            "points, or landmark-kd.yaml says `missing: v0`."
        )
    unknown = ~np.isin(seen, [HIDDEN, VISIBLE])
    if unknown.any():
        i = _first(unknown)
        raise UserError(f"{where}: v of key point {i} is {seen[i]:g}, but v is 0, 1 or 2.")
    return table


def _box(where: str, bbox: Any, first_pixel: int) -> np.ndarray:
    numbers = _numbers(bbox)
    if numbers is None or len(numbers) != 4:
        raise UserError(f"{where}: 'bbox' must be the numbers x, y, width, height.")
    return box_of(where, numbers, first_pixel)


def _numbers(value: Any) -> list[float] | None:
    """Return a list of numbers, which may be infinite; None where it is not one."""
    try:
        return _NUMBERS.validate_python(value)
    except ValidationError:
        return None


def _first(found: ArrayLike) -> int:
    return int(np.flatnonzero(found)[0])


def _text(value: Any) -> str | None:
    """Return a field's value as the text that names a group; lists and the like name none."""
    if isinstance(value, str):
        return value.strip() or None
    named = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return str(value) if named else None
