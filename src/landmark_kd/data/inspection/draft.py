"""A first landmark-kd.yaml for a folder of annotated images, for its owner to check."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_file
from landmark_kd.data.datasets.custom.annotations import (
    Annotations,
    CustomFace,
    Marks,
    folder_columns,
)
from landmark_kd.data.datasets.custom.config import (
    CONFIG_NAME,
    LABELME,
    MISSING_WORDS,
    PTS,
    RESERVED_NAMES,
)
from landmark_kd.data.datasets.custom.image_names import find_images
from landmark_kd.data.datasets.plausible import stand_ins
from landmark_kd.data.datasets.pts import FIRST_PIXEL
from landmark_kd.data.datasets.registry import official_layout
from landmark_kd.data.inspection.check import command_to_train
from landmark_kd.data.inspection.find_annotations import find_annotations
from landmark_kd.data.inspection.orientation import ProposedOrientation, propose_orientation
from landmark_kd.data.inspection.proposals import propose_scheme
from landmark_kd.data.inspection.proposed_split import propose_split
from landmark_kd.landmarks.missing import complete
from landmark_kd.landmarks.scheme import LandmarkScheme

# Begins the comments of a draft that its owner has to look at.
TO_CHECK = "# CHECK:"


def write_draft(folder: Path) -> Path:
    """Write a first landmark-kd.yaml into a folder and return its path.

    Raises:
        UserError: there is one already, or no annotations that can be read; or the folder is a
            known data set in its official layout, which needs none.
    """
    path = folder / CONFIG_NAME
    if path.exists():
        raise UserError(f"{path} is there already; remove it first to have a new one drafted.")
    official = official_layout(folder)
    if official and not official[1]:
        name = official[0]
        raise UserError(
            f"{folder} is {name} in its official layout, which needs no {CONFIG_NAME}: look it "
            f"over with `landmark-kd data check {shlex.quote(str(folder))}`, and train on it with "
            f"`{command_to_train(name, folder)}`."
        )
    text = draft_custom_dataset(folder)
    if official:
        name, missing = official
        text = f"{TO_CHECK} a part of {name} in its official layout? {_comment(missing)}\n{text}"
    with replaced_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def draft_custom_dataset(folder: Path) -> str:
    """Return a first landmark-kd.yaml, with comments, for the annotations found in a folder.

    Raises:
        UserError: there are no annotations that can be read, or several.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder} is not a folder; give the one that holds images and annotations."
        )
    annotated = find_annotations(folder)
    annotations, source, within = annotated.annotations, annotated.source, annotated.within
    first_pixel = int(FIRST_PIXEL) if annotations == PTS else 0
    faces, missing = _read(source, first_pixel)
    marked = [face.marks for face in faces if isinstance(face.marks, Marks)]
    wrong = [face.marks for face in faces if isinstance(face.marks, UserError)]
    if not marked:
        raise wrong[0]
    found = find_images(within, (face.image for face in faces if face.image))
    there = [
        replace(face, image=found.files[face.image])
        for face in faces
        if face.image and face.image in found.files
    ]
    shapes = np.array([marks.landmarks for marks in marked])
    whole = shapes[complete(shapes) & ~np.array([stand_ins(shape).any() for shape in shapes])]
    if not len(whole):
        raise UserError(
            f"none of the {len(shapes)} faces in {folder} has all {source.points} points, from "
            "which a draft finds out how they lie; add such a face, or write landmark-kd.yaml "
            "as docs/data.md shows."
        )
    proposed = propose_scheme(source, whole, folder)
    columns = source.columns()
    split = propose_split(
        columns
        | {
            name: values
            for name, values in folder_columns([face.image for face in there]).items()
            if name not in columns
        }
    )
    unread = f" {len(wrong)} of them cannot be read; the first: {wrong[0]}" if wrong else ""
    guess = "" if proposed.known else " (CHECK: a guess)"
    scheme = proposed.scheme
    pairs = [(i, int(j)) for i, j in enumerate(scheme.flip) if i < j]
    return f"""\
# A draft by landmark-kd of what the data set in this folder is; check it, above all what is
# marked CHECK. Points count from 0. Found:
# {len(faces)} faces of {source.points} points.{_comment(unread)}{_notes(found.notes)}

# Names the test faces in tables and reports: letters, digits, - _ .
name: {_text(_name(folder))}
# A table (.csv), a COCO key-point file (.json), or for each image a .pts file (pts) or a .json
# file by labelme (labelme).
annotations: {_texts(annotations)}
# The folder that names of images are relative to; with pts and labelme the one that is searched.
images: {_texts(annotated.images)}{_orientation(propose_orientation(within, there))}
{TO_CHECK} what the files call the first pixel, 0 or (as Matlab and most .pts files do) 1.
first_pixel: {first_pixel}{_missing(missing)}
points: {source.points}
# A name for each point, or null.
names:{_names(scheme) if proposed.named else " null"}
# The points that swap places when a face is mirrored; all others lie on the middle line.
# {proposed.note}
# The mean of {len(whole)} faces differs from its mirror image by at most
# {proposed.asymmetry:.1f} % of the normalizer's distance, at point {proposed.worst_point}.
flip_pairs:{_block(f"[{a}, {b}]" for a, b in pairs)}
# Errors are measured in distances between these two points{guess}.
normalizer: {list(scheme.normalizer)}
normalizer_name: {_text(scheme.normalizer_name)}
# Two groups of points whose means stand for the pupils, or null.
pupils: {json.dumps(scheme.pupils)}
# Lines to draw through points.
contours:{_block(map(_contour, scheme.contours))}
{TO_CHECK} the test faces; {_comment(split.note)}
split:
  # {_column_note(annotations)}
  # Where faces are drawn, those of one value stay together; null: each image on its own.
  column: {_text(split.column)}
  # The share of the faces that are drawn as test faces, or the values of column that are test
  # faces; null: the values themselves are words such as train, val and test.
  test: {_texts(split.test) if isinstance(split.test, list) else split.test}
  # The values of column that are validation faces; null: they are drawn (prepare.validation).
  validation: {_texts(split.validation)}
  seed: 0
{TO_CHECK} what the images and landmarks may be used for; it goes into trained networks.
licence: {_text(f"Trained on {_name(folder)}, whose licence its owner has not stated.")}
"""


def _notes(notes: Sequence[str]) -> str:
    return "".join(f"\n# {_comment(note)}" for note in notes)


def _orientation(proposed: ProposedOrientation | None) -> str:
    if proposed is None:
        return ""
    return f"\n{TO_CHECK} {proposed.note}\norientation: {proposed.value}"


def _column_note(annotations: str | list[str]) -> str:
    folders = "folder: the top folder below `images` that an image lies in, folder_2 the next."
    if annotations in (PTS, LABELME):
        return folders
    several = not isinstance(annotations, str)
    one = annotations if isinstance(annotations, str) else annotations[0]
    what = (
        "A field of COCO's annotations or images"
        if one.lower().endswith(".json")
        else "A column of the table"
    )
    return f"{what}{', or annotations: the file' if several else ''}; or {folders}"


def _name(folder: Path) -> str:
    """Return the folder's name as far as it can be the data set's."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).lstrip("-_.")[:33] or "custom"
    return f"{name}-custom" if name.casefold() in RESERVED_NAMES else name


def _names(scheme: LandmarkScheme) -> str:
    return "".join(f"\n- {_text(name)}  # {i}" for i, name in enumerate(scheme.names))


def _contour(line: tuple[tuple[int, ...], bool]) -> str:
    points, closed = line
    return f"{{points: {list(points)}, closed: {json.dumps(closed)}}}"


def _block(items: Iterable[str]) -> str:
    lines = [f"\n- {item}" for item in items]
    return "".join(lines) if lines else " []"


def _text(value: str | None) -> str:
    """Return a text as YAML; plain where that cannot be taken for anything else."""
    plain = value is not None and re.fullmatch(r"[A-Za-z][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]", value)
    words = {"null", "true", "false", "yes", "no", "on", "off"}
    if plain and value is not None and value.lower() not in words:
        return value
    return json.dumps(value, ensure_ascii=False)


def _texts(value: str | Sequence[str] | None) -> str:
    """Return a text, or texts in a list, as YAML."""
    if value is None or isinstance(value, str):
        return _text(value)
    return f"[{', '.join(map(_text, value))}]"


def _comment(text: str) -> str:
    """Return a text from elsewhere, such as a column's name, as part of a line of comment."""
    return "".join(c if c.isprintable() else " " for c in text)


def _read(source: Annotations, first_pixel: int) -> tuple[list[CustomFace], list[str]]:
    """Read all faces; return also what stands for missing landmarks in them, as YAML has it."""
    points = source.points

    def wrong(faces: Sequence[CustomFace]) -> int:
        return sum(isinstance(face.marks, UserError) for face in faces)

    faces = source.faces(points, first_pixel, None)
    words: list[str] = []
    if wrong(faces):
        for word in MISSING_WORDS:
            more = source.faces(points, first_pixel, None, [*words, word])
            if wrong(more) < wrong(faces):
                faces, words = more, [*words, word]
    found = [
        (face.marks.landmarks[stand_ins(face.marks.landmarks)] + first_pixel).tolist()
        for face in faces
        if isinstance(face.marks, Marks)
    ]
    values = dict.fromkeys((x, y) for of_face in found for x, y in of_face)
    return faces, [*words, *(f"[{x:g}, {y:g}]" for x, y in values)]


def _missing(marks: Sequence[str]) -> str:
    if not marks:
        return ""
    return f"""
{TO_CHECK} what stands for a landmark that is missing, from which nothing is learnt.
missing: [{", ".join(marks)}]"""
