"""A face that was found, its landmarks and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


# What makes two faces equal is below: the comparison that comes with it fails at arrays.
@dataclass(frozen=True, eq=False)
class Face:
    """One face, in the pixels of the image given (centres at integers, x right, y down).

    Faces with the same numbers are equal. Arrays can be changed, so faces are no keys of dicts and
    sets: they have no hash.

    Attributes:
        box: (4,) float x0, y0, x1, y1, the box the landmarks were predicted in; given to `detect`
            again, with `roll`, it gives the same landmarks.
        landmarks: (K, 2) float.
        score: how sure it is that the landmarks lie on a face, 0 to 1: how sure the face detector
            was (1 for a box that was given), times how sure the network is
            (`landmarks.uncertainty.trust`).
        uncertainty: (K,) float, sigma of each landmark in pixels: half of all landmarks lie within
            1.18 sigma of the truth; `ModelInfo.region` has the multiples of other shares. None of
            files that do not say it.
        roll: degrees by which the head is tilted, clockwise as one sees the image, as far as that
            was looked for; `box` is turned by as much about its centre.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    uncertainty: np.ndarray | None = None
    roll: float = 0.0

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    __hash__ = None  # type: ignore[assignment]
