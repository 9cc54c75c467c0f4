"""Bootstrap intervals: repeatable, of the right width, and paired."""

from __future__ import annotations

import numpy as np
import pytest

from landmark_kd.evaluation import bootstrap


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not() -> None:
    values = np.random.default_rng(0).gamma(4, 1, (100, 3))
    first = bootstrap.resampled_means(values, resamples=50, seed=1)
    np.testing.assert_array_equal(first, bootstrap.resampled_means(values, resamples=50, seed=1))
    assert (first != bootstrap.resampled_means(values, resamples=50, seed=2)).all()


def test_blocks_of_resamples_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).gamma(4, 1, (100, 2))
    whole = bootstrap.resampled_means(values, resamples=50, seed=1)
    monkeypatch.setattr(bootstrap, "BLOCK_BYTES", 8 * 100 * 7)
    blocks = bootstrap.resampled_means(values, resamples=50, seed=1)
    assert blocks.shape == (50, 2)
    np.testing.assert_allclose(blocks, whole, rtol=1e-12)


@pytest.mark.seconds
def test_an_interval_is_as_wide_as_the_standard_error_says() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    interval = bootstrap.mean_intervals({"nme": values}, resamples=20_000, seed=1)["nme"]
    half = 1.96 * values.std() / np.sqrt(400)
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.05 * half)


@pytest.mark.seconds
def test_intervals_cover_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        values = rng.normal(0, 1, 80)
        interval = bootstrap.mean_intervals({"nme": values}, resamples=400, seed=seed)["nme"]
        covered += interval.low <= 0 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_a_column_without_spread_has_no_width() -> None:
    found = bootstrap.mean_intervals({"nme": np.full(10, 3.0)}, resamples=100, seed=1)
    assert (found["nme"].low, found["nme"].high) == pytest.approx((3.0, 3.0))


def test_a_paired_comparison_sees_what_separate_intervals_hide() -> None:
    rng = np.random.default_rng(0)
    baseline = rng.gamma(4, 1, 200)
    kd = baseline - rng.uniform(0.0, 0.2, 200)
    apart = bootstrap.mean_intervals({"kd": kd, "baseline": baseline}, resamples=2000, seed=1)
    assert apart["kd"].high > apart["baseline"].low, "the separate intervals overlap"
    compared = bootstrap.compare(kd, baseline, resamples=2000, seed=1)
    assert compared.difference.value == pytest.approx((kd - baseline).mean())
    assert compared.difference.low < compared.difference.value < compared.difference.high < 0
    assert compared.ratio.value == pytest.approx(kd.mean() / baseline.mean())
    assert compared.ratio.high < 1


def test_better_is_the_share_of_faces_and_a_tie_is_not_better() -> None:
    compared = bootstrap.compare(
        np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.0, 2.0, 5.0]), resamples=100, seed=1
    )
    assert compared.better.value == 0.5


def test_input_without_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one face"):
        bootstrap.mean_intervals({"nme": np.empty(0)}, resamples=10, seed=1)
    with pytest.raises(ValueError, match="finite"):
        bootstrap.mean_intervals({"nme": np.array([np.nan])}, resamples=10, seed=1)
    with pytest.raises(ValueError, match="at least 1"):
        bootstrap.mean_intervals({"nme": np.ones(2)}, resamples=0, seed=1)
    with pytest.raises(ValueError, match="same faces"):
        bootstrap.compare(np.ones(3), np.ones(4), resamples=10, seed=1)
    with pytest.raises(ValueError, match="must be above"):
        bootstrap.compare(np.ones(2), np.zeros(2), resamples=10, seed=1)
