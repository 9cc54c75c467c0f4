"""Seeded augmentation: one affine map and one sampling a face, then colour, blur, occlusion."""

from __future__ import annotations

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
        angle = rng.uniform(-p.rotation, p.rotation)
        scale = rng.uniform(p.scale_min, p.scale_max)
        shift = rng.uniform(-p.shift, p.shift, 2) * self.size
        mirrored = bool(rng.random() < p.flip)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[cos, -sin], [sin, cos]])
        if mirrored:
            linear = linear @ np.diag([-1.0, 1.0])
        centre = np.full(2, (self.size - 1) / 2)
        return np.column_stack([linear, centre + shift - linear @ centre]), mirrored

    def warp(self, stored: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Sample the augmented crop from the stored picture, once, with a map in crop pixels."""
        to_crop = np.array([[1.0, 0.0, -self.border], [0.0, 1.0, -self.border]])
        return cv2.warpAffine(
            stored,
            geometry.compose(matrix, to_crop),
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
    levels = np.linspace(0, 1, 256) ** rng.uniform(*GAMMA) * 255
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
