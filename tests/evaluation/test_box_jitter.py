"""Jittered boxes, and faces in them: what is seen moves, what is measured does not."""

from __future__ import annotations

import numpy as np
import pytest

from landmark_kd.config.params import BoxJitterParams
from landmark_kd.evaluation.box_jitter import jitter_boxes, jittered_faces
from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks import geometry
from tests.support.prepared_faces import MARGIN, prepared_faces

JITTER = BoxJitterParams(shift=0.1, scale=0.1)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return prepared_faces(tmp_path_factory.mktemp("faces") / "faces", 8, crop_size=96)


def test_without_jitter_the_faces_are_the_same(faces: Faces) -> None:
    assert jittered_faces(faces, BoxJitterParams(shift=0, scale=0), seed=1) is faces


def test_the_boxes_are_those_of_jitter_boxes(faces: Faces) -> None:
    seen = jittered_faces(faces, JITTER, seed=3)
    # The outer edges of a crop without jitter, in the image, are the box's with its margin.
    size = faces.info.crop_size
    edges = np.array([[-0.5, -0.5], [size - 0.5, size - 0.5]])
    was = geometry.apply(faces.crop_to_image, edges[None]).reshape(-1, 4)
    now = geometry.apply(seen.crop_to_image, edges[None]).reshape(-1, 4)
    shrink = (was[:, 2:] - was[:, :2]) * (1 - 1 / (1 + MARGIN)) / 2
    boxes = was + np.hstack([shrink, -shrink])
    moved = jitter_boxes(boxes, JITTER.shift, JITTER.scale, 3)
    grow = (moved[:, 2:] - moved[:, :2]) * MARGIN / 2
    np.testing.assert_allclose(now, moved + np.hstack([-grow, grow]), atol=1e-6)
    assert np.abs(now - was).max() > 3


def test_a_landmarks_dot_is_seen_where_the_jittered_crop_says(faces: Faces) -> None:
    """The prepared faces have a dark dot at each landmark on a plain ground."""
    seen = jittered_faces(faces, JITTER, seed=3)
    assert seen.landmarks is faces.landmarks
    size = faces.info.crop_size
    for face in range(len(seen)):
        image = seen.crops(np.array([face]))[0].astype(float).mean(axis=2)
        points = geometry.from_network(seen.crop_landmarks()[face], size)
        inside = points[((points > 2) & (points < size - 3)).all(axis=1)].round().astype(int)
        on_dots = np.mean([image[y, x] for x, y in inside])
        assert on_dots < 0.4 * np.median(image), face
        # The old crop's places are off the dots.
        old = geometry.from_network(faces.crop_landmarks()[face], size).round().astype(int)
        assert np.mean([image[y, x] for x, y in old.clip(0, size - 1)]) > 1.3 * on_dots


def test_the_seed_decides(faces: Faces) -> None:
    first, second, other = (jittered_faces(faces, JITTER, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images, second.images)
    assert (first.images != other.images).any()


def boxes_of(count: int) -> np.ndarray:
    """Boxes of all kinds of places and sides, wide ones and tall ones (count, 4)."""
    rng = np.random.default_rng(1)
    corner = rng.uniform(-50, 500, (count, 2))
    return np.hstack([corner, corner + rng.uniform(10, 300, (count, 2))])


def centre_and_extent(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def test_no_jitter_gives_exactly_the_same_boxes() -> None:
    boxes = boxes_of(200)
    before = boxes.copy()
    np.testing.assert_array_equal(jitter_boxes(boxes, 0, 0, seed=3), boxes)
    jitter_boxes(boxes, 0.2, 0.2, seed=3)
    np.testing.assert_array_equal(boxes, before)
    assert jitter_boxes(np.empty((0, 4)), 0.1, 0.1, seed=0).shape == (0, 4)


def test_a_faces_jitter_does_not_depend_on_the_other_faces() -> None:
    boxes = boxes_of(30)
    all_of_them = jitter_boxes(boxes, 0.1, 0.2, seed=5)
    np.testing.assert_array_equal(jitter_boxes(boxes[:7], 0.1, 0.2, seed=5), all_of_them[:7])
    others = np.vstack([boxes_of(40)[33:], boxes[7:]])
    np.testing.assert_array_equal(jitter_boxes(others, 0.1, 0.2, seed=5)[7:], all_of_them[7:])


def test_shifts_are_uniform_up_to_the_share_of_the_longer_side() -> None:
    boxes = boxes_of(4000)
    centre, extent = centre_and_extent(boxes)
    moved_centre, moved_extent = centre_and_extent(jitter_boxes(boxes, 0.1, 0, seed=0))
    share = (moved_centre - centre) / extent.max(axis=1, keepdims=True)
    np.testing.assert_allclose(moved_extent, extent)
    assert np.abs(share).max() <= 0.1 + 1e-9
    for axis in (0, 1):
        # Deciles of a uniform distribution over ±0.1.
        np.testing.assert_allclose(
            np.quantile(share[:, axis], np.linspace(0, 1, 11)),
            np.linspace(-0.1, 0.1, 11),
            atol=0.006,
        )
    assert abs(np.corrcoef(share.T)[0, 1]) < 0.05


def test_scaling_keeps_the_centre_and_the_shape_of_the_box() -> None:
    boxes = boxes_of(4000)
    centre, extent = centre_and_extent(boxes)
    grown_centre, grown_extent = centre_and_extent(jitter_boxes(boxes, 0, 0.25, seed=0))
    factors = grown_extent / extent
    np.testing.assert_allclose(grown_centre, centre)
    np.testing.assert_allclose(factors[:, 0], factors[:, 1])
    np.testing.assert_allclose(
        np.quantile(factors[:, 0], [0, 0.25, 0.5, 0.75, 1]),
        [0.75, 0.875, 1, 1.125, 1.25],
        atol=0.01,
    )


def test_shift_and_scale_act_together_and_in_proportion() -> None:
    boxes = boxes_of(50)
    shifted = jitter_boxes(boxes, 0.1, 0, seed=2) - boxes
    grown = jitter_boxes(boxes, 0, 0.1, seed=2) - boxes
    np.testing.assert_allclose(
        jitter_boxes(boxes, 0.3, 0.2, seed=2), boxes + 3 * shifted + 2 * grown
    )


def test_another_seed_draws_anew_and_the_same_one_repeats() -> None:
    boxes = boxes_of(20)
    first = jitter_boxes(boxes, 0.1, 0.1, seed=0)
    np.testing.assert_array_equal(jitter_boxes(boxes, 0.1, 0.1, seed=0), first)
    assert (jitter_boxes(boxes, 0.1, 0.1, seed=1) != first).all()


@pytest.mark.parametrize(
    ("shift", "scale", "named"),
    [
        (-0.1, 0, "shift is -0.1"),
        (np.nan, 0, "shift is nan"),
        (np.inf, 0, "shift is inf"),
        (0, 1, "scale is 1"),
        (0, -0.1, "scale is -0.1"),
        (0, np.nan, "scale is nan"),
    ],
)
def test_a_jitter_that_cannot_be_is_refused(shift: float, scale: float, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        jitter_boxes(boxes_of(2), shift, scale, seed=0)


def test_boxes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"boxes must be \(N, 4\)"):
        jitter_boxes(np.zeros(4), 0.1, 0.1, seed=0)
