from __future__ import annotations

import numpy as np
import pytest

from landmark_kd.landmarks import geometry


def _random_points(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-500, 4000, (*shape, 2))


def test_the_box_is_the_smallest_that_holds_the_landmarks() -> None:
    landmarks = np.array([[[3, 9], [1, 4], [2, 5]], [[0, 0], [0, 7], [8, 1]]], dtype=float)
    np.testing.assert_array_equal(geometry.landmarks_box(landmarks), [[1, 4, 3, 9], [0, 0, 8, 7]])


def test_the_crops_outer_edges_are_the_squares() -> None:
    box = np.array([10.0, 20.0, 50.0, 40.0])
    to_image = geometry.invert(geometry.square_crop(box, margin=0.5, size=96))
    corners = geometry.apply(to_image, np.array([[-0.5, -0.5], [95.5, 95.5]]))
    # The longer side 40 times 1.5 around the box's centre (30, 30).
    np.testing.assert_allclose(corners, [[0, 0], [60, 60]], atol=1e-12)


@pytest.mark.parametrize("size", [32, 96, 224])
def test_the_way_into_the_crop_and_back_loses_no_pixel_fraction(size: int) -> None:
    points = _random_points(68)
    crop = geometry.square_crop(geometry.landmarks_box(points), margin=0.25, size=size)
    network = geometry.to_network(geometry.apply(crop, points), size)
    assert np.abs(network).max() <= 0.4 + 1e-12  # the longer side fills 1 / 1.25 of the crop
    back = geometry.apply(geometry.invert(crop), geometry.from_network(network, size))
    assert np.abs(back - points).max() < 1e-4


def test_nothing_is_stretched_or_turned() -> None:
    crop = geometry.square_crop(np.array([0.0, 0.0, 30.0, 90.0]), margin=0.1, size=64)
    np.testing.assert_allclose(crop[:, :2], np.eye(2) * 64 / 99)


@pytest.mark.parametrize("box", [[5, 5, 5, 5], [5, 5, 4, 4], [np.nan, 0, 1, np.nan]])
def test_a_box_without_extent_is_refused(box: list[float]) -> None:
    with pytest.raises(ValueError, match="no extent"):
        geometry.square_crop(np.array(box, dtype=float), margin=0.25, size=64)


def test_composed_maps_act_one_after_the_other_and_an_inverse_undoes_its_map() -> None:
    rng = np.random.default_rng(1)
    inner, outer = rng.normal(size=(2, 2, 3))
    points = _random_points(5)
    np.testing.assert_allclose(
        geometry.apply(geometry.compose(outer, inner), points),
        geometry.apply(outer, geometry.apply(inner, points)),
    )
    np.testing.assert_allclose(geometry.invert(geometry.invert(inner)), inner)
    np.testing.assert_allclose(
        geometry.compose(geometry.invert(inner), inner), np.eye(2, 3), atol=1e-12
    )


def test_many_faces_are_mapped_each_by_its_own_map() -> None:
    maps = np.random.default_rng(2).normal(size=(4, 2, 3))
    faces = _random_points(4, 68)
    together = geometry.apply(maps, faces)
    for one, matrix, face in zip(together, maps, faces, strict=True):
        np.testing.assert_allclose(one, [matrix[:, :2] @ p + matrix[:, 2] for p in face])


def test_the_networks_half_units_are_the_crops_outer_edges() -> None:
    edges = np.array([[-0.5, 31.5], [15.5, 63.5]])
    network = geometry.to_network(edges, 64)
    np.testing.assert_allclose(network, [[-0.5, 0], [-0.25, 0.5]])
    np.testing.assert_allclose(geometry.from_network(network, 64), edges)
