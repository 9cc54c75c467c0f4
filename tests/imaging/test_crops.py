from __future__ import annotations

import numpy as np
import pytest

from landmark_kd.imaging.crops import sample
from landmark_kd.landmarks import geometry

SCALES = [0.07, 0.13, 0.27, 0.5, 0.77, 1.0, 1.9, 6.3]


def _gradient(height: int, width: int) -> np.ndarray:
    """An image whose blue is x, green y and red constant; float, so that no step rounds."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.full_like(x, 77)], axis=-1).astype(np.float32)


def _moved(matrix: np.ndarray, x: float, y: float) -> np.ndarray:
    return geometry.compose(np.array([[1, 0, x], [0, 1, y]], dtype=float), matrix)


@pytest.mark.parametrize("angle", [0, 0.5, 2.5])
@pytest.mark.parametrize("scale", SCALES)
def test_every_crop_pixel_shows_the_place_its_matrix_says(scale: float, angle: float) -> None:
    image = _gradient(250, 250)
    size = max(4, int(120 * scale))
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = np.array([123.4, 126.3])
    matrix = np.column_stack([linear, (size - 1) / 2 - linear @ middle])
    crop = sample(image, matrix, size)
    y, x = np.mgrid[:size, :size]
    expected = geometry.apply(geometry.invert(matrix), np.stack([x, y], axis=-1).astype(float))
    # OpenCV interpolates at the nearest 1/32 of a pixel, or of a block where it shrinks.
    assert np.abs(crop[..., :2] - expected).max() < max(1, 1 / scale) / 32
    assert (crop[..., 2] == 77).all()


@pytest.mark.parametrize("scale", [0.07, 0.13, 0.27, 0.45])
def test_shrinking_averages_and_does_not_pick_single_pixels(scale: float) -> None:
    checks = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = np.repeat(checks[..., None], 3, axis=2)
    matrix = np.column_stack([np.eye(2) * scale, [-5.3, -4.1]])
    crop = sample(image, matrix, int(300 * scale)).astype(int)
    assert np.abs(crop - 127).max() <= 30


@pytest.mark.parametrize("scale", SCALES)
def test_a_crop_does_not_depend_on_how_much_is_cut_around_it(scale: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 280, 3)).astype(np.uint8)
    size, border = 24, 9
    matrix = np.column_stack([np.eye(2) * scale, np.array([11.5, 11.5]) - scale * 140.2])
    wide = sample(image, _moved(matrix, border, border), size + 2 * border)
    inner = wide[border:-border, border:-border].astype(int)
    difference = np.abs(inner - sample(image, matrix, size))
    # Up to the rounding of OpenCV's fixed-point coordinates: one of 32 steps of 255 levels.
    assert difference.max() <= 9
    assert difference.mean() < 0.5


def test_the_identity_returns_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    np.testing.assert_array_equal(sample(image, np.eye(2, 3), 20), image)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_beyond_the_image_its_edge_pixels_are_repeated(scale: float) -> None:
    image = np.full((40, 40, 3), 50, dtype=np.uint8)
    image[:, 20:] = 200
    matrix = np.column_stack([np.eye(2) * scale, [0, 0]])
    left_of = sample(image, _moved(matrix, 1000, 0), 16)
    right_of = sample(image, _moved(matrix, -1000, 0), 16)
    assert (left_of == 50).all()
    assert (right_of == 200).all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_an_image_of_one_pixel_is_enough(scale: float) -> None:
    image = np.array([[[1, 2, 3]]], dtype=np.uint8)
    crop = sample(image, np.column_stack([np.eye(2) * scale, [4.0, 4.0]]), 8)
    assert crop.shape == (8, 8, 3)
    assert (crop == [1, 2, 3]).all()
