"""Regions around landmarks cover what they are to cover; trust falls where errors are unlikely."""

import numpy as np
import pytest

from landmark_kd.landmarks import uncertainty


def test_regions_of_normal_errors_are_those_of_the_rayleigh_distribution() -> None:
    rng = np.random.default_rng(0)
    sigma = rng.uniform(1, 5, (2000, 20))
    errors = np.linalg.norm(rng.standard_normal((2000, 20, 2)), axis=-1) * sigma
    expected = np.sqrt(-2 * np.log(1 - np.array(uncertainty.LEVELS)))
    np.testing.assert_allclose(uncertainty.regions(errors, sigma), expected, rtol=0.03)
    assert expected[uncertainty.LEVELS.index(0.5)] == pytest.approx(uncertainty.MEDIAN_REGION)


def test_regions_cover_new_errors_of_any_distribution() -> None:
    rng = np.random.default_rng(1)
    errors = rng.standard_cauchy((2, 3000, 10))
    errors, sigma = np.abs(errors), np.full((3000, 10), 2.0)
    multiples = uncertainty.regions(errors[0], sigma)
    np.testing.assert_allclose(
        uncertainty.coverage(errors[1], sigma, multiples), uncertainty.LEVELS, atol=0.02
    )


def test_landmarks_that_nobody_knows_count_nowhere() -> None:
    errors, sigma = np.array([[1.0, np.nan], [3.0, np.nan]]), np.ones((2, 2))
    assert uncertainty.coverage(errors, sigma, np.array([2.0])).tolist() == [0.5]
    assert np.isfinite(uncertainty.regions(errors, sigma)).all()


def test_trust_is_near_one_for_typical_faces_and_falls_with_sigma() -> None:
    rng = np.random.default_rng(2)
    sigma = np.exp(rng.normal(-4.5, 0.15, (500, 68)) + rng.normal(0, 0.15, (500, 1)))
    typical = uncertainty.typical(sigma)
    assert np.quantile(uncertainty.trust(sigma, typical), 0.05) > 0.9
    larger = [uncertainty.trust(sigma * factor, typical).mean() for factor in (1, 1.5, 2, 4)]
    assert larger == sorted(larger, reverse=True)
    assert larger[-1] < 0.01
    assert np.isfinite(uncertainty.trust(sigma * 1e6, typical)).all(), "exp does not overflow"
