"""Landmarks drawn on images."""

from __future__ import annotations

import numpy as np
import pytest

from landmark_kd.visualization.overlay import draw_landmarks

SQUARE = np.array([[20.0, 20.0], [80.0, 20.0], [80.0, 80.0], [20.0, 80.0]])
RED = (0, 0, 255)


def is_red(pixel: np.ndarray) -> bool:
    """Red enough: the edges of lines are smoothed."""
    return bool(pixel[2] > 200 and pixel[:2].max() < 50)


def grey_image(value: int = 128, side: int = 100) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def test_points_and_lines_have_the_colour_and_the_given_image_is_not_changed() -> None:
    image = grey_image()
    drawn = draw_landmarks(image, SQUARE, [((0, 1), False)], RED)
    assert is_red(drawn[20, 20]), "a point"
    assert is_red(drawn[20, 50]), "the line between two points"
    assert (image == 128).all()


def test_a_closed_contour_has_one_line_more_than_an_open_one() -> None:
    indices = (0, 1, 2, 3)
    opened = draw_landmarks(grey_image(), SQUARE, [(indices, False)], RED)
    closed = draw_landmarks(grey_image(), SQUARE, [(indices, True)], RED)
    assert (opened[50, 20] == 128).all()
    assert is_red(closed[50, 20])


def test_a_rim_shows_the_points_on_a_background_of_their_own_colour() -> None:
    background = np.broadcast_to(np.array(RED, np.uint8), (100, 100, 3))
    assert (draw_landmarks(background, SQUARE, colour=RED) != background).any()


def test_lines_grow_with_the_face() -> None:
    def width(scale: int) -> int:
        drawn = draw_landmarks(grey_image(0, 100 * scale), SQUARE * scale, [((0, 1), False)], RED)
        return int(np.count_nonzero(drawn[:, 50 * scale, 2] > 200))

    assert width(1) < width(20)


def test_a_face_in_a_large_photo_is_drawn_as_in_a_small_one() -> None:
    small, large = grey_image(), grey_image(side=2000)
    unsure = np.array([0.5, 2.0, 5.0, 9.0])
    contours = [((0, 1, 2, 3), True)]
    drawn = draw_landmarks(small, SQUARE, contours, RED, uncertainty=unsure)
    inside = draw_landmarks(large, SQUARE + 1900, contours, RED, uncertainty=unsure)
    np.testing.assert_array_equal(inside[1900:, 1900:], drawn)
    inside[1900:, 1900:] = 128
    assert (inside == 128).all()


@pytest.mark.parametrize("far", [-1e12, -500.0, 1e12])
def test_points_outside_the_image_are_no_error(far: float) -> None:
    points = np.vstack([SQUARE, [[far, far]]])
    drawn = draw_landmarks(grey_image(), points, [((0, 4), False)], RED, thickness=1)
    assert is_red(drawn[80, 80]), "a point inside"
    assert is_red(drawn[50, 50]) == (far > 0), "the line towards the far point"


def test_a_landmark_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        draw_landmarks(grey_image(), SQUARE * np.inf)


def test_missing_landmarks_and_lines_to_them_are_not_drawn() -> None:
    partial = np.where([[True], [False], [True], [True]], SQUARE, np.nan)
    drawn = draw_landmarks(grey_image(), partial, [((0, 1, 2, 3), True)], RED)
    x, y = SQUARE[1].astype(int)
    assert (drawn[y, x] == grey_image()[y, x]).all()
    one, other = SQUARE[[2, 3]].mean(axis=0).astype(int), SQUARE[[0, 1]].mean(axis=0).astype(int)
    assert is_red(drawn[one[1], one[0]])
    assert not is_red(drawn[other[1], other[0]])
    nothing = draw_landmarks(grey_image(), SQUARE * np.nan, [((0, 1, 2, 3), True)], RED)
    assert (nothing == grey_image()).all()


def test_landmarks_that_are_unsure_are_faint_and_sure_ones_are_not() -> None:
    sigma = np.array([0.1, 0.1, 60.0, 60.0])
    around = [((0, 1, 2, 3), True)]
    plain = draw_landmarks(grey_image(), SQUARE, around, RED)
    drawn = draw_landmarks(grey_image(), SQUARE, around, RED, uncertainty=sigma).astype(int)
    assert is_red(drawn[20, 20])
    assert is_red(drawn[20, 50]), "the line between two sure ones"
    assert 128 < drawn[80, 80, 2] < 200, "an unsure one lets the image through"
    assert drawn[80, 50, 2] < drawn[50, 80, 2] < drawn[20, 50, 2], "lines are as sure as their ends"
    untouched = (plain == 128).all(axis=2)
    assert (drawn[untouched] == 128).all()
