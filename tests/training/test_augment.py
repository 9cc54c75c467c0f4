"""Augmentation: image and points move alike, seeded, in the ranges of the parameters."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from landmark_kd.config.params import AugmentParams
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.training.augment import Augmenter
from tests.support.augmentation import STILL

SIZE, BORDER = 96, 24
PAPER = {"rotation": 0.55, "scale_min": 0.7, "scale_max": 1.3, "shift": 0.05, "flip": 0.5}


def augmenter(**changes: float) -> Augmenter:
    return Augmenter(AugmentParams(**{**STILL.model_dump(), **changes}), SIZE, BORDER, IBUG_68.flip)


def augmented(
    augment: Augmenter, stored: np.ndarray, points: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One face's crop and points (T, K, 2)."""
    crops, moved = augment([stored], points[None], [rng])
    return crops[0], moved[0]


def image_with_dots(points: np.ndarray) -> np.ndarray:
    """A stored image with a blurred dot at each point (crop pixels), drawn to sub-pixels."""
    side = SIZE + 2 * BORDER
    y, x = np.mgrid[:side, :side]
    image = np.zeros((side, side))
    for px, py in points + BORDER:
        image += np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.5**2))
    return np.repeat((255 * image.clip(0, 1)).astype(np.uint8)[:, :, None], 3, axis=2)


def centre_of_dot(crop: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Centre of mass of the brightness within 4 pixels of a place."""
    y, x = np.mgrid[: len(crop), : len(crop)]
    weight = crop[:, :, 0].astype(float)
    weight[(x - near[0]) ** 2 + (y - near[1]) ** 2 > 4**2] = 0
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize("seed", range(12))
def test_dots_drawn_in_the_image_are_found_where_the_points_went(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dots = rng.uniform(30, 66, (200, 2))
    # Dots far from each other and three that are apart even after shrinking.
    chosen = [dots[0]]
    for dot in dots:
        if min(np.linalg.norm(dot - other) for other in chosen) > 18:
            chosen.append(dot)
    points = np.zeros((68, 2))
    points[: len(chosen)] = chosen
    flip_free = augmenter(**{**PAPER, "flip": 0.0})
    mirrored = augmenter(**{**PAPER, "flip": 1.0})
    stored = image_with_dots(np.array(chosen))
    network = geometry.to_network(points, SIZE)[None]
    for chance, back in ((flip_free, np.arange(68)), (mirrored, IBUG_68.flip)):
        crop, moved = augmented(chance, stored, network, np.random.default_rng(seed))
        found_at = geometry.from_network(moved[0], SIZE)[back]
        for place in found_at[: len(chosen)]:
            if (place > 5).all() and (place < SIZE - 6).all():
                assert np.abs(centre_of_dot(crop, place) - place).max() < 0.25


def test_without_augmentation_the_crop_is_the_stored_images_inner_part() -> None:
    stored = np.random.default_rng(0).integers(0, 256, (144, 144, 3), dtype=np.uint8)
    points = np.random.default_rng(1).uniform(-0.4, 0.4, (1, 68, 2))
    crop, moved = augmented(augmenter(), stored, points, np.random.default_rng(2))
    np.testing.assert_array_equal(crop, stored[24:120, 24:120])
    np.testing.assert_allclose(moved, points, atol=1e-12)


def test_flipping_twice_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (144, 144, 3), dtype=np.uint8)
    points = rng.uniform(-0.4, 0.4, (1, 68, 2))
    flip = augmenter(flip=1.0)
    crop, moved = augmented(flip, stored, points, rng)
    padded = cv2.copyMakeBorder(crop, 24, 24, 24, 24, cv2.BORDER_REPLICATE)
    again, back = augmented(flip, padded, moved, rng)
    np.testing.assert_array_equal(again, stored[24:120, 24:120])
    np.testing.assert_allclose(back, points, atol=1e-12)


def test_all_sets_of_points_move_alike() -> None:
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (144, 144, 3), dtype=np.uint8)
    points = np.repeat(rng.uniform(-0.4, 0.4, (1, 68, 2)), 3, axis=0)
    _, moved = augmented(augmenter(**PAPER), stored, points, rng)
    np.testing.assert_array_equal(moved[0], moved[1])
    np.testing.assert_array_equal(moved[0], moved[2])


def test_a_batch_has_each_faces_own_crop_and_points() -> None:
    """As each has alone, from the same generator; half of them are mirrored."""
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (8, 144, 144, 3), dtype=np.uint8)
    points = rng.uniform(-0.4, 0.4, (8, 2, 68, 2))
    all_effects = augmenter(**{**PAPER, "color_jitter": 0.5, "blur": 0.5, "random_erasing": 0.5})
    crops, moved = all_effects(stored, points, [np.random.default_rng(i) for i in range(8)])
    for i in range(8):
        crop, own = augmented(all_effects, stored[i], points[i], np.random.default_rng(i))
        np.testing.assert_array_equal(crops[i], crop)
        np.testing.assert_allclose(moved[i], own, rtol=0, atol=1e-12)
    assert len({crop.tobytes() for crop in crops}) == 8


def test_rotation_and_scale_stay_in_their_ranges_and_fill_them() -> None:
    chance = augmenter(**{**PAPER, "flip": 0.0})
    rng = np.random.default_rng(0)
    linear = np.array([chance.draw_affine(rng)[0][:, :2] for _ in range(2000)])
    scale = np.sqrt(np.linalg.det(linear))
    angle = np.arctan2(linear[:, 1, 0], linear[:, 0, 0])
    assert 0.7 <= scale.min() < 0.71
    assert 1.29 < scale.max() <= 1.3
    assert -0.55 <= angle.min() < -0.54
    assert 0.54 < angle.max() <= 0.55


@pytest.mark.parametrize("effect", ["color_jitter", "blur", "random_erasing"])
def test_each_pixel_change_happens_changes_the_image_and_leaves_the_points(effect: str) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (144, 144, 3), dtype=np.uint8)
    points = np.random.default_rng(1).uniform(-0.4, 0.4, (1, 68, 2))
    kept = stored.copy()
    chance = augmenter(**{effect: 1.0})
    crop, moved = augmented(chance, stored, points, np.random.default_rng(3))
    assert (crop != stored[24:120, 24:120]).any()
    np.testing.assert_allclose(moved, points, atol=1e-12)
    np.testing.assert_array_equal(stored, kept)
