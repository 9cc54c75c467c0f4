"""Faces in a COCO key-point file: `images`, `annotations` with `keypoints`, `categories`.

The format: https://cocodataset.org/#format-data, "Keypoint Detection".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.annotations import CustomFace, Marks, box_of, image_name

# v of a key point x, y, v.
NOT_LABELLED, HIDDEN, VISIBLE = 0, 1, 2
# Fields that every COCO file may have and that say nothing about whose face it is.
_FORMAT_FIELDS = frozenset(
    (
        *("id", "image_id", "category_id", "keypoints", "num_keypoints", "bbox", "area"),
        *("segmentation", "iscrowd", "file_name", "width", "height", "license"),
        *("date_captured", "flickr_url", "coco_url"),
    )
)
# JSON can name half of a character, as \ud83d; without its other half nothing can be written.
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
# Digits of a whole number that is read as one; ids are shorter, and a float has fewer than 310.
_LONGEST_WHOLE = 300

Fields = dict[str, Any]


@dataclass(frozen=True)
class Coco:
    """A COCO file.

    Attributes:
        path: the file.
        images: its images by their id.
        annotations: its annotations of faces; crowds and categories without key points are not.
        names: names of the key points; None where no category says.
        skeleton: pairs of points, 0-based, that lines connect.
    """

    path: Path
    images: dict[int | str, Fields]
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
        """The values of the fields, of annotations or images, that are no part of the format."""
        names = dict.fromkeys(
            name for fields in (*self.annotations, *self.images.values()) for name in fields
        )
        values = {
            name: [_text(self._field(a, name)) for a in self.annotations]
            for name in names
            if name not in _FORMAT_FIELDS
        }
        return {
            name: [value or "" for value in found] for name, found in values.items() if any(found)
        }

    def faces(self, points: int, first_pixel: int, column: str | None) -> list[CustomFace]:
        """Read all faces, annotations in order.

        Raises:
            UserError: no annotation and no image has the field `column`.
        """
        if column and not any(_text(self._field(a, column)) for a in self.annotations):
            known = ", ".join(self.columns()) or "none"
            raise UserError(
                f"{self.path}: no annotation and no image has the field {column}, which "
                f"split.column names; there are {known}."
            )
        hidden = any(_has_hidden(a) for a in self.annotations)
        boxes = self.has_boxes
        found = []
        for annotation in self.annotations:
            where = f"{self.path}, annotation {annotation['id']}"
            image = self._image(annotation)
            marks: Marks | UserError
            if image is None:
                marks = UserError(
                    f"{where}: its image_id {annotation.get('image_id')!r} is not an image's id."
                )
            else:
                marks = _marks(where, annotation, points, first_pixel, boxes=boxes, hidden=hidden)
            found.append(
                CustomFace(
                    where=where,
                    image=None if image is None else image_name(image["file_name"]),
                    group=_text(self._field(annotation, column)) if column else None,
                    marks=marks,
                )
            )
        return found

    def _image(self, annotation: Fields) -> Fields | None:
        key = annotation.get("image_id")
        return self.images.get(key) if isinstance(key, int | str) else None

    def _field(self, annotation: Fields, name: str) -> Any:
        return annotation.get(name, (self._image(annotation) or {}).get(name))


def read_coco(path: Path) -> Coco:
    """Read a COCO key-point file.

    Raises:
        UserError: it is not JSON, no COCO file, has no key points, or an id twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text, parse_int=_whole_number)
        if _HALF_CHARACTER.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path} has a text that is not Unicode: {error}.") from None
    except (ValueError, RecursionError) as error:  # no JSON, no text, nested too deep
        raise UserError(f"{path} is not JSON: {error}.") from None
    images = {}
    for i, image in enumerate(_entries(path, content, "images")):
        key = _id(f"{path}, images[{i}]", image)
        if key in images:
            raise UserError(f"{path}, images[{i}]: another image has the id {key!r} too.")
        if not (isinstance(image.get("file_name"), str) and image["file_name"]):
            raise UserError(f"{path}, image {key}: has no file_name.")
        images[key] = image
    annotations = {}
    for i, annotation in enumerate(_entries(path, content, "annotations")):
        key = _id(f"{path}, annotations[{i}]", annotation)
        if key in annotations:
            raise UserError(f"{path}, annotations[{i}]: another annotation has the id {key!r} too.")
        annotations[key] = annotation
    if not any(map(_has_points, annotations.values())):
        raise UserError(
            f"{path} has no key points: none of its {len(annotations)} annotations has "
            "'keypoints'; export key points, not boxes or outlines alone."
        )
    categories = _categories(path, content)
    faces = tuple(a for a in annotations.values() if _is_face(a, categories))
    if not faces:
        raise UserError(f"{path} has no face: all its annotations with key points are crowds.")
    names, skeleton = _scheme(faces, categories)
    return Coco(path, images, faces, names, skeleton)


def _whole_number(text: str) -> int | float:
    """Return a whole number; one beyond all floats is infinite, as 1e999 is."""
    return int(text) if len(text) < _LONGEST_WHOLE else float(text)


def _entries(path: Path, content: Any, key: str) -> Iterator[Fields]:
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise UserError(f"{path} is not a COCO key-point file: it has no list '{key}'.")
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise UserError(f"{path}, {key}[{i}]: must be an object, but is {str(entry)[:40]!r}.")
        yield entry


def _id(where: str, entry: Fields) -> int | str:
    key = entry.get("id")
    if not isinstance(key, int | str):
        raise UserError(f"{where}: its id must be a number or a text, but is {key!r}.")
    return key


def _categories(path: Path, content: Fields) -> dict[int | str, Fields]:
    """The categories by their id; a file without any is read as one of faces alone."""
    if "categories" not in content:
        return {}
    return {
        _id(f"{path}, categories[{i}]", category): category
        for i, category in enumerate(_entries(path, content, "categories"))
    }


def _is_face(annotation: Fields, categories: dict[int | str, Fields]) -> bool:
    category = _category(annotation, categories)
    other_thing = (
        category is not None
        and not category.get("keypoints")
        and not _has_points(annotation)
        and any(c.get("keypoints") for c in categories.values())
    )
    return not annotation.get("iscrowd") and not other_thing


def _category(annotation: Fields, categories: dict[int | str, Fields]) -> Fields | None:
    key = annotation.get("category_id")
    return categories.get(key) if isinstance(key, int | str) else None


def _scheme(
    faces: tuple[Fields, ...], categories: dict[int | str, Fields]
) -> tuple[tuple[str, ...] | None, tuple[tuple[int, int], ...]]:
    """Names and skeleton of the first face's category, as far as they make sense."""
    category = _category(next(a for a in faces if _has_points(a)), categories) or {}
    names = category.get("keypoints")
    if not (isinstance(names, list) and names and all(isinstance(n, str) and n for n in names)):
        return None, ()
    edges = category.get("skeleton")
    return tuple(names), tuple(
        (edge[0] - 1, edge[1] - 1)  # COCO counts key points from 1
        for edge in (edges if isinstance(edges, list) else [])
        if isinstance(edge, list)
        and len(edge) == 2
        and all(isinstance(i, int) and 1 <= i <= len(names) for i in edge)
        and edge[0] != edge[1]
    )


def _marks(
    where: str, annotation: Fields, points: int, first_pixel: int, *, boxes: bool, hidden: bool
) -> Marks | UserError:
    keypoints = annotation.get("keypoints")
    if not _is_numbers(keypoints):
        return UserError(f"{where}: 'keypoints' must be the numbers x, y, v of each point.")
    if len(keypoints) != 3 * points:
        count = f"{len(keypoints) / 3:g} key points"
        return UserError(
            f"{where}: has {count} ({len(keypoints)} numbers, three a point), not {points}."
        )
    table = np.array(keypoints, dtype=np.float64).reshape(points, 3)
    if not np.isfinite(table).all():
        return UserError(f"{where}: key point {_first(~np.isfinite(table).all(1))} is not finite.")
    seen = table[:, 2]
    if (seen == NOT_LABELLED).any():
        return UserError(
            f"{where}: key point {_first(seen == NOT_LABELLED)} is not labelled (v = 0); each "
            "face needs all points."
        )
    unknown = ~np.isin(seen, [HIDDEN, VISIBLE])
    if unknown.any():
        i = _first(unknown)
        return UserError(f"{where}: v of key point {i} is {seen[i]:g}, but v is 0, 1 or 2.")
    box = None
    if boxes:
        numbers = annotation["bbox"]
        if not _is_numbers(numbers) or len(numbers) != 4:
            return UserError(f"{where}: 'bbox' must be the numbers x, y, width, height.")
        try:
            box = box_of(where, numbers, first_pixel)
        except UserError as error:
            return error
    return Marks(table[:, :2] - first_pixel, box, seen == HIDDEN if hidden else None)


def _has_points(annotation: Fields) -> bool:
    return isinstance(annotation.get("keypoints"), list) and bool(annotation["keypoints"])


def _has_hidden(annotation: Fields) -> bool:
    return _has_points(annotation) and any(v == HIDDEN for v in annotation["keypoints"][2::3])


def _is_numbers(value: Any) -> TypeGuard[list[float]]:
    return isinstance(value, list) and all(type(v) in (int, float) for v in value)


def _first(found: ArrayLike) -> int:
    return int(np.flatnonzero(found)[0])


def _text(value: Any) -> str | None:
    """A field's value as the text that names a group; lists and the like name none."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int | float) and math.isfinite(value) else None
