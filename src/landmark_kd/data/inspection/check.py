"""Looks a data set over before anybody trains on it: what is there, missing or broken."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.core.names import check_names
from landmark_kd.core.parallel import threaded_map
from landmark_kd.core.progress import ProgressBar
from landmark_kd.data.datasets.base import (
    BadFaces,
    Dataset,
    FaceRecord,
    Part,
    Split,
    check_landmarks,
    rows_by_image,
)
from landmark_kd.data.datasets.registry import CUSTOM, SYNTHETIC, recognised
from landmark_kd.imaging.images import ImageFile, exif_orientation, fits_the_other_way
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.missing import present

SPLITS: tuple[Split, ...] = ("train", "test")
# Sentences on broken faces printed unless all are asked for.
BROKEN_SHOWN = 20
# Images with an EXIF rotation whose landmarks are looked at for whether they fit.
TRIED_TURNED = 200
SIZE_QUANTILES = (0.05, 0.5, 0.95)
# What Hydra's grammar, which `dvc exp run -S` reads, takes without quotes.
PLAIN_VALUE = re.compile(r"[\w./+@%:-]+", re.ASCII)


@dataclass(frozen=True)
class CheckedData:
    """What `check_data` found in a folder.

    Attributes:
        name: `data.name`.
        dataset: what the data set is.
        folder: where it lies.
        faces: the good ones, in the order the set is read.
        broken: (part, sentence) of each face that cannot be used.
    """

    name: str
    dataset: Dataset
    folder: Path
    faces: list[FaceRecord]
    broken: list[tuple[Part, str]]


def check_data(folder: Path, name: str | None = None) -> CheckedData:
    """Read all annotations and decode all images of a data set; broken faces are collected.

    Args:
        name: the `data.name` to take the folder for; None finds it out.

    Raises:
        UserError: the folder is not a data set that is known, or a file that belongs to all faces
            (a list, a table) cannot be read.
    """
    data_name, dataset = recognised(folder, name)
    check_names(folder, dataset.files(folder))
    bad = BadFaces("skip")
    reading = dataset.read(folder, bad)
    records = list(ProgressBar(reading, desc="reading annotations", unit="face", disable=None))

    def faults(rows: list[int]) -> list[tuple[int, UserError]]:
        return list(_faults(dataset, records, rows))

    found: dict[int, UserError] = {}
    with ProgressBar(
        total=len(records), desc="reading images", unit="face", disable=None
    ) as progress:
        # One image a thread is in memory, and nothing of it comes back.
        groups = rows_by_image(records)
        for rows, of_image in zip(groups, threaded_map(faults, groups), strict=True):
            found.update(of_image)
            progress.update(len(rows))
    for row in sorted(found):
        bad.add(records[row].part, found[row])
    good = [record for row, record in enumerate(records) if row not in found]
    return CheckedData(data_name, dataset, folder, good, bad.left_out)


def report(checked: CheckedData, *, all_broken: bool = False) -> str:
    """Return what was found as lines to read in a terminal.

    Args:
        all_broken: print all that is broken rather than the first BROKEN_SHOWN sentences.
    """
    lines = [
        *_head(checked),
        *_counts(checked),
        *(f"note: {note}" for note in checked.dataset.notes),
        *_photos(checked),
        *_orientation(checked),
        *_sizes(checked.faces),
        *_missing(checked.faces),
        *_occlusion(checked.faces),
        *_broken(checked, all_broken),
    ]
    return "\n".join(lines)


def training_command(checked: CheckedData) -> str:
    """Return the shell command that trains on the data set."""
    return command_to_train(checked.name, checked.folder, skip_bad=bool(checked.broken))


def command_to_train(name: str, folder: Path, *, skip_bad: bool = False) -> str:
    """Return the shell command that trains on the set `data.name` in a folder."""
    overrides = [f"data.name={name}"]
    if name != SYNTHETIC:
        overrides.append(f"data.path={_hydra_value(str(folder.absolute()))}")
    if skip_bad:
        overrides.append("data.on_bad=skip")
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(item)}" for item in overrides)])


def _faults(
    dataset: Dataset, records: Sequence[FaceRecord], rows: list[int]
) -> Iterator[tuple[int, UserError]]:
    """Yield the broken ones among the faces of one image, with what is wrong."""
    image = records[rows[0]].image
    try:
        height, width = image.read().shape[:2]
    except UserError as error:
        yield from ((row, error) for row in rows)
        return
    except OSError as error:
        sentence = UserError(f"{image} cannot be read ({error.strerror or error}).")
        yield from ((row, sentence) for row in rows)
        return
    for row in rows:
        try:
            check_landmarks(records[row], dataset.scheme, width=width, height=height)
        except UserError as error:
            yield row, error


def _head(checked: CheckedData) -> Iterator[str]:
    dataset = checked.dataset
    called = "" if dataset.name == checked.name else f" ({dataset.name})"
    yield f"{checked.name}{called} in {checked.folder}"
    yield (
        f"  {dataset.points} landmarks per face; errors are measured in units of the distance "
        f"between the {dataset.scheme.normalizer_name}"
    )
    if dataset.licence:
        yield f"  licence: {dataset.licence}"


def _counts(checked: CheckedData) -> Iterator[str]:
    """Yield the good faces of each split and subset, and what was published but is not there."""
    dataset = checked.dataset
    for split in SPLITS:
        faces = [face for face in checked.faces if face.split == split]
        broken = sum(part.split == split for part, _ in checked.broken)
        published = dataset.published_counts(split)
        line = f"{split}: {_count(len(faces), 'good face')}"
        # A split that is one subset of its own name needs no second line.
        if published.keys() == {split}:
            line += _of_published(published.pop(split))
        if validation := sum(face.validation for face in faces):
            line += f", {validation} of them for validation"
        yield line + (f", {broken} broken" if broken else "")
        rows = dataset.subsets(faces)
        for subset, count in published.items():
            yield f"  {subset}: {len(rows.get(subset, ())) or 'none'}{_of_published(count)}"
        if sum(part.split == split for part in dataset.parts) > 1:
            yield from (f"  not complete: {s}" for s in dataset.missing(faces, split))


def _photos(checked: CheckedData) -> Iterator[str]:
    """Yield how faces share images, and photos or whatever else keeps them together."""
    faces = checked.faces
    images = Counter(face.image for face in faces)
    shared = [n for n in images.values() if n > 1]
    several = (
        f"{len(shared)} with several faces, at most {max(shared)}" if shared else "a face each"
    )
    yield f"images: {len(images)}, {several}"
    groups = Counter(face.photo for face in faces if face.split == "train")
    if checked.dataset.own_validation:
        yield "  validation faces are those that the set says; prepare.validation is not read"
    elif groups:
        yield (
            f"  validation takes train faces by {len(groups)} photos or groups of up to "
            f"{max(groups.values())} faces"
        )
    train, test = ({f.image for f in faces if f.split == split} for split in SPLITS)
    if both := sorted(str(image) for image in train & test):
        yield (
            f"  {_count(len(both), 'image')} with faces in train and in test, which makes test "
            f"errors too small: {_shortened(both)}"
        )


def _orientation(checked: CheckedData) -> Iterator[str]:
    """Yield how images are read that a program may show otherwise than they are stored."""
    faces = checked.faces
    files = dict.fromkeys(face.image for face in faces if isinstance(face.image, ImageFile))
    turned = [file for file in files if exif_orientation(file.path) != 1]
    if not turned:
        return
    yield (
        f"  {_count(len(turned), 'image')} with an EXIF rotation, such as {turned[0]}: read as "
        f"{turned[0].way}"
    )
    shapes = {file: file.read().shape for file in turned[:TRIED_TURNED]}
    wrong = [
        face
        for face in faces
        if isinstance(face.image, ImageFile)
        and (shape := shapes.get(face.image))
        and fits_the_other_way(face.image, face.landmarks, shape[1], shape[0])
    ]
    if wrong:
        yield (
            f"  CHECK: the landmarks of {_count(len(wrong), 'face')} in them, such as "
            f"{wrong[0].name}, fit their images as {turned[0].other_way} alone"
            + "; see orientation in landmark-kd.yaml"
            * (checked.name == CUSTOM)
        )


def _sizes(faces: Sequence[FaceRecord]) -> Iterator[str]:
    if not faces:
        return
    sides = _sides(np.stack([geometry.landmarks_box(face.landmarks) for face in faces]))
    low, middle, high = np.quantile(sides, SIZE_QUANTILES)
    yield (
        f"size of the faces (longer side of the landmarks' box): {middle:.0f} pixels in the "
        f"median, {low:.0f} to {high:.0f} from 5 % to 95 %"
    )
    boxes = [face.box for face in faces if face.box is not None]
    if not boxes:
        yield "boxes: the set brings none (crop.box: landmarks or detector)"
        return
    boxed = sides[[face.box is not None for face in faces]]
    yield (
        f"boxes: {'all faces bring one' if len(boxes) == len(faces) else f'{len(boxes)} faces'}, "
        f"its longer side {np.median(_sides(np.stack(boxes)) / boxed):.2f} times the landmarks' "
        "in the median (crop.box: dataset takes them)"
    )


def _missing(faces: Sequence[FaceRecord]) -> Iterator[str]:
    """Yield how many landmarks are missing."""
    if not faces:
        return
    there = present(np.stack([face.landmarks for face in faces]))
    if not there.all():
        yield (
            f"missing: {100 * (~there).mean():.1f} % of the landmarks, some in "
            f"{_count(int((~there).any(axis=1).sum()), 'face')} of {len(faces)}; nothing is learnt "
            "from them and no error counted"
        )
        never = np.flatnonzero(~there.any(axis=0)).tolist()
        if never:
            yield f"  CHECK: no face has {_shortened([f'point {i}' for i in never])}"


def _occlusion(faces: Sequence[FaceRecord]) -> Iterator[str]:
    marked = [face.occluded for face in faces if face.occluded is not None]
    if marked:
        flags = np.stack(marked)
        yield (
            f"occluded: {100 * flags.mean():.1f} % of the landmarks, some in "
            f"{_count(int(flags.any(axis=1).sum()), 'face')} of {len(marked)}"
        )


def _broken(checked: CheckedData, all_broken: bool) -> Iterator[str]:
    if not checked.broken:
        yield "broken: none"
        return
    yield f"broken: {_count(len(checked.broken), 'face')}"
    # An image that does not decode breaks all of its faces with one sentence.
    sentences = Counter(sentence for _, sentence in checked.broken)
    shown = list(sentences)[: None if all_broken else BROKEN_SHOWN]
    for sentence in shown:
        several = f" ({sentences[sentence]} faces)" if sentences[sentence] > 1 else ""
        yield f"  {sentence}{several}"
    if more := sum(n for sentence, n in sentences.items() if sentence not in shown):
        yield f"  … and {_count(more, 'face')} more; --all names them"


def _hydra_value(text: str) -> str:
    if PLAIN_VALUE.fullmatch(text):
        return text
    # A backslash stands for itself unless it is before a quote or the end.
    escaped = re.sub(r'(\\*)("|\Z)', lambda m: m[1] * 2 + (r"\"" if m[2] else ""), text)
    return f'"{escaped}"'


def _of_published(count: int | None) -> str:
    return "" if count is None else f" of {count} published"


def _sides(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1)


def _count(n: int, one: str, several: str | None = None) -> str:
    return f"{n} {one if n == 1 else several or one + 's'}"


def _shortened(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" * (len(names) > most))
