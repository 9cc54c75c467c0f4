from __future__ import annotations

import numpy as np
import pytest

from landmark_kd.evaluation.box_jitter import jitter_boxes


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
