"""Which landmarks of an unknown scheme mirror each other, found from the shapes alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from landmark_kd.asm import ShapeModel
from landmark_kd.topology import frozen_flip

# The faces' middle line in pictures is upright, give or take this, in degrees; starts are tried
# at each step. A scheme of few points (eyes and mouth corners) also has a weaker symmetry of
# upper and lower half, which the limit leaves out.
TILT_LIMIT, TILT_STEP = 45, 5
MAX_MATCHINGS = 20
# More shapes than these make no better mean.
ENOUGH_SHAPES = 2000
# A pair that costs as much as any other matching together: never chosen.
IMPOSSIBLE = 1e6


@dataclass(frozen=True)
class Symmetry:
    """How a mean shape mirrors onto itself.

    Attributes:
        flip: (K,) permutation; point i lies where point `flip[i]` is mirrored to.
        distances: (K,) from each point of the mean shape to the mirrored one that `flip` gives
            it, in units of the mean shape.
    """

    flip: np.ndarray
    distances: np.ndarray


def mean_shape(shapes: np.ndarray) -> np.ndarray:
    """Return the mean (K, 2) of shapes (N, K, 2) aligned by similarity, turned as they are.

    Shapes without extent do not count.

    Raises:
        ValueError: no shape has an extent.
    """
    shapes = shapes[np.ptp(shapes, axis=1).max(axis=1) > 0]
    if not len(shapes):
        raise ValueError("no shape has an extent")
    shapes = shapes[:: -(-len(shapes) // ENOUGH_SHAPES)]
    try:
        mean = ShapeModel.fit(shapes).mean
    except ValueError:  # a single shape, or copies of one
        mean = shapes[0] - shapes[0].mean(axis=0)
        mean = mean / np.linalg.norm(mean)
    return mean


def propose_symmetry(mean: np.ndarray) -> Symmetry:
    """Find the pairs of points by which a mean shape (K, 2) is nearest to its mirror image.

    For each of several tilts of the middle line, points are matched to mirrored points so that
    the sum of distances is least, the mirror image is laid over the shape by the pairs found, and
    so on until the pairs stay the same.
    """
    best = None
    for tilt in np.deg2rad(np.arange(-TILT_LIMIT, TILT_LIMIT + 1, TILT_STEP)):
        flip = _matched(mean, tilt)
        for _ in range(MAX_MATCHINGS):
            known = flip
            flip = _matched(mean, _tilt(mean, known))
            if np.array_equal(flip, known):
                break
        found = symmetry_of(mean, flip)
        if abs(_tilt(mean, flip)) > np.deg2rad(TILT_LIMIT):
            continue
        if best is None or found.distances.sum() < best.distances.sum():
            best = found
    # A shape with no upright symmetry at all: every point is alone.
    return best or symmetry_of(mean, np.arange(len(mean)))


def symmetry_of(mean: np.ndarray, flip: np.ndarray) -> Symmetry:
    """Return how far a mean shape (K, 2) is from its mirror image by a known permutation (K,)."""
    upright = _upright(mean, _tilt(mean, flip))
    distances = np.linalg.norm(upright - _mirrored(upright)[flip], axis=1)
    return Symmetry(frozen_flip(int(i) for i in flip), distances)


def _tilt(mean: np.ndarray, flip: np.ndarray) -> float:
    """Angle from upright of the middle line about which mirroring brings `flip`'s pairs closest.

    With z complex and the centroid the origin, mirroring about a line tilted by a is
    z -> -exp(2ia) conj(z), and a sum of squares is least where 2a is the angle of
    sum(-z_i z_flip(i)).
    """
    z = mean[:, 0] + 1j * mean[:, 1]
    z = z - z.mean()
    return float(np.angle(-(z * z[flip]).sum()) / 2)


def _upright(mean: np.ndarray, tilt: float) -> np.ndarray:
    z = mean[:, 0] + 1j * mean[:, 1]
    z = (z - z.mean()) * np.exp(-1j * tilt)
    return np.stack([z.real, z.imag], axis=1)


def _mirrored(points: np.ndarray) -> np.ndarray:
    return points * [-1, 1]


def _matched(mean: np.ndarray, tilt: float) -> np.ndarray:
    """Return the permutation, its own inverse, with the least sum of distances.

    Two points on one side of the line never gain by being a pair: their distance to each other's
    mirror image is at least the sum of their distances to the line. So each point is either
    matched to one of the other side or, at twice its distance to the line, to itself: an
    assignment problem, with a stand-in for each point's "itself".
    """
    upright = _upright(mean, tilt)
    left = np.flatnonzero(upright[:, 0] < 0)
    right = np.flatnonzero(upright[:, 0] >= 0)
    apart = np.linalg.norm(upright[left][:, None] - _mirrored(upright[right])[None], axis=2)
    costs = np.full((len(mean), len(mean)), IMPOSSIBLE)
    costs[: len(left), : len(right)] = 2 * apart
    costs[np.arange(len(left)), len(right) + np.arange(len(left))] = -2 * upright[left, 0]
    costs[len(left) + np.arange(len(right)), np.arange(len(right))] = 2 * upright[right, 0]
    costs[len(left) :, len(right) :] = 0
    flip = np.arange(len(mean))
    for row, column in zip(*linear_sum_assignment(costs), strict=True):
        if row < len(left) and column < len(right):
            flip[left[row]], flip[right[column]] = right[column], left[row]
    return flip
