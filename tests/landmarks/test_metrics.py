"""Metrics against closed forms, and the input they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from landmark_kd.landmarks import metrics
from landmark_kd.landmarks.scheme import SCHEMES

IBUG_68 = SCHEMES[68]


@pytest.fixture
def true() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 100, (3, 68, 2))


def test_nme_is_the_mean_distance_in_percent_of_the_normaliser(true: np.ndarray) -> None:
    # Half of the landmarks are off by 5 pixels (3, 4), the other half by none.
    pred = true.copy()
    pred[:, :34] += (3, 4)
    np.testing.assert_allclose(
        metrics.nme(pred, true, np.array([50.0, 100.0, 250.0])), [5.0, 2.5, 1.0]
    )
    np.testing.assert_allclose(metrics.nme(pred, true, 50.0), [5.0, 5.0, 5.0])


def test_nme_does_not_change_with_the_size_of_the_image(true: np.ndarray) -> None:
    pred = true + np.random.default_rng(1).normal(0, 2, true.shape)
    distance = metrics.normalizing_distance(true, IBUG_68)
    np.testing.assert_allclose(
        metrics.nme(pred, true, distance), metrics.nme(7 * pred, 7 * true, 7 * distance)
    )


def test_per_landmark_errors_average_to_the_mean_nme(true: np.ndarray) -> None:
    pred = true.copy()
    pred[:, 10, 0] += [1.0, 2.0, 3.0]
    each = metrics.per_landmark(pred, true, 100.0)
    assert each.shape == (68,)
    assert each[10] == pytest.approx(2.0)
    assert each.sum() == pytest.approx(2.0)
    assert each.mean() == pytest.approx(metrics.nme(pred, true, 100.0).mean())


def test_failure_rate_counts_faces_above_the_threshold_and_not_on_it() -> None:
    assert metrics.failure_rate(np.array([1.0, 8.0, 8.1, 20.0]), 8) == 50.0


def test_auc_is_exact_for_known_errors() -> None:
    assert metrics.auc(np.array([0.0, 2.0, 4.0, 8.0, 100.0]), 8) == pytest.approx(
        100 * (1 + 0.75 + 0.5 + 0 + 0) / 5
    )


def test_auc_is_the_area_under_the_ced() -> None:
    errors = np.random.default_rng(0).gamma(4, 1, 500)
    thresholds = np.linspace(0, 8, 200_001)
    area = metrics.ced(errors, thresholds).mean()
    assert metrics.auc(errors, 8) == pytest.approx(100 * area, abs=1e-2)


def test_ced_is_the_share_of_faces_up_to_each_threshold() -> None:
    errors = np.array([4.0, 1.0, 2.0, 2.0])
    np.testing.assert_array_equal(
        metrics.ced(errors, np.array([0.0, 1.0, 1.5, 2.0, 9.0])), [0, 0.25, 0.25, 0.75, 1]
    )
    assert 100 * (1 - metrics.ced(errors, np.array([2.0]))[0]) == metrics.failure_rate(errors, 2)


def test_normalisers_are_the_distances_their_names_say() -> None:
    face = np.zeros((1, 68, 2))
    face[0, 36], face[0, 45] = (10, 20), (40, 60)
    assert metrics.normalizing_distance(face, IBUG_68)[0] == pytest.approx(50)

    face = np.zeros((1, 68, 2))
    face[0, 36:42, 0], face[0, 42:48, 0] = np.arange(6), np.arange(6) + 30
    assert metrics.interpupil(face, IBUG_68)[0] == pytest.approx(30)

    face = np.zeros((1, 68, 2))
    face[0, 0], face[0, 1] = (40, 0), (0, 90)
    assert metrics.box_size(face)[0] == pytest.approx(60)


def test_landmarks_without_meaning_are_refused(true: np.ndarray) -> None:
    hole = true.copy()
    hole[1, 4, 0] = np.nan
    cases: list[tuple[tuple[np.ndarray, np.ndarray, np.ndarray | float], str]] = [
        ((true[:, :67], true, 1.0), r"shape \(3, 67, 2\), true \(3, 68, 2\)"),
        ((true[0], true[0], 1.0), r"must be \(N, K, 2\)"),
        ((true[:0], true[:0], 1.0), "at least one face"),
        ((hole, true, 1.0), "pred, face 1 is not finite"),
        ((true, hole, 1.0), "true, face 1 is not finite"),
        ((true, true, np.array([1.0, 0.0, 2.0])), "normalizer 1 is 0; it must be above zero"),
        ((true, true, -3.0), "above zero"),
        ((true, true, np.array([1.0, np.inf, 2.0])), "normalizer 1 is not finite"),
        ((true, true, np.nan), "normalizer 0 is not finite"),
        ((true, true, np.ones(2)), r"normalizer must be \(3,\)"),
        ((true, true, np.ones((3, 68))), r"normalizer must be \(3,\)"),
    ]
    for arguments, message in cases:
        for measure in (metrics.nme, metrics.per_landmark):
            with pytest.raises(ValueError, match=message):
                measure(*arguments)


def test_missing_landmarks_count_in_no_error(true: np.ndarray) -> None:
    partial = true.copy()
    partial[1, :60] = np.nan
    partial[2, 3] = np.nan
    pred = true + 3.0
    found = metrics.nme(pred, partial, np.array([100.0, 100.0, np.nan]))
    np.testing.assert_allclose(found, [3 * np.sqrt(2), 3 * np.sqrt(2), np.nan])
    pred[1, 60:] += 1.0
    assert metrics.nme(pred, partial, 100.0)[1] == pytest.approx(4 * np.sqrt(2))
    of_landmarks = metrics.per_landmark(pred, partial[1:2].repeat(3, axis=0), 100.0)
    assert np.isnan(of_landmarks[:60]).all()
    assert np.isfinite(of_landmarks[60:]).all()


def test_errors_without_meaning_are_refused() -> None:
    for bad, message in [
        (np.array([]), "at least one face"),
        (np.ones((2, 2)), r"must be \(N,\)"),
        (np.array([1.0, np.nan]), "error 1 is not finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            metrics.failure_rate(bad, 8)
        with pytest.raises(ValueError, match=message):
            metrics.auc(bad, 8)
        with pytest.raises(ValueError, match=message):
            metrics.ced(bad, np.array([8.0]))


def test_thresholds_without_meaning_are_refused() -> None:
    for threshold in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="threshold is"):
            metrics.failure_rate(np.ones(2), threshold)
        with pytest.raises(ValueError, match="threshold is"):
            metrics.auc(np.ones(2), threshold)
    with pytest.raises(ValueError, match="thresholds must be finite"):
        metrics.ced(np.ones(2), np.array([1.0, np.nan]))
