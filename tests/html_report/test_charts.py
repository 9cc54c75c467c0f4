"""The numbers behind the diagrams."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from landmark_kd.distillation.losses import KDLoss
from landmark_kd.html_report import charts
from landmark_kd.landmarks.scheme import COFW_29, IBUG_68
from tests.support.prepared_faces import real_shapes

LOSS = KDLoss(
    variant="paper",
    beta=0.4,
    tough=(1.0, -0.45),
    tolerant=(1.0, -0.4),
    weights={"main": 2.5, "tough": 1.0, "tolerant": 1.0},
)


def test_numbers_are_short_and_missing_ones_are_none() -> None:
    assert charts.numbers([1 / 3, np.nan, np.inf, 120000.0]) == [0.33333, None, None, 120000.0]
    assert charts.numbers(np.eye(2)) == [[1.0, 0.0], [0.0, 1.0]]


def test_a_turned_face_has_the_tilt_that_it_was_turned_by() -> None:
    upright = real_shapes(1)[0]
    angles = np.radians([0, 17, -40])
    turned = []
    for angle in angles:
        c, s = np.cos(angle), np.sin(angle)
        # Clockwise as one sees it, since y points down.
        turned.append((upright - upright.mean(0)) @ np.array([[c, s], [-s, c]]) * 3 + 50)
    shapes = np.array(turned)
    assert charts.tilt(shapes, upright) == pytest.approx([0, 17, -40])
    shapes[:, ::3] = np.nan
    assert charts.tilt(shapes, upright) == pytest.approx([0, 17, -40])
    shapes[0] = np.nan
    assert np.isnan(charts.tilt(shapes, upright)[0])


def test_yaw_is_known_of_schemes_that_become_68_points_alone() -> None:
    shapes = real_shapes(4)
    shapes[1, 40] = np.nan
    yaw = charts.head_angles(shapes, IBUG_68)
    assert yaw is not None
    assert np.isnan(yaw).tolist() == [False, True, False, False]
    assert charts.head_angles(np.zeros((2, 29, 2)), COFW_29) is None


def test_bins_hold_the_means_of_their_faces_and_their_intervals() -> None:
    values = np.array([-50.0, -45, 0, 1, 2, 50, np.nan, 3])
    errors = {"kd": np.array([9.0, 7, 2, 3, 4, 100, 50, np.nan])}
    found = charts.binned_errors(values, errors, (-10, 10), resamples=200, seed=0, unit="°")
    # The bin of one face alone is left out.
    assert [name.replace("\u2212", "-") for name in found["bins"]] == ["< -10°", "-10 to 10°"]
    assert found["n"] == [2, 3]
    means = [bin_[0] for bin_ in found["series"]["kd"]]
    assert means == [8.0, 3.0]
    assert all(low <= mean <= high for mean, low, high in found["series"]["kd"])


def test_bins_by_size_hold_as_many_faces_each() -> None:
    values = np.linspace(10, 1000, 60)
    errors = {"kd": np.ones(60)}
    found = charts.binned_errors(values, errors, None, resamples=100, seed=0, unit=" px")
    assert sum(found["n"]) == 60
    assert max(found["n"]) - min(found["n"]) <= 1


def test_the_distribution_goes_on_to_where_the_faces_are() -> None:
    near = charts.distributions({"kd": np.array([1.0, 2, 3, np.nan])}, "kd")
    assert near["x"][-1] == 10
    assert near["series"]["kd"][-1] == 1
    far = charts.distributions({"kd": np.linspace(20, 34, 50)}, "kd")
    assert far["x"][-1] == 40


def test_regions_show_the_teachers_own_distances() -> None:
    rng = np.random.default_rng(0)
    hard = rng.uniform(-0.4, 0.4, (50, 10, 2))
    hard[0, 0] = np.nan
    teachers = {"tough": hard + 0.01, "tolerant": hard - 0.03}
    found = charts.kd_regions(hard, teachers, LOSS, 0.4)
    assert found["medians"] == pytest.approx({"tough": 1.0, "tolerant": 3.0})
    assert sum(found["histograms"]["tough"]) == pytest.approx(1)
    x, total = np.array(found["curve"]["x"]), np.array(found["curve"]["series"]["total"])
    parts = [np.array(found["curve"]["series"][name]) for name in ("main", "tough", "tolerant")]
    assert total == pytest.approx(sum(parts), abs=1e-6)
    # The assistive part is zero where the student is as far off as the teacher.
    assert np.interp(1.0, x, parts[1]) == pytest.approx(0, abs=1e-4)


def test_columns_that_a_table_lacks_are_left_out() -> None:
    table = pd.DataFrame({"x": [0, 1], "kd": [0.5, np.nan]})
    expected = {"x": [0.0, 1.0], "series": {"kd": [0.5, None]}}
    assert charts.columns(table, "x", ["kd", "control"]) == expected
