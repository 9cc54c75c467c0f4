"""Laws of crops, maps, sampling, jitter and augmentation, for any box, size, margin and draw."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from landmark_kd.evaluation.box_jitter import jitter_boxes
from landmark_kd.imaging.crops import sample
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import IBUG_68, SCHEMES, WFLW_98, convert
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.loader import AugmentedFaces
from tests.support.augmentation import LIVELY
from tests.support.strategies import affine_maps, boxes, examples, seeds, shapes, similarities
from tests.training.test_augment import SIZE, augmented, augmenter, centre_of_dot, image_with_dots

pytestmark = pytest.mark.seconds

MARGINS = st.floats(0, 2)
SIZES = st.integers(32, 1024)


def random_points(seed: int, count: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1000, 1000, (count, 2))


@pytest.mark.seconds
@examples(300)
@given(box=boxes(), margin=MARGINS, size=SIZES, seed=seeds())
def test_into_any_crop_and_back_no_point_moves(
    box: np.ndarray, margin: float, size: int, seed: int
) -> None:
    # Landmarks in the box and some way out of it.
    share = np.random.default_rng(seed).uniform(-0.5, 1.5, (68, 2))
    points = box[:2] + share * (box[2:] - box[:2])
    to_crop = geometry.square_crop(box, margin, size)
    network = geometry.to_network(geometry.apply(to_crop, points), size)
    inverse = geometry.invert(to_crop)
    back = geometry.apply(inverse, geometry.from_network(network, size))
    assert np.abs(back - points).max() < 1e-4
    twice = geometry.compose(inverse, to_crop)
    assert np.abs(geometry.apply(twice, points) - points).max() < 1e-4


@examples(200)
@given(box=boxes(), margin=MARGINS, size=SIZES)
def test_any_crop_is_a_square_around_its_box(box: np.ndarray, margin: float, size: int) -> None:
    to_image = geometry.invert(geometry.square_crop(box, margin, size))
    edges = np.array([[-0.5, -0.5], [size - 0.5, size - 0.5]])
    low, high = geometry.apply(to_image, edges)
    side = (box[2:] - box[:2]).max() * (1 + margin)
    np.testing.assert_allclose(high - low, side, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose((low + high) / 2, (box[:2] + box[2:]) / 2, atol=1e-6)


@pytest.mark.seconds
@examples(200)
@given(outer=affine_maps(), middle=affine_maps(), inner=affine_maps(), seed=seeds())
def test_maps_compose_and_invert_as_maps_do(
    outer: np.ndarray, middle: np.ndarray, inner: np.ndarray, seed: int
) -> None:
    points = random_points(seed)
    compose, invert, apply = geometry.compose, geometry.invert, geometry.apply

    def same(one: np.ndarray, other: np.ndarray) -> None:
        scale = np.abs(one).max() + 1
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-9)

    same(apply(compose(outer, inner), points), apply(outer, apply(inner, points)))
    same(compose(outer, compose(middle, inner)), compose(compose(outer, middle), inner))
    same(invert(invert(inner)), inner)
    same(invert(compose(outer, inner)), compose(invert(inner), invert(outer)))
    back = apply(compose(invert(inner), inner), points)
    np.testing.assert_allclose(back, points, atol=1e-6)
    one_by_one = [compose(invert(m), m) for m in (outer, inner)]
    np.testing.assert_allclose(one_by_one, [np.eye(2, 3)] * 2, atol=1e-6)


@examples(100)
@given(face=shapes(3, 9))
def test_the_landmarks_box_holds_all_landmarks_and_no_smaller_one_does(face: np.ndarray) -> None:
    found = geometry.landmarks_box(face)
    inside = (face >= found[:, None, :2]) & (face <= found[:, None, 2:])
    assert inside.all()
    touched = [(face[..., i % 2] == found[:, i : i + 1]).any(axis=1) for i in range(4)]
    assert np.all(touched)


@pytest.mark.parametrize("points", sorted(SCHEMES))
@examples(50)
@given(data=st.data())
def test_mirroring_a_face_twice_gives_it_back(points: int, data: st.DataObject) -> None:
    face = data.draw(shapes(1, points))
    width = data.draw(st.floats(1, 5000))
    flip = SCHEMES[points].flip

    def mirrored(face: np.ndarray) -> np.ndarray:
        return (face * [-1, 1] + [width, 0])[:, flip]

    np.testing.assert_array_equal(np.sort(flip), np.arange(points))
    np.testing.assert_allclose(mirrored(mirrored(face)), face, atol=1e-9)


@examples(50)
@given(face=shapes(2, 98))
def test_turning_98_points_into_68_commutes_with_mirroring(face: np.ndarray) -> None:
    np.testing.assert_array_equal(
        convert(face[:, WFLW_98.flip], WFLW_98, IBUG_68),
        convert(face, WFLW_98, IBUG_68)[:, IBUG_68.flip],
    )


RAMP_SIDE = 250


@examples(80)
@given(
    turn=similarities((0.07, 6.0), 0.0),
    middle=st.tuples(st.floats(100, 150), st.floats(100, 150)),
    slope=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_a_ramp_is_sampled_as_the_ramp_at_the_mapped_places(
    turn: np.ndarray, middle: tuple[float, float], slope: tuple[float, float]
) -> None:
    y, x = np.mgrid[:RAMP_SIDE, :RAMP_SIDE]
    ramp = (slope[0] * x + slope[1] * y).astype(np.float32)
    scale = math.sqrt(abs(np.linalg.det(turn[:, :2])))
    # All of the crop, turned as it may be, lies in the image.
    size = max(4, int(120 * scale))
    matrix = np.column_stack([turn[:, :2], (size - 1) / 2 - turn[:, :2] @ middle])
    crop = sample(np.repeat(ramp[..., None], 3, axis=2), matrix, size)
    y, x = np.mgrid[:size, :size]
    places = geometry.apply(geometry.invert(matrix), np.stack([x, y], axis=-1).astype(float))
    # OpenCV interpolates at the nearest 1/32 of a pixel, or of a block where it shrinks.
    step = max(1, 1 / scale) / 32
    assert (
        np.abs(crop[..., 0] - places @ slope).max() < step * (abs(slope[0]) + abs(slope[1])) + 1e-3
    )


@examples(100)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    box=boxes() | boxes().map(lambda box: box * 1e6) | boxes().map(lambda box: box / 1e6),
    size=st.integers(1, 64),
    seed=seeds(),
)
def test_any_box_of_any_image_can_be_cut_and_shows_its_pixels_only(
    shape: tuple[int, int], box: np.ndarray, size: int, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(90, 200, (*shape, 3)).astype(np.uint8)
    crop = sample(image, geometry.square_crop(box, 0.25, size), size)
    assert crop.shape == (size, size, 3)
    for channel in range(3):
        low, high = image[..., channel].min(), image[..., channel].max()
        assert low <= crop[..., channel].min()
        assert crop[..., channel].max() <= high


@examples(150)
@given(
    seed=seeds(),
    around=st.lists(boxes(), min_size=1, max_size=4).map(np.array),
    shift=st.floats(0, 1),
    scale=st.floats(0, 0.99),
)
def test_jittered_boxes_stay_within_what_was_asked(
    seed: int, around: np.ndarray, shift: float, scale: float
) -> None:
    moved = jitter_boxes(around, shift, scale, seed)
    before, after = around[:, 2:] - around[:, :2], moved[:, 2:] - moved[:, :2]
    factor = after / before
    # Corners of 1e5 are known to 1e-11: to 1e-10 of the smallest box.
    tolerance = 1e-9
    assert ((factor > 1 - scale - tolerance) & (factor < 1 + scale + tolerance)).all()
    np.testing.assert_allclose(factor[:, 0], factor[:, 1], rtol=1e-8)
    way = np.abs(moved[:, :2] + moved[:, 2:] - around[:, :2] - around[:, 2:]) / 2
    assert (way <= shift * before.max(axis=1, keepdims=True) + 1e-9).all()
    np.testing.assert_array_equal(jitter_boxes(around, 0, 0, seed), around)
    # A face's draw does not depend on the faces beside it.
    np.testing.assert_array_equal(jitter_boxes(around[:1], shift, scale, seed), moved[:1])


RANGES = st.fixed_dictionaries(
    {
        "rotation": st.floats(0, 3.15),
        "scale_min": st.floats(0.6, 1.0),
        "scale_max": st.floats(1.0, 1.5),
        "shift": st.floats(0, 0.2),
        "flip": st.floats(0, 1),
    }
)


def far_dots(seed: int) -> np.ndarray:
    """Places of dots in the crop, apart also after shrinking."""
    chosen: list[np.ndarray] = []
    for dot in np.random.default_rng(seed).uniform(10, SIZE - 10, (100, 2)):
        if all(np.linalg.norm(dot - other) > 18 for other in chosen):
            chosen.append(dot)
    return np.array(chosen)


@pytest.mark.seconds
@examples(60)
@given(ranges=RANGES, seed=seeds(), draw=seeds())
def test_dots_are_found_where_their_points_went_for_any_draw(
    ranges: dict[str, float], seed: int, draw: int
) -> None:
    dots = far_dots(seed)
    points = np.zeros((1, 68, 2))
    points[0, : len(dots)] = geometry.to_network(dots, SIZE)
    chance = augmenter(**ranges)
    crop, moved = augmented(chance, image_with_dots(dots), points, np.random.default_rng(draw))
    matrix, mirrored = chance.draw_affine(np.random.default_rng(draw))
    assert mirrored == (np.linalg.det(matrix[:, :2]) < 0)
    back = IBUG_68.flip if mirrored else np.arange(68)
    went_to = geometry.from_network(moved[0], SIZE)[back][: len(dots)]
    seen = (went_to > 5).all(axis=1) & (went_to < SIZE - 6).all(axis=1)
    assume(seen.any())
    for place in went_to[seen]:
        assert np.abs(centre_of_dot(crop, place) - place).max() < 0.25


@examples(40)
@given(ranges=RANGES, seed=seeds())
def test_an_augmentation_is_undone_by_the_inverse_of_its_map(
    ranges: dict[str, float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    chance = augmenter(**ranges)
    points = rng.uniform(-0.5, 0.5, (2, 68, 2))
    matrix, mirrored = chance.draw_affine(rng)
    moved = chance.move(points, matrix, mirrored)
    back = chance.move(moved, geometry.invert(matrix), mirrored)
    np.testing.assert_allclose(back, points, atol=1e-9)


@examples(30)
@given(
    seed=seeds(),
    keys=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4)), min_size=1, max_size=6),
    cut=st.integers(0, 6),
)
def test_a_face_is_augmented_alike_in_whatever_batch_it_comes(
    seed: int, keys: list[tuple[int, int]], cut: int
) -> None:
    rng = np.random.default_rng(0)
    faces = AugmentedFaces(
        rng.integers(0, 256, (5, 24, 24, 3)).astype(np.uint8),
        rng.uniform(-0.5, 0.5, (5, 2, 68, 2)),
        Augmenter(LIVELY, 16, 4, IBUG_68.flip),
        seed,
    )
    together = faces.__getitems__(keys)
    parts = [faces.__getitems__(part) for part in (keys[:cut], keys[cut:]) if part]
    for name in ("images", "targets", "rows"):
        apart = np.concatenate([getattr(part, name).numpy() for part in parts])
        np.testing.assert_array_equal(getattr(together, name).numpy(), apart)
