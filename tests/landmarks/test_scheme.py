"""Landmark schemes against the mean of real faces: flip tables, normalisers, 98 points to 68."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from landmark_kd.core.errors import UserError
from landmark_kd.landmarks.scheme import (
    COFW_29,
    IBUG_68,
    SCHEMES,
    WFLW_98,
    WFLW_TO_IBUG,
    LandmarkScheme,
    convert,
)

# The file of real shapes of each scheme, and the arrays in it.
REAL_SHAPES = {
    29: ("cofw_29.npz", ("train", "test")),
    68: ("300w_68.npz", ("pts",)),
    98: ("wflw_test_98.npz", ("pts",)),
}
# Of the distance between the outer eye corners. The mirrored mean shapes differ by 1.0 % (29
# points), 1.3 % (68) and 1.7 % (98) from themselves.
SYMMETRY_TOLERANCE = 0.03

# Where a converted WFLW mean shape may lie from the 300-W mean shape, of the same distance: the
# two schemes place the ends of the brows up to 8.7 % apart, everything else up to 7 %.
BROW_TOLERANCE = 0.09
TOLERANCE = 0.07

each_scheme = pytest.mark.parametrize(
    "scheme", SCHEMES.values(), ids=lambda scheme: str(scheme.points)
)


@pytest.fixture(scope="module")
def mean_shape(shared: Path) -> Callable[[LandmarkScheme], np.ndarray]:
    """The mean (K, 2) of all real shapes of a scheme after similarity alignment."""
    means: dict[int, np.ndarray] = {}

    def mean_of(scheme: LandmarkScheme) -> np.ndarray:
        if scheme.points not in means:
            name, keys = REAL_SHAPES[scheme.points]
            path = shared / "data" / "shapes" / name
            if not path.exists():
                pytest.skip(f"no real shapes at {path}")
            with np.load(path) as content:
                shapes = np.concatenate([content[key] for key in keys]).astype(np.float64)
            mean = shapes[0]
            for _ in range(4):
                mean = np.mean([_aligned(shape, mean) for shape in shapes], axis=0)
            means[scheme.points] = mean
        return means[scheme.points]

    return mean_of


def test_a_scheme_is_found_by_its_number_of_points() -> None:
    assert SCHEMES == {29: COFW_29, 68: IBUG_68, 98: WFLW_98}
    assert all(points == scheme.points for points, scheme in SCHEMES.items())


@each_scheme
def test_mirroring_twice_gives_the_face_back(scheme: LandmarkScheme) -> None:
    assert sorted(scheme.flip) == list(range(scheme.points))
    np.testing.assert_array_equal(scheme.flip[scheme.flip], np.arange(scheme.points))


@each_scheme
def test_a_mirrored_faces_eye_corners_and_pupils_are_still_its_own(scheme: LandmarkScheme) -> None:
    left, right = scheme.normalizer
    assert scheme.flip[left] == right
    assert scheme.pupils is not None
    left_pupil, right_pupil = scheme.pupils
    assert sorted(scheme.flip[list(left_pupil)]) == sorted(right_pupil)


@each_scheme
def test_left_and_right_in_a_points_name_change_places_in_a_mirrored_face(
    scheme: LandmarkScheme,
) -> None:
    swap = {"left": "right", "right": "left"}
    for name, index in zip(scheme.names, scheme.flip, strict=True):
        words = [swap.get(word, word) for word in name.split("_")]
        mirrored = scheme.names[index].split("_")
        # Points of a group that are only counted are counted along it, not from the middle.
        if words[-1].isdigit():
            words, mirrored = words[:-1], mirrored[:-1]
        assert words == mirrored, name


@each_scheme
def test_every_point_has_a_name_of_its_own_and_is_drawn(scheme: LandmarkScheme) -> None:
    assert len(set(scheme.names)) == len(scheme.names) == scheme.points
    drawn = {index for indices, _ in scheme.contours for index in indices}
    assert drawn == set(range(scheme.points))


@each_scheme
def test_the_contours_of_a_mirrored_face_are_the_same_lines(scheme: LandmarkScheme) -> None:
    lines = _segments(scheme)
    assert {frozenset(scheme.flip[list(line)].tolist()) for line in lines} == lines


@each_scheme
def test_the_flip_table_cannot_be_changed_by_accident(scheme: LandmarkScheme) -> None:
    with pytest.raises(ValueError, match="read-only"):
        scheme.flip[0] = 1


@each_scheme
def test_a_scheme_comes_back_from_json_as_it_was(scheme: LandmarkScheme) -> None:
    back = LandmarkScheme.from_json(json.loads(json.dumps(scheme.to_json())))
    np.testing.assert_array_equal(back.flip, scheme.flip)
    assert not back.flip.flags.writeable
    assert replace(back, flip=scheme.flip) == scheme


@pytest.mark.seconds
@each_scheme
def test_the_mirrored_mean_of_real_faces_is_itself(
    scheme: LandmarkScheme, mean_shape: Callable[[LandmarkScheme], np.ndarray]
) -> None:
    assert _is_symmetric(mean_shape(scheme), scheme.flip, scheme)


@pytest.mark.seconds
@each_scheme
def test_any_two_swapped_entries_of_a_flip_table_would_be_noticed(
    scheme: LandmarkScheme, mean_shape: Callable[[LandmarkScheme], np.ndarray]
) -> None:
    shape = mean_shape(scheme)
    for a, b in combinations(range(scheme.points), 2):
        flip = scheme.flip.copy()
        flip[[a, b]] = flip[[b, a]]
        assert not _is_symmetric(shape, flip, scheme), (a, b)


@each_scheme
def test_the_normaliser_is_the_outer_corners_of_the_eyes(
    scheme: LandmarkScheme, mean_shape: Callable[[LandmarkScheme], np.ndarray]
) -> None:
    shape = mean_shape(scheme)
    eyes = np.array([i for i, name in enumerate(scheme.names) if "_eye_" in name])
    outermost = eyes[shape[eyes, 0].argmin()], eyes[shape[eyes, 0].argmax()]
    assert scheme.normalizer == outermost
    assert scheme.normalizer_name == "outer eye corners"


@each_scheme
def test_a_pupil_lies_in_the_middle_of_its_eye(
    scheme: LandmarkScheme, mean_shape: Callable[[LandmarkScheme], np.ndarray]
) -> None:
    shape = mean_shape(scheme)
    assert scheme.pupils is not None
    for side, pupil in zip(("left", "right"), scheme.pupils, strict=True):
        of_eye = [i for i, name in enumerate(scheme.names) if name.startswith(f"{side}_eye_")]
        low, high = shape[of_eye].min(axis=0), shape[of_eye].max(axis=0)
        x, y = (shape[list(pupil)].mean(axis=0) - low) / (high - low)
        assert 0.4 < x < 0.6
        assert 0.3 < y < 0.7


def test_landmarks_of_98_points_become_the_68_that_they_lie_nearest_to_in_the_mean_of_real_faces(
    mean_shape: Callable[[LandmarkScheme], np.ndarray],
) -> None:
    target = mean_shape(IBUG_68)
    source = _aligned(convert(mean_shape(WFLW_98), WFLW_98, IBUG_68), target)
    distances = cdist(target, source) / _unit(target, IBUG_68)
    own = distances.diagonal()
    brows = np.array(["brow" in name for name in IBUG_68.names])
    assert own[brows].max() < BROW_TOLERANCE
    assert own[~brows].max() < TOLERANCE
    assert own.mean() < 0.031
    _, nearest = linear_sum_assignment(distances)
    np.testing.assert_array_equal(nearest, np.arange(68))


def test_converted_eyelids_are_divided_evenly_as_those_of_ibug_are(
    mean_shape: Callable[[LandmarkScheme], np.ndarray],
) -> None:
    # A lid of WFLW has three points, the middle one of which is about as near to iBUG's second as
    # its third is; only without the middle one do both halves of the lid look alike.
    for shape in (mean_shape(IBUG_68), convert(mean_shape(WFLW_98), WFLW_98, IBUG_68)):
        for lid in ((36, 37, 38, 39), (39, 40, 41, 36), (42, 43, 44, 45), (45, 46, 47, 42)):
            first, _, last = np.linalg.norm(np.diff(shape[list(lid)], axis=0), axis=1)
            assert abs(first - last) < 0.03 * _unit(shape, IBUG_68), lid


def test_mirroring_and_converting_may_be_done_in_either_order() -> None:
    table = np.array(WFLW_TO_IBUG)
    np.testing.assert_array_equal(WFLW_98.flip[table], table[IBUG_68.flip])


def test_a_converted_face_keeps_its_normaliser() -> None:
    assert tuple(WFLW_TO_IBUG[i] for i in IBUG_68.normalizer) == WFLW_98.normalizer


def test_conversion_takes_points_as_they_are_from_any_number_of_faces() -> None:
    faces = np.random.default_rng(0).normal(size=(2, 3, 98, 2))
    converted = convert(faces, WFLW_98, IBUG_68)
    assert converted.shape == (2, 3, 68, 2)
    for i, index in enumerate(WFLW_TO_IBUG):
        np.testing.assert_array_equal(converted[..., i, :], faces[..., index, :])
    np.testing.assert_array_equal(convert(faces, WFLW_98, WFLW_98), faces)


@pytest.mark.parametrize(
    ("source", "target"),
    [(IBUG_68, WFLW_98), (COFW_29, IBUG_68), (WFLW_98, COFW_29)],
    ids=["68 to 98", "29 to 68", "98 to 29"],
)
def test_a_conversion_that_does_not_exist_is_refused(
    source: LandmarkScheme, target: LandmarkScheme
) -> None:
    with pytest.raises(UserError, match=f"{source.points} landmarks .* {target.points} of"):
        convert(np.zeros((source.points, 2)), source, target)


@pytest.mark.parametrize("target", [IBUG_68, WFLW_98], ids=["to 68", "to 98"])
def test_another_scheme_of_as_many_points_is_not_taken_for_wflws(target: LandmarkScheme) -> None:
    own = replace(WFLW_98, names=tuple(f"point_{i}" for i in range(98)))
    with pytest.raises(UserError, match="only WFLW's 98 into iBUG's 68"):
        convert(np.zeros((98, 2)), own, target)


@pytest.mark.parametrize("shape", [(68, 2), (98, 3), (2, 98), (2,)], ids=str)
def test_landmarks_that_are_not_of_the_scheme_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(\.\.\., 98, 2\) landmarks"):
        convert(np.zeros(shape), WFLW_98, IBUG_68)


def _is_symmetric(shape: np.ndarray, flip: np.ndarray, scheme: LandmarkScheme) -> bool:
    """Tell whether the mirrored shape is itself when its points change places as `flip` says.

    Each point must fall on its own within the tolerance. Where two points lie closer together
    than that (98 points: the mouth's outer and inner corners, 2.0 %), either of them would do, so
    `flip` must also be the one of all permutations that brings the points nearest to their own.
    """
    mirrored = _aligned((shape * [-1, 1])[flip], shape)
    distances = cdist(shape, mirrored) / _unit(shape, scheme)
    if distances.diagonal().max() >= SYMMETRY_TOLERANCE:
        return False
    _, nearest = linear_sum_assignment(distances)
    return bool((nearest == np.arange(len(shape))).all())


def _unit(shape: np.ndarray, scheme: LandmarkScheme) -> float:
    first, second = scheme.normalizer
    return float(np.linalg.norm(shape[first] - shape[second]))


def _segments(scheme: LandmarkScheme) -> set[frozenset[int]]:
    """Return the ends of each piece of a line; a point that is drawn alone is its only end."""
    pieces = set()
    for indices, closed in scheme.contours:
        ends = indices[1:] + indices[:1] if closed or len(indices) == 1 else indices[1:]
        pieces |= {frozenset(piece) for piece in zip(indices, ends, strict=False)}
    return pieces


def _aligned(shape: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return `shape` moved, turned and scaled onto `target` by least squares."""
    source, task = (
        (points - points.mean(axis=0)) @ np.array([1, 1j]) for points in (shape, target)
    )
    turned = np.vdot(source, task) / np.vdot(source, source).real * source
    return np.column_stack([turned.real, turned.imag]) + target.mean(axis=0)
