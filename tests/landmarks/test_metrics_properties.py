"""Laws of the metrics for any errors, thresholds and faces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmark_kd.landmarks import geometry, metrics
from landmark_kd.landmarks.scheme import SCHEMES
from tests.support.strategies import examples, shapes, similarities

pytestmark = pytest.mark.seconds

ERRORS = st.lists(st.floats(0, 1e6), min_size=1, max_size=30).map(np.array)
THRESHOLDS = st.floats(1e-3, 100)
POINTS = sorted(SCHEMES)


@pytest.mark.seconds
@examples(100)
@given(
    true=shapes(3, 5),
    shift=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    distance=st.floats(0.1, 1e4),
)
def test_the_nme_of_a_known_shift_is_its_length_in_percent_of_the_distance(
    true: np.ndarray, shift: tuple[float, float], distance: float
) -> None:
    expected = 100 * np.hypot(*shift) / distance
    found = metrics.nme(true + shift, true, distance)
    np.testing.assert_allclose(found, np.full(3, expected), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(metrics.nme(true, true + shift, np.full(3, distance)), found)


@pytest.mark.parametrize("points", POINTS)
@examples(50)
@given(data=st.data(), matrix=similarities((0.01, 100.0)))
def test_turning_scaling_shifting_and_mirroring_images_changes_no_nme(
    points: int, data: st.DataObject, matrix: np.ndarray
) -> None:
    true, noise = data.draw(shapes(2, points)), data.draw(shapes(2, points, size=10))
    scheme = SCHEMES[points]

    def nme(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
        return metrics.nme(pred, true, metrics.normalizing_distance(true, scheme))

    expected = nme(true + noise, true)
    moved = nme(geometry.apply(matrix, true + noise), geometry.apply(matrix, true))
    np.testing.assert_allclose(moved, expected, rtol=1e-6)
    flip = scheme.flip
    np.testing.assert_allclose(nme((true + noise)[:, flip], true[:, flip]), expected, rtol=1e-9)


@examples(100)
@given(true=shapes(4, 6), noise=shapes(4, 6, size=10), distance=st.floats(0.1, 1e3))
def test_faces_and_landmarks_average_to_the_same(
    true: np.ndarray, noise: np.ndarray, distance: float
) -> None:
    pred = true + noise
    each = metrics.landmark_errors(pred, true, distance)
    assert (each >= 0).all()
    np.testing.assert_allclose(metrics.nme(pred, true, distance), each.mean(axis=1))
    np.testing.assert_allclose(metrics.per_landmark(pred, true, distance), each.mean(axis=0))
    np.testing.assert_array_equal(metrics.nme(true, true, distance), np.zeros(4))
    # Errors add up to no more than those of the steps between (triangle inequality).
    between = true + noise[::-1]
    whole = metrics.nme(pred, true, distance)
    steps = metrics.nme(pred, between, distance) + metrics.nme(between, true, distance)
    assert (whole <= steps + 1e-9).all()


@pytest.mark.seconds
@examples(200)
@given(errors=ERRORS, threshold=THRESHOLDS)
def test_failure_rate_auc_and_ced_are_what_their_definitions_say(
    errors: np.ndarray, threshold: float
) -> None:
    rate, auc = metrics.failure_rate(errors, threshold), metrics.auc(errors, threshold)
    assert 0 <= rate <= 100
    assert 0 <= auc <= 100
    assert rate == pytest.approx(100 * sum(e > threshold for e in errors) / len(errors))
    assert auc == pytest.approx(100 * np.mean([max(0, 1 - e / threshold) for e in errors]))
    share = metrics.ced(errors, np.array([threshold]))[0]
    assert rate == pytest.approx(100 * (1 - share))
    # No face that fails adds area, and none that does not fail adds more than 1.
    assert auc <= 100 - rate + 1e-9
    # Integrated step by step: between two errors the CED is level.
    steps = np.unique(np.clip([0, *errors, threshold], 0, threshold))
    area = (metrics.ced(errors, steps[:-1]) * np.diff(steps)).sum()
    assert auc == pytest.approx(100 * area / threshold, abs=1e-6)


@examples(200)
@given(errors=ERRORS, one=THRESHOLDS, other=THRESHOLDS, grown=st.floats(0, 10))
def test_larger_thresholds_are_kinder_and_larger_errors_worse(
    errors: np.ndarray, one: float, other: float, grown: float
) -> None:
    low, high = sorted((one, other))
    assert metrics.failure_rate(errors, low) >= metrics.failure_rate(errors, high)
    assert metrics.auc(errors, low) <= metrics.auc(errors, high) + 1e-9
    assert metrics.failure_rate(errors + grown, low) >= metrics.failure_rate(errors, low)
    assert metrics.auc(errors + grown, low) <= metrics.auc(errors, low) + 1e-9


@examples(100)
@given(errors=ERRORS, thresholds=st.lists(st.floats(-10, 1e6), min_size=1, max_size=20))
def test_the_ced_rises_from_0_to_1(errors: np.ndarray, thresholds: list[float]) -> None:
    ordered = np.sort(thresholds)
    shares = metrics.ced(errors, ordered)
    assert (np.diff(shares) >= 0).all()
    assert ((shares >= 0) & (shares <= 1)).all()
    assert metrics.ced(errors, np.array([-1e-9, errors.max()])).tolist() == [0, 1]
    for threshold, share in zip(ordered, shares, strict=True):
        assert share == pytest.approx(np.mean(errors <= threshold))


@examples(100)
@given(errors=ERRORS, threshold=THRESHOLDS, order=st.randoms(use_true_random=False))
def test_the_order_of_the_faces_does_not_matter(
    errors: np.ndarray, threshold: float, order: st.DataObject
) -> None:
    shuffled = errors.copy()
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert metrics.auc(shuffled, threshold) == pytest.approx(metrics.auc(errors, threshold))
    assert metrics.failure_rate(shuffled, threshold) == pytest.approx(
        metrics.failure_rate(errors, threshold)
    )
