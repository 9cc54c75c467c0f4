"""Seeded augmentation: one affine map and one sampling a face, then colour, blur, occlusion."""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

from landmark_kd.config.params import AugmentParams
from landmark_kd.landmarks import geometry

# Ranges of the colour change, each drawn uniformly.
CONTRAST = (0.6, 1.4)
BRIGHTNESS = (-40.0, 40.0)
GAMMA = (0.6, 1.6)
CHANNEL_GAIN = (0.85, 1.15)
GREY_PROBABILITY = 0.15
# Blur of this many pixels (standard deviation) for a crop of 112 px, less for smaller ones.
BLUR_SIGMA = (0.3, 1.6)
BLUR_REFERENCE_SIZE = 112
LEVELS = np.linspace(0, 1, 256)
# Sides of the hidden rectangle, as a share of the crop's side.
OCCLUSION_SIDE = (0.1, 0.45)


class Augmenter:
    """Draws and applies augmentations to stored images of one size.

    Args:
        params: ranges and probabilities.
        size: side of the crop in pixels.
        border: pixels stored around the crop on each side.
        flip: (K,) permutation of the landmarks of a mirrored face.
    """

    def __init__(self, params: AugmentParams, size: int, border: int, flip: np.ndarray) -> None:
        self.params = params
        self.size = size
        self.border = border
        self.flip = flip
        self._shift = params.shift * size

    def __call__(
        self, stored: Iterable[np.ndarray], points: np.ndarray, rngs: Iterable[np.random.Generator]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return augmented crops (N, size, size, 3) and the points that moved with them.

        Args:
            stored: N images (S, S, 3) uint8, S = size + 2 border.
            points: (N, T, K, 2) network coordinates; T sets of landmarks of the same face
                (hard-landmarks, teacher predictions), all moved alike.
            rngs: N sources of all chance, one a face; the same state gives the same result.
        """
        crops = np.empty((len(points), self.size, self.size, 3), np.uint8)
        matrices = np.empty((len(points), 1, 2, 3))
        mirrored = np.empty((len(points), 1), bool)
        for i, (given, rng) in enumerate(zip(stored, rngs, strict=True)):
            matrices[i, 0], mirrored[i, 0] = self.draw_affine(rng)
            crops[i] = self._change_pixels(self.warp(given, matrices[i, 0]), rng)
        return crops, self.move(points, matrices, mirrored)

    # Called for each face: numbers of Python, which for so few are faster than arrays.

    def draw_affine(self, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
        """Draw a map (2, 3) from crop pixels to augmented crop pixels, and whether it mirrors."""
        p = self.params
        turned, scaled, right, down, flipped = rng.random(5).tolist()
        angle = p.rotation * (2 * turned - 1)
        scale = p.scale_min + (p.scale_max - p.scale_min) * scaled
        mirrored = flipped < p.flip
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        side = -cos if mirrored else cos
        turn = -sin if mirrored else sin
        centre = (self.size - 1) / 2
        x = centre + self._shift * (2 * right - 1) - centre * (side - sin)
        y = centre + self._shift * (2 * down - 1) - centre * (turn + cos)
        return np.array(((side, -sin, x), (turn, cos, y))), mirrored

    def warp(self, stored: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Sample the augmented crop from the stored image, once, with a map in crop pixels."""
        # From stored pixels: the crop begins `border` pixels further in.
        (a, b, x), (c, d, y) = matrix.tolist()
        from_stored = ((a, b, x - self.border * (a + b)), (c, d, y - self.border * (c + d)))
        return cv2.warpAffine(
            # A copy in one go brings the image into the cache, which sampling along turned lines
            # does badly: together they take two thirds of the time of sampling alone.
            np.array(stored),
            np.array(from_stored),
            (self.size, self.size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def move(
        self, points: np.ndarray, matrix: np.ndarray, mirrored: np.ndarray | bool
    ) -> np.ndarray:
        """Move points (…, K, 2), network coordinates, with their images.

        Args:
            matrix: (…, 2, 3) in crop pixels.
            mirrored: (…), whether it mirrors. The leading dimensions of all three broadcast.
        """
        pixels = geometry.from_network(points, self.size)
        moved = geometry.to_network(geometry.apply(matrix, pixels), self.size)
        return np.where(np.asarray(mirrored)[..., None, None], moved[..., self.flip, :], moved)

    def _change_pixels(self, crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        p = self.params
        if rng.random() < p.color_jitter:
            crop = _change_colour(crop, rng)
        if rng.random() < p.blur:
            sigma = rng.uniform(*BLUR_SIGMA) * self.size / BLUR_REFERENCE_SIZE
            crop = cv2.GaussianBlur(crop, (0, 0), sigma)
        if rng.random() < p.random_erasing:
            _hide_rectangle(crop, rng)
        return crop


def _change_colour(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast, brightness, gamma and a colour cast in one table; sometimes grey."""
    if rng.random() < GREY_PROBABILITY:
        crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    levels = LEVELS ** rng.uniform(*GAMMA) * 255
    levels = (levels - 128) * rng.uniform(*CONTRAST) + 128 + rng.uniform(*BRIGHTNESS)
    table = levels[:, None] * rng.uniform(*CHANNEL_GAIN, 3)
    return cv2.LUT(crop, np.clip(table, 0, 255).astype(np.uint8)[None])


def _hide_rectangle(crop: np.ndarray, rng: np.random.Generator) -> None:
    """Cover a rectangle with one colour or with noise, in place."""
    size = len(crop)
    height, width = (rng.uniform(*OCCLUSION_SIDE, 2) * size).astype(int).clip(1)
    top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
    patch = crop[top : top + height, left : left + width]
    if rng.random() < 0.5:
        patch[:] = rng.integers(0, 256, 3, dtype=np.uint8)
    else:
        patch[:] = rng.integers(0, 256, patch.shape, dtype=np.uint8)
