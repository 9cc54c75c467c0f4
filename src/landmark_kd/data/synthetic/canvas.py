"""Painting with smooth edges: the brush of the synthetic faces.

All points are pixels of the finished image; colours are BGR, 0 to 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

SUPERSAMPLING = 2
_SHIFT = 4  # OpenCV's fixed-point bits for positions below a pixel

Region = tuple[slice, slice]
_WHOLE: Region = (slice(0, None), slice(0, None))

Colour = np.ndarray | Sequence[float]
"""(3,) one BGR colour, or (S, S, 3) float32: a texture as large as the canvas."""


class Canvas:
    """A float32 image at `SUPERSAMPLING` times the finished image's size.

    Attributes:
        image: (S, S, 3) float32 BGR, S = SUPERSAMPLING * size.
    """

    def __init__(self, image: np.ndarray) -> None:
        self.size = image.shape[0]
        side = self.size * SUPERSAMPLING
        self.image = cv2.resize(image.astype(np.float32), (side, side))

    def finished(self) -> np.ndarray:
        """The image at its own size, (size, size, 3) float32."""
        return cv2.resize(self.image, (self.size, self.size), interpolation=cv2.INTER_AREA)

    def fill(
        self,
        contours: np.ndarray | Sequence[np.ndarray],
        colour: Colour,
        alpha: float = 1.0,
        blur: float = 0.0,
        clip: np.ndarray | None = None,
    ) -> None:
        """Paint the inside of one (N, 2) contour or of several.

        Args:
            contours: pixels.
            colour: one colour or a texture.
            alpha: opacity, 0 to 1.
            blur: standard deviation of the edge's softness, pixels.
            clip: (S, S) uint8; nothing is painted where it is 0.
        """
        lines = [contours] if isinstance(contours, np.ndarray) else list(contours)
        mask, region = self._mask_around(np.concatenate(lines), 3 * blur)
        for line in lines:
            cv2.fillPoly(mask, [_fixed(line, region)], 255, cv2.LINE_AA, _SHIFT)
        self._blend(region, _clipped(_softened(mask, blur), clip, region), colour, alpha)

    def stroke(
        self,
        lines: np.ndarray | Sequence[np.ndarray],
        colour: Colour,
        width: float,
        alpha: float = 1.0,
        blur: float = 0.0,
        *,
        closed: bool = False,
        clip: np.ndarray | None = None,
    ) -> None:
        """Paint one (N, 2) line or several, `width` pixels wide; else as `fill`."""
        lines = [lines] if isinstance(lines, np.ndarray) else list(lines)
        mask, region = self._mask_around(np.concatenate(lines), width + 3 * blur)
        thickness = max(1, round(width * SUPERSAMPLING))
        for line in lines:
            fixed = _fixed(line, region)
            cv2.polylines(mask, [fixed], closed, 255, thickness, cv2.LINE_AA, _SHIFT)
        self._blend(region, _clipped(_softened(mask, blur), clip, region), colour, alpha)

    def mask(self, contours: Sequence[np.ndarray], blur: float = 0.0) -> np.ndarray:
        """The inside of contours as (S, S) uint8, 255 inside."""
        result = np.zeros(self.image.shape[:2], np.uint8)
        for contour in contours:
            cv2.fillPoly(result, [_fixed(contour, _WHOLE)], 255, cv2.LINE_AA, _SHIFT)
        return _softened(result, blur)

    def blend(self, mask: np.ndarray, colour: Colour, alpha: float = 1.0) -> None:
        """Paint through a whole-canvas (S, S) uint8 mask."""
        x, y, width, height = cv2.boundingRect(mask)
        region = (slice(y, y + height), slice(x, x + width))
        if width > 0:
            self._blend(region, mask[region], colour, alpha)

    def shade(self, factor: np.ndarray, highlight: np.ndarray) -> None:
        """Multiply by (S, S) `factor` and add (S, S) `highlight`, both float32."""
        self.image = cv2.multiply(self.image, cv2.merge([factor] * 3))
        self.image = cv2.add(self.image, cv2.merge([highlight] * 3))

    def _mask_around(self, points: np.ndarray, margin: float) -> tuple[np.ndarray, Region]:
        """An empty mask just large enough for the points, and its place on the canvas."""
        pad = margin + 2.0
        left, top = ((points.min(axis=0) - pad) * SUPERSAMPLING).tolist()
        right, bottom = ((points.max(axis=0) + pad) * SUPERSAMPLING).tolist()
        side = self.image.shape[0]
        x0, y0 = (min(max(int(low), 0), side - 1) for low in (left, top))
        # At least one pixel, also for what lies outside the canvas.
        x1 = min(max(int(right) + 2, x0 + 1), side)
        y1 = min(max(int(bottom) + 2, y0 + 1), side)
        return np.zeros((y1 - y0, x1 - x0), np.uint8), (slice(y0, y1), slice(x0, x1))

    def _blend(self, region: Region, mask: np.ndarray, colour: Colour, alpha: float) -> None:
        paint = np.asarray(colour)
        here = self.image[region]
        # OpenCV throughout: numpy is several times slower where it broadcasts over 3 channels.
        if paint.ndim == 3:
            change = cv2.subtract(here, paint[region])
        else:
            change = cv2.subtract(here, np.append(paint, 0.0), dtype=cv2.CV_32F)
        weight = cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR)
        change = cv2.multiply(change, weight, scale=alpha / 255, dtype=cv2.CV_32F)
        cv2.subtract(here, change, dst=here)


def _clipped(mask: np.ndarray, clip: np.ndarray | None, region: Region) -> np.ndarray:
    return mask if clip is None else cv2.multiply(mask, clip[region], scale=1 / 255)


def _fixed(points: np.ndarray, region: Region) -> np.ndarray:
    # Pixel i of the finished image is the mean of canvas pixels 2i and 2i + 1, centre 2i + 0.5.
    on_canvas = points * SUPERSAMPLING + (SUPERSAMPLING - 1) / 2
    on_canvas = on_canvas - (region[1].start, region[0].start)
    return np.round(on_canvas * (1 << _SHIFT)).astype(np.int32)


def _softened(mask: np.ndarray, blur: float) -> np.ndarray:
    if blur <= 0:
        return mask
    # Two boxes of width w have the variance (w² - 1) / 6, and cost the same whatever w is.
    # cv2.stackBlur would too, but its result depends on the number of threads.
    half = max(1, round((np.sqrt(6 * (blur * SUPERSAMPLING) ** 2 + 1) - 1) / 2))
    width = (2 * half + 1, 2 * half + 1)
    return cv2.blur(cv2.blur(mask, width), width)


@cache
def _spline_basis(points: int, closed: bool, steps: int) -> np.ndarray:
    """(M, points) weights of a Catmull-Rom spline."""
    segments = points if closed else points - 1
    t = np.arange(steps) / steps
    weights = 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    )
    basis = np.zeros((segments * steps + (not closed), points))
    for segment in range(segments):
        for k, row in enumerate(weights):
            index = segment + k - 1
            index = index % points if closed else min(max(index, 0), points - 1)
            basis[segment * steps : (segment + 1) * steps, index] += row
    if not closed:
        basis[-1, -1] = 1.0
    return basis


def spline(points: np.ndarray, closed: bool = False, steps: int = 6) -> np.ndarray:
    """A smooth (M, D) curve that passes through the (N, D) points (Catmull & Rom 1974)."""
    return np.asarray(_spline_basis(len(points), closed, steps) @ points)


def ellipse(
    centre: np.ndarray, right: np.ndarray, down: np.ndarray, power: float = 1.0
) -> np.ndarray:
    """(32, 2) outline with half-axes `right` and `down`; a power below 1 squares its corners."""
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    if power != 1.0:
        cos = np.sign(cos) * np.abs(cos) ** power
        sin = np.sign(sin) * np.abs(sin) ** power
    return np.asarray(centre + cos * right + sin * down)


def hull(points: np.ndarray) -> np.ndarray:
    """Convex hull of (N, 2) points as an (M, 2) contour."""
    return cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)


def resampled(contour: np.ndarray, count: int) -> np.ndarray:
    """`count` points at equal distances along a closed contour."""
    ring = np.concatenate([contour, contour[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    at = np.linspace(0.0, along[-1], count, endpoint=False)
    return np.column_stack([np.interp(at, along, ring[:, k]) for k in range(2)])


def tinted(colour: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """A colour made brighter and darker by (S, S) `factor`: an (S, S, 3) float32 texture."""
    return cv2.merge([np.clip(factor * np.float32(c), 0, 255) for c in colour])


def noise(rng: np.random.Generator, cells_x: int, cells_y: int, side: int) -> np.ndarray:
    """Smooth noise of zero mean and about unit deviation, (side, side) float32."""
    coarse = rng.standard_normal((cells_y, cells_x), dtype=np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
