"""What the numbers of a landmark scheme mean: names, flip pairs, normalisers, contours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Topology:
    """A landmark scheme of K points, all indices 0-based.

    Attributes:
        points: K.
        names: a name for each point.
        flip: (K,) permutation; point i of a mirrored face is point `flip[i]` of the original.
        outer_eye_corners: the two points of the inter-ocular distance.
        pupils: two groups of points whose means stand for the pupils.
        contours: (indices, closed) of each line to draw.
    """

    points: int
    names: tuple[str, ...]
    flip: np.ndarray
    outer_eye_corners: tuple[int, int]
    pupils: tuple[tuple[int, ...], tuple[int, ...]]
    contours: tuple[tuple[tuple[int, ...], bool], ...]


def _span(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


def _names(groups: list[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(f"{name}_{i}" for name, count in groups for i in range(count))


def _flip(points: int, pairs: list[tuple[int, int]]) -> np.ndarray:
    flip = np.arange(points)
    for a, b in pairs:
        flip[a], flip[b] = b, a
    flip.flags.writeable = False
    return flip


# "left" and "right" are sides of the picture; in a picture that is not mirrored the left eye of
# the picture is the subject's right one.
IBUG_68 = Topology(
    points=68,
    names=_names(
        [
            ("jaw", 17),
            ("left_brow", 5),
            ("right_brow", 5),
            ("nose_bridge", 4),
            ("nose_base", 5),
            ("left_eye", 6),
            ("right_eye", 6),
            ("outer_lip", 12),
            ("inner_lip", 8),
        ]
    ),
    flip=_flip(
        68,
        [(i, 16 - i) for i in range(8)]
        + [(17 + i, 26 - i) for i in range(5)]
        + [(31, 35), (32, 34)]
        + [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
        + [(48, 54), (49, 53), (50, 52), (59, 55), (58, 56)]
        + [(60, 64), (61, 63), (67, 65)],
    ),
    outer_eye_corners=(36, 45),
    pupils=(_span(36, 41), _span(42, 47)),
    contours=(
        (_span(0, 16), False),
        (_span(17, 21), False),
        (_span(22, 26), False),
        (_span(27, 30), False),
        (_span(31, 35), False),
        (_span(36, 41), True),
        (_span(42, 47), True),
        (_span(48, 59), True),
        (_span(60, 67), True),
    ),
)

TOPOLOGIES: dict[int, Topology] = {IBUG_68.points: IBUG_68}
