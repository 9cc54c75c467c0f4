"""What the property tests draw: damaged files, faces, boxes, maps; and how many of each.

The tests draw the same each time. LANDMARK_KD_FUZZ=50 draws other ones and 50 times as many, for
a long search for defects: `LANDMARK_KD_FUZZ=50 pytest tests/test_properties_*.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from landmark_kd.landmarks import geometry

FACTOR = int(os.environ.get("LANDMARK_KD_FUZZ", "1"))


def examples(count: int) -> settings:
    """Settings of a test of `count` examples, or FACTOR times as many."""
    return settings(
        deadline=None,
        database=None,
        derandomize=FACTOR == 1,
        max_examples=count * FACTOR,
        # Of a long search the first find is enough; making it small takes longer than the search.
        phases=[Phase.explicit, Phase.generate] + [Phase.shrink] * (FACTOR == 1),
        suppress_health_check=[HealthCheck.too_slow] * (FACTOR > 1),
    )


# What breaks programs that read text: odd line ends and numbers, other scripts' digits, halves of
# characters, terminal escapes, depth, length, and the marks of the formats themselves.
TOKENS = tuple(
    token if isinstance(token, bytes) else token.encode()
    for token in (
        *("", "\0", "\n", "\r", "\r\n\r\n", "\x0b", "\x1b[2J", "\u2028", "\ufeff", b"\xff\xfe"),
        *("nan", "-inf", "1e999", "1e308", "-1e308", "1e-320", "1e9", "-0", "9" * 400, "9" * 5000),
        *("٣", "½", "1_0", "0x10", "1,5", "--1", "0b_", "2020-99-99", "null", "true", "~"),
        *('"', "'", ",", ";", "\t", "{", "}", "[", "]", ":", "#", "|", "- ", "&a ", "*a", "!!int "),
        *("!!timestamp ", "!!python/object/apply:os.system ", "\\ud800", "\\u0000", "%", "@"),
        *("../", "/", "\\", ".", "a" * 300, "x" * 200_000, "[" * 3000, '{"a":' * 3000),
    )
)
_NUMBER = re.compile(rb"[-+]?\d+(\.\d+)?")


@dataclass(frozen=True)
class Edit:
    """One way to damage a file; `at` is a place, as a share of its length."""

    kind: str
    at: float
    length: int
    token: bytes

    def __call__(self, content: bytes) -> bytes:
        i = int(self.at * len(content))
        j = i + self.length
        if self.kind == "flip" and content:
            flipped = content[i] ^ (1 << self.length % 8)
            return content[:i] + bytes([flipped]) + content[i + 1 :]
        if self.kind == "remove":
            return content[:i] + content[j:]
        if self.kind == "end":
            return content[:i]
        if self.kind == "repeat":
            return content[:j] + content[i:]
        if self.kind == "number":
            return content[:i] + _NUMBER.sub(lambda _: self.token, content[i:], count=1)
        return content[:i] + self.token + content[i:]


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Files that were `content` before one to four edits, and now and then any bytes at all."""
    edits = st.builds(
        Edit,
        kind=st.sampled_from(["flip", "remove", "end", "repeat", "number", "insert"]),
        at=st.floats(0, 1, exclude_max=True),
        length=st.integers(0, 80),
        token=st.sampled_from(TOKENS),
    )

    def apply(edits: Sequence[Callable[[bytes], bytes]]) -> bytes:
        changed = content
        for edit in edits:
            changed = edit(changed)
        return changed

    return st.lists(edits, min_size=1, max_size=4).map(apply) | st.binary(max_size=300)


def shapes(faces: int, points: int, size: float = 1000.0) -> st.SearchStrategy[np.ndarray]:
    """Landmarks (faces, points, 2), no two of a face in one place."""

    def drawn(seed: int, centre: float, extent: float) -> np.ndarray:
        return centre + np.random.default_rng(seed).uniform(-extent, extent, (faces, points, 2))

    return st.builds(drawn, seeds(), st.floats(-size, size), st.floats(size / 1000, size))


def seeds() -> st.SearchStrategy[int]:
    return st.integers(0, 2**32 - 1)


def boxes() -> st.SearchStrategy[np.ndarray]:
    """Boxes (4,) of images as they are, from half a pixel to far larger than any."""
    place, side = st.floats(-1e5, 1e5), st.floats(0.5, 1e5)
    return st.builds(lambda x, y, w, h: np.array([x, y, x + w, y + h]), place, place, side, side)


def similarities(
    scales: tuple[float, float] = (0.05, 20.0), shift: float = 1000.0, *, mirrored: bool = True
) -> st.SearchStrategy[np.ndarray]:
    """Maps (2, 3) that turn, scale, shift and, if `mirrored`, sometimes mirror."""

    def drawn(angle: float, scale: float, x: float, y: float, mirror: bool) -> np.ndarray:
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if mirror else 1.0, 1.0])
        return np.column_stack([linear, [x, y]])

    place = st.floats(-shift, shift)
    mirror = st.booleans() if mirrored else st.just(False)
    return st.builds(drawn, st.floats(-np.pi, np.pi), st.floats(*scales), place, place, mirror)


def affine_maps() -> st.SearchStrategy[np.ndarray]:
    """Maps (2, 3) that stretch, too, and can be inverted without losing more than digits."""
    stretched = st.floats(0.2, 5).map(lambda factor: np.array([[factor, 0, 0], [0, 1.0, 0]]))
    outer, inner = similarities(), similarities((1.0, 1.0), 1.0)
    return st.builds(
        lambda a, b, c: geometry.compose(a, geometry.compose(b, c)), outer, stretched, inner
    )
