"""Finds from shapes alone which landmarks of an unknown scheme mirror each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from landmark_kd.landmarks.procrustes import checked_shapes, procrustes_mean
from landmark_kd.landmarks.scheme import frozen_flip

# The faces' middle line in images is upright, give or take this, in degrees; it is looked for
# first at each step. A scheme of few points (eyes and mouth corners) also has weaker symmetries,
# of upper and lower half or along a diagonal, which the limit leaves out.
TILT_LIMIT, TILT_STEP = 30, 5
# Where the line is looked for first, from the centroid, in root mean square distances from it:
# points without a partner move the centroid off the line.
START_OFFSETS = (0.0, -0.25, 0.25)
# A point that is further from its partner's mirror image than this, in the same unit, has no
# partner, and counts no more than this.
NO_PARTNER = 0.5
MAX_MATCHINGS = 20
# More shapes than these make no better mean.
ENOUGH_SHAPES = 2000
# More than all other costs together: never chosen.
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
        mean = procrustes_mean(checked_shapes(shapes, "similarity"))
    except ValueError:  # a shape that has nothing in common with the others
        mean = shapes[0] - shapes[0].mean(axis=0)
        mean = mean / np.linalg.norm(mean)
    return mean


def propose_symmetry(mean: np.ndarray) -> Symmetry:
    """Find the pairs of points by which a mean shape (K, 2) is nearest to its mirror image.

    Beginning with several middle lines, points are matched to mirrored points so that the sum of
    distances is least, the line is laid by the pairs found, and so on until the pairs stay the
    same. Points without a partner are left alone and do not draw the line to them.
    """
    size = float(np.linalg.norm(mean - mean.mean(axis=0)) / np.sqrt(len(mean)))
    best, least = np.arange(len(mean)), np.inf
    for degrees in range(-TILT_LIMIT, TILT_LIMIT + 1, TILT_STEP):
        for offset in START_OFFSETS:
            line = _Line(_complex(mean).mean() + offset * size, np.deg2rad(degrees))
            flip = match_mirrored(_upright(mean, line), NO_PARTNER * size)
            for _ in range(MAX_MATCHINGS):
                known, line = flip, _line(mean, flip, NO_PARTNER * size)
                flip = match_mirrored(_upright(mean, line), NO_PARTNER * size)
                if np.array_equal(flip, known):
                    break
            cost = np.minimum(_distances(mean, flip, line), NO_PARTNER * size).sum()
            if cost < least:
                best, least = flip, cost
    return symmetry_of(mean, best)


def symmetry_of(mean: np.ndarray, flip: np.ndarray) -> Symmetry:
    """Return how far a mean shape (K, 2) is from its mirror image by a known permutation (K,)."""
    size = float(np.linalg.norm(mean - mean.mean(axis=0)) / np.sqrt(len(mean)))
    line = _line(mean, flip, NO_PARTNER * size)
    return Symmetry(frozen_flip(int(i) for i in flip), _distances(mean, flip, line))


def match_mirrored(upright: np.ndarray, alone: float) -> np.ndarray:
    """Return the permutation (K,), its own inverse, that costs least about the line x = 0.

    A point costs the distance to its partner's mirror image; one without a partner the distance
    to its own, at most `alone`. Two points on one side of the line never gain by being a pair:
    their distance to each other's mirror image is at least the sum of their distances to the
    line. So this is an assignment of points on the left to points on the right, in which each
    point has a stand-in for "alone".
    """
    left = np.flatnonzero(upright[:, 0] < 0)
    right = np.flatnonzero(upright[:, 0] >= 0)
    apart = np.linalg.norm(upright[left][:, None] - _mirrored(upright[right])[None], axis=2)
    single = np.minimum(2 * np.abs(upright[:, 0]), alone)
    costs = np.full((len(upright), len(upright)), IMPOSSIBLE)
    costs[: len(left), : len(right)] = 2 * apart
    costs[np.arange(len(left)), len(right) + np.arange(len(left))] = single[left]
    costs[len(left) + np.arange(len(right)), np.arange(len(right))] = single[right]
    costs[len(left) :, len(right) :] = 0
    flip = np.arange(len(upright))
    for row, column in zip(*linear_sum_assignment(costs), strict=True):
        if row < len(left) and column < len(right):
            flip[left[row]], flip[right[column]] = right[column], left[row]
    return flip


class _Line(NamedTuple):
    """The middle line: a point of it, and its angle from upright."""

    centre: complex
    tilt: float


def _line(mean: np.ndarray, flip: np.ndarray, alone: float) -> _Line:
    """Return the line about which mirroring brings `flip`'s pairs closest, lone points aside.

    With z complex about a point of the line, mirroring about a line tilted by a is
    z -> -exp(2ia) conj(z); a sum of squares is least if the line goes through the centroid and
    2a is the angle of sum(-z_i z_flip(i)).
    """
    z = _complex(mean)
    kept = np.ones(len(mean), dtype=bool)
    for _ in range(MAX_MATCHINGS):
        centre = z[kept].mean()
        product = -((z - centre) * (z[flip] - centre))[kept].sum()
        line = _Line(centre, float(np.angle(product) / 2))
        near = (flip != np.arange(len(flip))) | (_distances(mean, flip, line) < alone)
        if np.array_equal(near, kept) or not near.any():
            break
        kept = near
    return line


def _distances(mean: np.ndarray, flip: np.ndarray, line: _Line) -> np.ndarray:
    upright = _upright(mean, line)
    return np.linalg.norm(upright - _mirrored(upright)[flip], axis=1)


def _upright(mean: np.ndarray, line: _Line) -> np.ndarray:
    """Return the shape, turned and shifted so that the line is x = 0."""
    z = (_complex(mean) - line.centre) * np.exp(-1j * line.tilt)
    return np.stack([z.real, z.imag], axis=1)


def _complex(points: np.ndarray) -> np.ndarray:
    return points[:, 0] + 1j * points[:, 1]


def _mirrored(points: np.ndarray) -> np.ndarray:
    return points * [-1, 1]
