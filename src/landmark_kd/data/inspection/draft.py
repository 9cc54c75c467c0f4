"""A first landmark-kd.yaml for a folder of annotated images, for its owner to check."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_file
from landmark_kd.core.names import check_names
from landmark_kd.data.datasets.custom.annotations import (
    Annotations,
    CustomFace,
    Marks,
    folder_columns,
)
from landmark_kd.data.datasets.custom.coco import read_coco
from landmark_kd.data.datasets.custom.config import (
    CONFIG_NAME,
    LABELME,
    PTS,
    RESERVED_NAMES,
    leaves_folder,
)
from landmark_kd.data.datasets.custom.image_names import find_images, spellings
from landmark_kd.data.datasets.custom.labelme import Labelme, is_labelme, read_labelme
from landmark_kd.data.datasets.custom.pts_tree import PtsTree, folders_below, read_pts_tree
from landmark_kd.data.datasets.custom.table import read_table
from landmark_kd.data.datasets.pts import FIRST_PIXEL
from landmark_kd.data.datasets.pts_folders import LANDMARKS_SUFFIX
from landmark_kd.data.datasets.registry import official_layout
from landmark_kd.data.inspection.check import command_to_train
from landmark_kd.data.inspection.orientation import ProposedOrientation, propose_orientation
from landmark_kd.data.inspection.proposals import propose_scheme
from landmark_kd.data.inspection.proposed_split import propose_split
from landmark_kd.landmarks.scheme import LandmarkScheme

# Begins the comments of a draft that its owner has to look at.
TO_CHECK = "# CHECK:"

# Names of images that are looked for to find their folder.
TRIED_IMAGES = 50


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
    annotations, source = _find(folder)
    first_pixel = int(FIRST_PIXEL) if annotations == PTS else 0
    faces = source.faces(source.points, first_pixel, None)
    if isinstance(source, PtsTree | Labelme):
        within = source.folder
    else:
        within = _images_folder(folder, annotations, faces)
    images = within.relative_to(folder).as_posix()
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
    proposed = propose_scheme(source, np.array([marks.landmarks for marks in marked]), folder)
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
annotations: {_text(annotations)}
# The folder that names of images are relative to; with pts and labelme the one that is searched.
images: {_text(images)}{_orientation(propose_orientation(within, there))}
{TO_CHECK} what the files call the first pixel, 0 or (as Matlab and most .pts files do) 1.
first_pixel: {first_pixel}
points: {source.points}
# A name for each point, or null.
names:{_names(scheme) if proposed.named else " null"}
# The points that swap places when a face is mirrored; all others lie on the middle line.
# {proposed.note}
# The mean of {len(marked)} faces differs from its mirror image by at most
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
  test: {_values(split.test)}
  # The values of column that are validation faces; null: they are drawn (prepare.validation).
  validation: {_values(split.validation)}
  seed: 0
{TO_CHECK} what the images and landmarks may be used for; it goes into trained networks.
licence: {_text(f"Trained on {_name(folder)}, whose licence its owner has not stated.")}
"""


def _find(folder: Path) -> tuple[str, Annotations]:
    """Return the annotations in a folder and their file's name, or pts.

    Raises:
        UserError: there are none, or several.
    """
    found: dict[str, Annotations] = {}
    refused: list[str] = []
    labelme = _labelme(folder, [path for path in _files(folder, (".json",)) if is_labelme(path)])
    for path in _files(folder, (".csv", ".json")):
        if labelme is not None and path in labelme.files:
            continue
        try:
            name = path.relative_to(folder).as_posix()
            found[name] = read_coco(path) if path.suffix.lower() == ".json" else read_table(path)
        except UserError as error:
            refused.append(str(error))
    pts = _files(folder, (LANDMARKS_SUFFIX,))
    per_image = [f"{LANDMARKS_SUFFIX} files"] if pts else []
    per_image += ["labelme files"] if labelme else []
    if len(found) + len(per_image) > 1:
        names = [*found, *per_image]
        raise UserError(
            f"{folder} holds several annotations: {', '.join(names)}; move all but one of them "
            f"out of it, or write {CONFIG_NAME} yourself."
        )
    if pts:
        return PTS, _pts_tree(folder, pts)
    if labelme is not None:
        return LABELME, labelme
    if found:
        return next(iter(found.items()))
    why = f" ({refused[0].removesuffix('.')})" if refused else ""
    raise UserError(
        f"{folder} holds no annotations that can be read{why}: wanted is one .csv table with the "
        "columns image, x0, y0, x1, y1, …, one COCO .json with key points, or for each image a "
        ".pts file or a .json file by labelme."
    )


def _pts_tree(folder: Path, pts: Sequence[Path]) -> PtsTree:
    """Read the .pts files from the lowest folder that holds them and images for them."""
    below = read_pts_tree(Path(os.path.commonpath([file.parent for file in pts])))
    whole = read_pts_tree(folder)
    return whole if whole.across > below.across else below


def _labelme(folder: Path, files: Sequence[Path]) -> Labelme | None:
    """Read labelme files from the lowest folder that holds them and their images."""
    if not files:
        return None
    below = read_labelme(Path(os.path.commonpath([file.parent for file in files])))
    faces = below.faces(below.points, 0, None)
    absent = find_images(below.folder, (face.image for face in faces if face.image)).absent
    return read_labelme(folder) if absent else below


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    files = [
        path
        for within in folders_below(folder)
        for path in sorted(within.iterdir())
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    ]
    check_names(folder, files)
    return files


def _images_folder(folder: Path, annotations: str, faces: Sequence[CustomFace]) -> Path:
    """Return the folder, `folder` or one within, in which most of the named images are."""
    tried = list(dict.fromkeys(face.image for face in faces if face.image))[:TRIED_IMAGES]
    folders = list(folders_below(folder))
    present = {
        path: sum(any(_is_in(path, text) for text in spellings(name)) for name in tried)
        for path in folders
    }
    best = max(folders, key=lambda path: present[path])
    found = find_images(folder, tried) if present[best] < len(tried) else None
    if found is None or present[best] >= max(1, len(found.files)):
        return best
    if not found.files:
        sentence = (
            f"{folder} and the folders in it hold none of the images that {annotations} names"
        )
        example = "".join(f": {name}, for one, {why}" for name, why in [*found.absent.items()][:1])
        raise UserError(f"{sentence}{example}.")
    return folder / os.path.commonpath(
        [PurePosixPath(name).parent for name in found.files.values()]
    )


def _is_in(folder: Path, name: str) -> bool:
    return not leaves_folder(name) and os.path.isfile(folder / name)


def _notes(notes: Sequence[str]) -> str:
    return "".join(f"\n# {_comment(note)}" for note in notes)


def _orientation(proposed: ProposedOrientation | None) -> str:
    if proposed is None:
        return ""
    return f"\n{TO_CHECK} {proposed.note}\norientation: {proposed.value}"


def _column_note(annotations: str) -> str:
    if annotations in (PTS, LABELME):
        return "folder: the top folder below `images` that an image lies in, folder_2 the next."
    what = (
        "A field of the annotations or images"
        if annotations.lower().endswith(".json")
        else "A column of the table"
    )
    return f"{what}; or folder, the top folder in the images' names, folder_2 the next."


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


def _values(value: float | list[str] | None) -> str:
    return f"[{', '.join(map(_text, value))}]" if isinstance(value, list) else json.dumps(value)


def _comment(text: str) -> str:
    """Return a text from elsewhere, such as a column's name, as part of a line of comment."""
    return "".join(c if c.isprintable() else " " for c in text)
