"""Seeded augmentation: one affine map and one sampling a face, then colour, blur, occlusion."""

from __future__ import annotations

import math

import cv2
import numpy as np

from landmark_kd import geometry
from landmark_kd.params import AugmentParams

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
    """Draws and applies augmentations to stored pictures of one size.

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
        # Of rotation, scale and shift in x and y (pixels), drawn together: one call a face.
        shift = params.shift * size
        self._low = np.array([-params.rotation, params.scale_min, -shift, -shift])
        self._high = np.array([params.rotation, params.scale_max, shift, shift])

    def __call__(
        self, stored: np.ndarray, points: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return an augmented crop (size, size, 3) and the points that moved with it.

        Args:
            stored: (S, S, 3) uint8, S = size + 2 border.
            points: (T, K, 2) network coordinates; T sets of landmarks of the same face
                (hard-landmarks, teacher predictions), all moved alike.
            rng: source of all chance; the same generator state gives the same result.
        """
        matrix, mirrored = self.draw_affine(rng)
        crop = self.warp(stored, matrix)
        moved = self.move(points, matrix, mirrored)
        return self._change_pixels(crop, rng), moved

    def draw_affine(self, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
        """Draw a map (2, 3) from crop pixels to augmented crop pixels, and whether it mirrors."""
        p = self.params
        angle, scale, *shift = rng.uniform(self._low, self._high).tolist()
        mirrored = bool(rng.random() < p.flip)
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        side = -1.0 if mirrored else 1.0
        linear = np.array([[side * cos, -sin], [side * sin, cos]])
        centre = np.full(2, (self.size - 1) / 2)
        matrix = np.empty((2, 3))
        matrix[:, :2] = linear
        matrix[:, 2] = centre + shift - linear @ centre
        return matrix, mirrored

    def warp(self, stored: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Sample the augmented crop from the stored picture, once, with a map in crop pixels."""
        # From stored pixels: the crop begins `border` pixels further in.
        from_stored = matrix.copy()
        from_stored[:, 2] -= self.border * matrix[:, :2].sum(axis=1)
        return cv2.warpAffine(
            stored,
            from_stored,
            (self.size, self.size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def move(self, points: np.ndarray, matrix: np.ndarray, mirrored: bool) -> np.ndarray:
        """Move points (…, K, 2), network coordinates, with the picture."""
        pixels = geometry.from_network(points, self.size)
        moved = geometry.to_network(geometry.apply(matrix, pixels), self.size)
        return moved[..., self.flip, :] if mirrored else moved

    def _change_pixels(self, crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        p = self.params
        if rng.random() < p.colour:
            crop = _change_colour(crop, rng)
        if rng.random() < p.blur:
            sigma = rng.uniform(*BLUR_SIGMA) * self.size / BLUR_REFERENCE_SIZE
            crop = cv2.GaussianBlur(crop, (0, 0), sigma)
        if rng.random() < p.occlusion:
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
