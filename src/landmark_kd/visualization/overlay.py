"""Landmarks drawn on an image: contours as lines, points as dots, with a dark rim around both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

import cv2
import numpy as np

from landmark_kd.landmarks.missing import present, sound

Colour = tuple[int, int, int]
Contours = Sequence[tuple[Sequence[int], bool]]

# BGR, as OpenCV draws.
GREEN: Colour = (80, 255, 80)
RIM: Colour = (0, 0, 0)

# A face of this many pixels is drawn with lines one pixel wide.
FACE_PIXELS_PER_LINE_PIXEL = 250
# Sigma in shares of the face's extent, up to which a landmark is drawn in full and from which on it
# is faintest, and how visible it is then, of 255. Typical landmarks have 0.01.
SURE = (0.02, 0.06)
FAINTEST = 60
# OpenCV takes coordinates in 1 / 2^SHIFT pixels.
SHIFT = 4
# OpenCV's integer coordinates overflow beyond this; such a point is far outside any image.
FAR = 30_000


def draw_landmarks(
    image: np.ndarray,
    landmarks: np.ndarray,
    contours: Contours = (),
    colour: Colour = GREEN,
    *,
    thickness: int | None = None,
    uncertainty: np.ndarray | None = None,
) -> np.ndarray:
    """Return a copy of an image with one face's landmarks on it.

    Args:
        image: (H, W, 3) uint8 BGR; not changed.
        landmarks: (K, 2) float, pixels of `image`; may lie outside of it. Missing ones (NaN) are
            not drawn, and no line to them.
        contours: (indices, closed) of each line, as in `LandmarkScheme.contours`.
        colour: BGR of lines and points; a dark rim keeps them visible on any background.
        thickness: of the lines in pixels; None takes it from the size of the face.
        uncertainty: (K,) sigma of each landmark, pixels; those with a large one are drawn faint.

    Raises:
        ValueError: a landmark is neither finite nor missing.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    if not sound(landmarks):
        raise ValueError("landmarks to draw must be finite")
    there = present(landmarks)
    if not there.all():
        lines = [line for line, closed in contours for line in _without(line, closed, there)]
        number = np.cumsum(there) - 1  # of each landmark among those that are there
        return draw_landmarks(
            image,
            landmarks[there],
            [(number[list(line)].tolist(), False) for line in lines],
            colour,
            thickness=thickness,
            uncertainty=None if uncertainty is None else uncertainty[there],
        )
    if not len(landmarks):
        return np.ascontiguousarray(image).copy()
    extent = float(np.ptp(landmarks, axis=0).max())
    if thickness is None:
        thickness = max(1, round(extent / FACE_PIXELS_PER_LINE_PIXEL))
    fixed_point = np.rint(landmarks.clip(-FAR, FAR) * 2**SHIFT).astype(np.int32)
    radius = round(1.25 * thickness * 2**SHIFT)
    rim = max(1, thickness // 2)

    drawn = np.ascontiguousarray(image).copy()
    for width, ink in ((thickness + 2 * rim, RIM), (thickness, colour)):
        for indices, closed in contours:
            line = fixed_point[list(indices)]
            cv2.polylines(drawn, [line], closed, ink, width, cv2.LINE_AA, SHIFT)
    for grow, ink in ((rim << SHIFT, RIM), (0, colour)):
        for x, y in fixed_point.tolist():
            cv2.circle(drawn, (x, y), radius + grow, ink, cv2.FILLED, cv2.LINE_AA, SHIFT)
    if uncertainty is None or not extent > 0:
        return drawn
    opacity = np.interp(uncertainty / extent, SURE, (255, FAINTEST)).round().astype(int).tolist()
    mask = np.zeros(image.shape[:2], np.uint8)
    wide = thickness + 2 * rim + 1
    for indices, closed in contours:
        ends = [*indices, indices[0]] if closed else list(indices)
        for a, b in pairwise(ends):
            line, ink = fixed_point[[a, b]], (opacity[a] + opacity[b]) // 2
            cv2.polylines(mask, [line], False, ink, wide, cv2.LINE_AA, SHIFT)
    grown = radius + (rim + 1 << SHIFT)
    for (x, y), ink in zip(fixed_point.tolist(), opacity, strict=True):
        cv2.circle(mask, (x, y), grown, ink, cv2.FILLED, cv2.LINE_AA, SHIFT)
    # Around the face alone: a photo may be much larger.
    x, y, width, height = cv2.boundingRect(mask)
    area = slice(y, y + height), slice(x, x + width)
    share = mask[area][..., None] / np.float32(255)
    faint = image[area] + share * (drawn[area].astype(np.float32) - image[area])
    drawn[area] = faint.round().astype(np.uint8)
    return drawn


def _without(line: Sequence[int], closed: bool, there: np.ndarray) -> Iterator[list[int]]:
    """Yield the parts of a line between missing landmarks, each of one landmark or more."""
    points = list(line)
    if closed:
        gap = next((i for i, point in enumerate(points) if not there[point]), None)
        # A closed line that is cut goes on from its end to its beginning.
        points = [*points, points[0]] if gap is None else [*points[gap:], *points[:gap]]
    for known, part in groupby(points, key=lambda point: bool(there[point])):
        if known:
            yield list(part)
