"""What the numbers of a landmark scheme mean: names, flip pairs, normalisers, contours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from landmark_kd.core.errors import UserError


@dataclass(frozen=True)
class LandmarkScheme:
    """A landmark scheme of K points, all indices 0-based.

    Attributes:
        names: a name for each point.
        flip: (K,) permutation; point i of a mirrored face is point `flip[i]` of the original.
        normalizer: the two points whose distance is the unit of errors.
        normalizer_name: what these two are, in words.
        pupils: two groups of points whose means stand for the pupils; None where the scheme has
            none.
        contours: (indices, closed) of each line to draw.
    """

    names: tuple[str, ...]
    flip: np.ndarray
    normalizer: tuple[int, int]
    normalizer_name: str
    pupils: tuple[tuple[int, ...], tuple[int, ...]] | None
    contours: tuple[tuple[tuple[int, ...], bool], ...]

    @property
    def points(self) -> int:
        """K, the number of points."""
        return len(self.names)

    def to_json(self) -> dict[str, Any]:
        """Return the scheme as what JSON knows; `from_json` is the way back."""
        return {**vars(self), "flip": self.flip.tolist()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> LandmarkScheme:
        """Read what `to_json` returned, after a way through a file.

        Raises:
            TypeError: an attribute is missing, or there is one too many.
        """
        values = {name: _tuples(value) for name, value in content.items()}
        return cls(**{**values, "flip": frozen_flip(values["flip"])})


def convert(landmarks: np.ndarray, source: LandmarkScheme, target: LandmarkScheme) -> np.ndarray:
    """Return landmarks of one scheme as the nearest that there is in another.

    WFLW's 98 points become iBUG's 68 by the table `WFLW_TO_IBUG`; docs/landmarks.md shows how far
    the two schemes agree. Landmarks of the same scheme come back as they are.

    Args:
        landmarks: (..., K, 2) of `source`.

    Returns:
        (..., L, 2) of `target`, in the units of `landmarks`.

    Raises:
        ValueError: `landmarks` are not of `source`.
        UserError: no table leads from `source` to `target`.
    """
    if landmarks.ndim < 2 or landmarks.shape[-2:] != (source.points, 2):
        raise ValueError(f"expected (..., {source.points}, 2) landmarks, got {landmarks.shape}")
    if source.names == target.names:
        return landmarks
    table = _CONVERSIONS.get((source.names, target.names))
    if table is None:
        raise UserError(
            f"{source.points} landmarks of one scheme cannot be turned into {target.points} of "
            f"another; only WFLW's 98 into iBUG's 68 can."
        )
    return landmarks[..., table, :]


def flip_of_pairs(points: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return the permutation (points,) that swaps each pair and keeps all other points."""
    flip = list(range(points))
    for a, b in pairs:
        flip[a], flip[b] = b, a
    return frozen_flip(flip)


def frozen_flip(flip: Iterable[int]) -> np.ndarray:
    """Return a permutation as an array that cannot be changed by accident."""
    array = np.array(list(flip))
    array.flags.writeable = False
    return array


def _span(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


def _names(groups: list[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(f"{name}_{i}" for name, count in groups for i in range(count))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


# The 68-point scheme: Sagonas et al., "300 faces in-the-wild challenge", ICCVW 2013.
# "left" and "right" are sides of the image; in an image that is not mirrored the left eye of
# the image is the subject's right one.
IBUG_68 = LandmarkScheme(
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
    flip=flip_of_pairs(
        68,
        [(i, 16 - i) for i in range(8)]
        + [(17 + i, 26 - i) for i in range(5)]
        + [(31, 35), (32, 34)]
        + [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
        + [(48, 54), (49, 53), (50, 52), (59, 55), (58, 56)]
        + [(60, 64), (61, 63), (67, 65)],
    ),
    normalizer=(36, 45),
    normalizer_name="outer eye corners",
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

# The scheme of Burgos-Artizzu, Perona & Dollár, "Robust face landmark estimation under
# occlusion", ICCV 2013.
COFW_29 = LandmarkScheme(
    names=(
        "left_brow_outer",
        "right_brow_outer",
        "left_brow_inner",
        "right_brow_inner",
        "left_brow_top",
        "left_brow_bottom",
        "right_brow_top",
        "right_brow_bottom",
        "left_eye_outer",
        "right_eye_outer",
        "left_eye_inner",
        "right_eye_inner",
        "left_eye_top",
        "left_eye_bottom",
        "right_eye_top",
        "right_eye_bottom",
        "left_eye_pupil",
        "right_eye_pupil",
        "nose_left",
        "nose_right",
        "nose_tip",
        "nose_bottom",
        "outer_lip_left",
        "outer_lip_right",
        "outer_lip_top",
        "inner_lip_top",
        "inner_lip_bottom",
        "outer_lip_bottom",
        "chin",
    ),
    flip=flip_of_pairs(
        29,
        [(a, a + 1) for a in (0, 2, 8, 10, 16, 18, 22)] + [(a, a + 2) for a in (4, 5, 12, 13)],
    ),
    normalizer=(8, 9),
    normalizer_name="outer eye corners",
    pupils=((16,), (17,)),
    contours=(
        ((0, 4, 2, 5), True),
        ((1, 6, 3, 7), True),
        ((8, 12, 10, 13), True),
        ((9, 14, 11, 15), True),
        ((16,), False),
        ((17,), False),
        ((18, 20, 19, 21), True),
        ((22, 24, 23, 27), True),
        ((22, 25, 23, 26), True),
        ((28,), False),
    ),
)

# The scheme of Wu et al., "Look at boundary: a boundary-aware face alignment algorithm", CVPR 2018.
WFLW_98 = LandmarkScheme(
    names=(
        *_names(
            [
                ("jaw", 33),
                ("left_brow", 9),
                ("right_brow", 9),
                ("nose_bridge", 4),
                ("nose_base", 5),
                ("left_eye", 8),
                ("right_eye", 8),
                ("outer_lip", 12),
                ("inner_lip", 8),
            ]
        ),
        "left_eye_pupil",
        "right_eye_pupil",
    ),
    flip=flip_of_pairs(
        98,
        [(i, 32 - i) for i in range(16)]
        + [(33 + i, 46 - i) for i in range(5)]
        + [(38 + i, 50 - i) for i in range(4)]
        + [(55, 59), (56, 58)]
        + [(60 + i, 72 - i) for i in range(5)]
        + [(65, 75), (66, 74), (67, 73)]
        + [(76, 82), (77, 81), (78, 80), (87, 83), (86, 84)]
        + [(88, 92), (89, 91), (95, 93)]
        + [(96, 97)],
    ),
    normalizer=(60, 72),
    normalizer_name="outer eye corners",
    pupils=((96,), (97,)),
    contours=(
        (_span(0, 32), False),
        (_span(33, 41), True),
        (_span(42, 50), True),
        (_span(51, 54), False),
        (_span(55, 59), False),
        (_span(60, 67), True),
        (_span(68, 75), True),
        (_span(76, 87), True),
        (_span(88, 95), True),
        ((96,), False),
        ((97,), False),
    ),
)

SCHEMES: dict[int, LandmarkScheme] = {
    scheme.points: scheme for scheme in (COFW_29, IBUG_68, WFLW_98)
}

# Point i of IBUG_68 is point WFLW_TO_IBUG[i] of WFLW_98, or the nearest to it that there is: the
# jaw's every second point, the brows' upper edges, the eyes without the middles of their lids.
WFLW_TO_IBUG: tuple[int, ...] = (
    *range(0, 33, 2),
    *_span(33, 37),
    *_span(42, 46),
    *_span(51, 59),
    *(60, 61, 63, 64, 65, 67),
    *(68, 69, 71, 72, 73, 75),
    *_span(76, 95),
)

# By the points' names: two schemes may have the same number of points.
_CONVERSIONS = {(WFLW_98.names, IBUG_68.names): WFLW_TO_IBUG}
