"""Flip pairs found from shapes alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from landmark_kd.data.inspection.symmetry import (
    match_mirrored,
    mean_shape,
    propose_symmetry,
    symmetry_of,
)
from landmark_kd.landmarks.scheme import SCHEMES, flip_of_pairs
from tests.support.raw_custom import FIVE, FIVE_PAIRS, faces

FILES = {68: ("300w_68.npz", "pts"), 29: ("cofw_29.npz", "train"), 98: ("wflw_test_98.npz", "pts")}
FIVE_FLIP = flip_of_pairs(5, [(a, b) for a, b in FIVE_PAIRS])


@pytest.mark.seconds
@pytest.mark.parametrize("count", [None, 20])
@pytest.mark.parametrize("points", FILES)
def test_pairs_of_real_shapes_are_those_of_the_known_schemes(
    shared: Path, points: int, count: int | None
) -> None:
    name, key = FILES[points]
    shapes = np.load(shared / "data" / "shapes" / name)[key].astype(np.float64)
    mean = mean_shape(shapes[:count])
    found = propose_symmetry(mean)
    np.testing.assert_array_equal(found.flip, SCHEMES[points].flip)
    a, b = SCHEMES[points].normalizer
    unit = np.linalg.norm(mean[a] - mean[b])
    # Of all shapes 0.9, 0.9 and 1.7 % of the outer eye corners' distance; of twenty 6 to 9 %.
    assert found.distances.max() / unit < (0.02 if count is None else 0.1)


@pytest.mark.parametrize("degrees", [-30, 0, 25])
def test_faces_may_be_tilted_scaled_and_numbered_at_will(degrees: float) -> None:
    order = np.random.default_rng(3).permutation(5)
    turn = np.exp(1j * np.deg2rad(degrees))
    z = (faces(50)[..., 0] + 1j * faces(50)[..., 1]) * turn * np.linspace(0.1, 9, 50)[:, None]
    shapes = np.stack([z.real, z.imag], axis=2)[:, order]
    place = np.argsort(order)
    np.testing.assert_array_equal(
        propose_symmetry(mean_shape(shapes)).flip, place[FIVE_FLIP[order]]
    )


def test_a_scheme_that_is_not_symmetric_keeps_its_odd_points_alone() -> None:
    # A mole on one cheek and a scar on the other side of the chin have no partners.
    shape = np.vstack([FIVE, [[15.0, 38]], [[48, 70]]])
    found = propose_symmetry(shape)
    np.testing.assert_array_equal(found.flip, [1, 0, 2, 4, 3, 5, 6])
    # Nor do they draw the middle line away from where the others are symmetric.
    np.testing.assert_allclose(found.distances[:5], 0, atol=1e-9)
    np.testing.assert_allclose(found.distances[5:], [50, 16])


def test_the_weaker_symmetry_of_upper_and_lower_half_is_not_taken() -> None:
    # Nearly a square: mirrored upside down it fits even better than left to right.
    shape = np.array([[0.0, 0], [10, 1], [0, 12], [10, 11]])
    np.testing.assert_array_equal(propose_symmetry(shape).flip, [1, 0, 3, 2])


def test_points_on_the_middle_line_are_alone() -> None:
    shape = np.array([[0.1, 0], [-0.1, 5], [0.05, 9], [-4, 3], [4, 3]])
    np.testing.assert_array_equal(propose_symmetry(shape).flip, [0, 1, 2, 4, 3])


def _involutions(rest: list[int]) -> list[dict[int, int]]:
    if not rest:
        return [{}]
    first, *others = rest
    found = [{first: first, **more} for more in _involutions(others)]
    for other in others:
        left = [i for i in others if i != other]
        found += [{first: other, other: first, **more} for more in _involutions(left)]
    return found


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("alone", [0.4, 100])
def test_the_matching_is_the_best_of_all_there_are(seed: int, alone: float) -> None:
    shape = np.random.default_rng(seed).normal(0, 1, (7, 2))

    def cost(flip: np.ndarray) -> float:
        distances = np.linalg.norm(shape - (shape * [-1, 1])[flip], axis=1)
        return float(np.where(flip == np.arange(7), np.minimum(distances, alone), distances).sum())

    everything = [np.array([f[i] for i in range(7)]) for f in _involutions(list(range(7)))]
    assert len(everything) == 232
    found = match_mirrored(shape, alone)
    np.testing.assert_array_equal(found[found], np.arange(7))
    assert cost(found) == pytest.approx(min(map(cost, everything)))


def test_distances_are_those_to_the_mirrored_partner() -> None:
    shape = np.array([[-2.0, 0], [2, 0], [0, 3], [0, -3]])
    shape[0, 1] = 0.2
    found = symmetry_of(shape, np.array([1, 0, 2, 3]))
    assert found.distances[0] == pytest.approx(found.distances[1])
    assert 0.1 < found.distances[0] < 0.3


def test_one_shape_or_copies_of_one_are_their_own_mean() -> None:
    unit = (FIVE - FIVE.mean(axis=0)) / np.linalg.norm(FIVE - FIVE.mean(axis=0))
    np.testing.assert_allclose(mean_shape(FIVE[None]), unit)
    np.testing.assert_allclose(mean_shape(np.stack([FIVE] * 3)), unit)


def test_shapes_without_extent_do_not_count() -> None:
    shapes = np.concatenate([faces(9), np.ones((1, 5, 2))])
    np.testing.assert_allclose(mean_shape(shapes), mean_shape(faces(9)))
    with pytest.raises(ValueError, match="no shape has an extent"):
        mean_shape(np.ones((2, 5, 2)))
