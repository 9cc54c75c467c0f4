from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.topology import IBUG_68, TOPOLOGIES, Topology

# Of the inter-ocular distance. The mirrored mean shape differs by 1.3 % from itself; the closest
# two points of a face, the mouth's outer and inner corner, lie 4.9 % apart.
SYMMETRY_TOLERANCE = 0.03


@pytest.fixture(scope="module")
def mean_shape(shared: Path) -> np.ndarray:
    """The mean (68, 2) of all real 300-W shapes after similarity alignment."""
    path = shared / "data" / "shapes" / "300w_68.npz"
    if not path.exists():
        pytest.skip(f"no real shapes at {path}")
    shapes = np.load(path)["pts"].astype(np.float64)
    mean = shapes[0]
    for _ in range(4):
        mean = np.mean([_aligned(shape, mean) for shape in shapes], axis=0)
    return mean


@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=str)
def test_mirroring_twice_gives_the_face_back(topology: Topology) -> None:
    assert sorted(topology.flip) == list(range(topology.points))
    np.testing.assert_array_equal(topology.flip[topology.flip], np.arange(topology.points))


@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=str)
def test_a_mirrored_faces_eye_corners_and_pupils_are_still_its_own(topology: Topology) -> None:
    left, right = topology.outer_eye_corners
    assert topology.flip[left] == right
    left_pupil, right_pupil = topology.pupils
    assert sorted(topology.flip[list(left_pupil)]) == sorted(right_pupil)


@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=str)
def test_every_point_has_a_name_of_its_own_and_is_drawn(topology: Topology) -> None:
    assert len(set(topology.names)) == len(topology.names) == topology.points
    drawn = {index for indices, _ in topology.contours for index in indices}
    assert drawn == set(range(topology.points))


def test_a_topology_is_found_by_its_number_of_points() -> None:
    assert {points: topology.points for points, topology in TOPOLOGIES.items()} == {68: 68}
    assert TOPOLOGIES[68] is IBUG_68


def test_the_flip_table_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        IBUG_68.flip[0] = 1


def test_the_mirrored_mean_of_real_faces_is_itself(mean_shape: np.ndarray) -> None:
    assert _asymmetry(mean_shape, IBUG_68.flip) < SYMMETRY_TOLERANCE


def test_any_two_swapped_entries_of_the_flip_table_would_be_noticed(
    mean_shape: np.ndarray,
) -> None:
    for a, b in combinations(range(68), 2):
        flip = IBUG_68.flip.copy()
        flip[[a, b]] = flip[[b, a]]
        assert _asymmetry(mean_shape, flip) > SYMMETRY_TOLERANCE, (a, b)


def test_the_eye_corners_are_the_outer_ones(mean_shape: np.ndarray) -> None:
    eyes = mean_shape[36:48, 0]
    assert IBUG_68.outer_eye_corners == (36 + eyes.argmin(), 36 + eyes.argmax())


def _asymmetry(shape: np.ndarray, flip: np.ndarray) -> float:
    """Return how far a point of the mirrored shape lies from its own, in inter-oculars."""
    mirrored = _aligned((shape * [-1, 1])[flip], shape)
    left, right = IBUG_68.outer_eye_corners
    interocular = np.linalg.norm(shape[left] - shape[right])
    return float(np.linalg.norm(mirrored - shape, axis=1).max() / interocular)


def _aligned(shape: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return `shape` moved, turned and scaled onto `target` by least squares."""
    source, goal = (
        (points - points.mean(axis=0)) @ np.array([1, 1j]) for points in (shape, target)
    )
    turned = np.vdot(source, goal) / np.vdot(source, source).real * source
    return np.column_stack([turned.real, turned.imag]) + target.mean(axis=0)
