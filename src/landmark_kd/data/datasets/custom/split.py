"""Which faces of a custom data set are for training, which for validation and which for test."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import Split
from landmark_kd.data.datasets.custom.annotations import CustomFace, in_short
from landmark_kd.data.datasets.custom.config import SplitConfig

Use = Literal["train", "validation", "test"]

# What people and tools call the three, alone or before a word such as set or images: Train,
# TESTSET, val2017, training_images.
_WORDS: dict[Use | Literal["evaluation"], str] = {
    "train": "train|training|trainval|trn",
    "validation": "val|valid|validate|validation|dev|devel|development",
    "test": "test|tests|testing|tst|holdout|heldout",
    "evaluation": "eval|evaluation",
}
_THINGS = "sets?|data|split|images?|imgs?|faces?|labels?|annotations?|landmarks?|list"


@dataclass(frozen=True)
class PlacedFace:
    """A face, its use, and the name of what may not be of two uses."""

    face: CustomFace
    use: Use
    photo: str

    @property
    def split(self) -> Split:
        return "test" if self.use == "test" else "train"


def uses_of(values: Iterable[str]) -> dict[str, Use]:
    """Return what the values of a column call a use by one of its usual words, in any case.

    Faces for evaluation are test faces, or, beside other test faces, validation faces.
    """
    # Of a file the name says more than the folders that it lies in.
    words = {
        value: word for value in values if (word := _word(value.rpartition("/")[2]) or _word(value))
    }
    evaluation: Use = "validation" if "test" in words.values() else "test"
    return {value: evaluation if word == "evaluation" else word for value, word in words.items()}


def place(faces: Sequence[CustomFace], split: SplitConfig, config_file: str) -> list[PlacedFace]:
    """Tell for each face, in order, what it is for, as landmark-kd.yaml says.

    Args:
        config_file: the name of that file, for messages.

    Raises:
        UserError: no face is for training or for test, a value is of no use or of no face, or an
            image would be of two uses.
    """
    if isinstance(split.test, float) and not split.validation:
        groups = [face.group if split.column else face.image for face in faces]
        return _by_share(faces, groups, split, split.test, config_file)
    placed = _as_said(faces, split, _uses(faces, split, config_file))
    if isinstance(split.test, float):
        rest = [i for i, one in enumerate(placed) if one.use == "train"]
        others = [faces[i] for i in rest]
        images = [face.image for face in others]
        drawn = _by_share(others, images, split, split.test, config_file)
        for i, one in zip(rest, drawn, strict=True):
            placed[i] = one
    for use in get_args(Split):
        if not any(one.use == use and one.face.group for one in placed):
            raise UserError(
                f"{config_file}: {split.column} says {use} of no face, but both must be"
                + (
                    "; give a share, such as 0.2, as split.test to have test faces drawn."
                    if use == "test"
                    else "."
                )
            )
    return placed


def choose_test(counts: Mapping[str, int], share: float, seed: int) -> set[str]:
    """Choose groups until they hold a share of all faces: at least one, and never all.

    The order in which groups are taken is that of a hash of seed and name, so that it depends on
    no other group: groups that are added later leave the choice much as it was.

    Args:
        counts: number of faces of each group, two groups or more.
        share: the share of the faces, in (0, 1).
        seed: the choice's; another one gives another choice.
    """
    order = sorted(counts, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    wanted = round(share * sum(counts.values()))
    chosen: set[str] = set()
    faces = 0
    for name in order[:-1]:
        if chosen and faces >= wanted:
            break
        chosen.add(name)
        faces += counts[name]
    return chosen


def _word(value: str) -> Use | Literal["evaluation"] | None:
    """Return which of the words a value has, if it has one alone."""
    text = re.sub(r"(?i)train[ _+-]*val", "trainval", value)
    # What is not a letter parts words, and so may a capital.
    tokens = re.findall(r"[A-Za-z]+", text) + re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text)
    found = {
        use
        for use, words in _WORDS.items()
        for token in tokens
        if re.fullmatch(f"(?:{words})(?:{_THINGS})?", token.casefold())
    }
    return found.pop() if len(found) == 1 else None


def _uses(faces: Sequence[CustomFace], split: SplitConfig, config_file: str) -> dict[str, Use]:
    """Return the use of each value of the column, for training where nothing else is said."""
    values = dict.fromkeys(face.group for face in faces if face.group)
    if split.test is None:
        uses = uses_of(values)
        for face in faces:
            if face.group and face.group not in uses:
                raise UserError(
                    f"{face.where}: {split.column} is '{face.group}', but with split.test: null in "
                    f"{config_file} it must say train, validation or test; or list the values of "
                    "test faces as split.test, and of validation faces as split.validation."
                )
        return uses
    uses = dict.fromkeys(values, "train")
    listed: dict[Use, Sequence[str]] = {
        "validation": split.validation or (),
        "test": split.test_values or (),
    }
    for use, names in listed.items():
        for name in names:
            same = [value for value in values if value.casefold() == name.strip().casefold()]
            if not same:
                raise UserError(
                    f"{config_file}: split.{use} has '{name}', but {split.column} is that of no "
                    f"face; it is {in_short(values)}."
                )
            uses.update(dict.fromkeys(same, use))
    return uses


def _as_said(
    faces: Sequence[CustomFace], split: SplitConfig, uses: Mapping[str, Use]
) -> list[PlacedFace]:
    """Place faces by the values of the column; those without one count as train faces."""
    said: dict[str, CustomFace] = {}
    for face in faces:
        if face.image and face.group:
            first = said.setdefault(face.image, face)
            if uses[first.group or ""] != uses[face.group]:
                raise UserError(
                    f"{face.where}: {split.column} is {face.group}, but {first.where} with the "
                    f"same image {face.image} has {first.group}; an image can be of one split only."
                )
    return [
        PlacedFace(face, uses.get(face.group or "", "train"), face.image or "") for face in faces
    ]


def _by_share(
    faces: Sequence[CustomFace],
    groups: Sequence[str | None],
    split: SplitConfig,
    share: float,
    config_file: str,
) -> list[PlacedFace]:
    """Place faces by their groups, of which those of the test faces are drawn."""
    merged = _joined_by_images(
        [(g, f.image) for g, f in zip(groups, faces, strict=True) if g and f.image]
    )
    counts = Counter(merged.get(group, group) for group in groups if group)
    if len(counts) < 2:
        one = len(counts) == 1
        what = f"{'is' if one else 'are'} {len(counts)} {'value' if split.column else 'image'}"
        what += ("" if one else "s") + (f" of {split.column}" if split.column else "")
        joined = len(set(groups) - {None}) > len(counts)
        together = " once those that share an image are one" if joined else ""
        cure = (
            "set split.column to another column, or to null for each image on its own"
            if split.column
            else "add images"
        )
        raise UserError(
            f"{config_file}: there {what}{together}, but training and test faces need at least one "
            f"each; {cure}."
        )
    test = choose_test(counts, share, split.seed)
    photos = [merged.get(group, group) if group else "" for group in groups]
    return [
        PlacedFace(face, "test" if photo in test else "train", photo)
        for face, photo in zip(faces, photos, strict=True)
    ]


def _joined_by_images(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return for each group the first name, in order, of those it is joined with.

    Groups with faces in one image cannot be in different splits: the image would be in both.

    Args:
        pairs: (group, image) of each face.
    """
    groups = {name: i for i, name in enumerate(sorted({group for group, _ in pairs}))}
    images = {name: i for i, name in enumerate(sorted({image for _, image in pairs}))}
    rows = [groups[group] for group, _ in pairs]
    columns = [len(groups) + images[image] for _, image in pairs]
    size = len(groups) + len(images)
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    for name, i in groups.items():
        first.setdefault(int(label[i]), name)
    return {name: first[int(label[i])] for name, i in groups.items()}
