"""Turned heads: which frames are taken, and that habits of annotation do not count as errors."""

from __future__ import annotations

import numpy as np

from benchmarks.pfld.turned_heads import by_yaw, habit_free_errors
from landmark_kd.landmarks.head import load_prior


def test_each_person_counts_once_in_each_bin_by_the_median_frame() -> None:
    people = np.array(["a", "a", "a", "b", "a", "b"])
    yaw = np.array([9.0, 1.0, 5.0, 3.0, 25.0, 40.0])
    found = by_yaw(people, yaw)
    assert found == {"0 to 10°": [2, 3], "20 to 30°": [4], "beyond 30°": [5]}


def test_a_habit_is_no_error_and_all_else_is() -> None:
    rng = np.random.default_rng(0)
    true = np.stack([200 * load_prior().mean[:, :2] + rng.normal(0, 1, (68, 2)) for _ in range(40)])
    yaw = np.zeros(40)
    habit = np.zeros((68, 2))
    habit[30] = (0.0, 9.0)
    sides = np.ptp(true, axis=1).max(axis=1)
    np.testing.assert_allclose(habit_free_errors(true + habit, true, yaw), 0, atol=0.02)
    found = true + habit
    found[3, 17:] += (0.0, 5.0)
    errors = habit_free_errors(found, true, yaw)
    np.testing.assert_allclose(errors[3], 500 / sides[3], atol=0.02)
    np.testing.assert_allclose(np.delete(errors, 3), 0, atol=0.02)
    found = true + habit
    found[5, :17] += 50  # the jaw does not count
    np.testing.assert_allclose(habit_free_errors(found, true, yaw), 0, atol=0.02)
