"""Landmarks without jitter: the one-euro filter, for any rate of frames.

Casiez, Roussel and Vogel, "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012. A low-pass filter takes the jitter out of what is at rest and lags
behind what moves; this one raises its cut-off with the speed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# A face that jumps this far between two frames, in its own sides, is filtered from there on anew:
# the scene was cut, or so few frames come that there is nothing between them to smooth.
JUMP = 0.5


@dataclass(frozen=True)
class OneEuro:
    """Parameters of the filter; the defaults are measured by `benchmarks.video.measure`.

    Attributes:
        min_cutoff: Hz, the cut-off at rest; lower ones take out more jitter.
        beta: Hz for a speed of one face side a second; higher ones lag less behind motion.
        d_cutoff: Hz, the cut-off of the speed itself; higher ones see a motion's start earlier and
            take more jitter for motion.

    Raises:
        ValueError: one of them is not a number that can be.
    """

    min_cutoff: float = 0.3
    beta: float = 20.0
    d_cutoff: float = 1.0

    def __post_init__(self) -> None:
        for name, smallest in (("min_cutoff", "above 0"), ("beta", "0"), ("d_cutoff", "above 0")):
            value = getattr(self, name)
            if not (math.isfinite(value) and (value > 0 or (value == 0 and smallest == "0"))):
                raise ValueError(f"{name} is {value}, but must be finite and {smallest} or more")


class OneEuroFilter:
    """Filters the points of one face, frame after frame."""

    def __init__(self, parameters: OneEuro) -> None:
        self._parameters = parameters
        self._time = -math.inf
        self._points = np.empty(0)
        self._smooth = np.empty(0)
        self._velocity = np.empty(0)

    def __call__(self, points: np.ndarray, time: float, side: float = 1.0) -> np.ndarray:
        """Return the filtered points of one more frame.

        Args:
            points: (K, 2) float.
            time: of the frame in seconds, not before the last one's.
            side: of the face, in the unit of `points`; speeds are measured by it, so that a face
                is smoothed alike near the camera and far from it.

        Returns:
            (K, 2) float.
        """
        step = time - self._time
        if math.isinf(step) or np.linalg.norm((points - self._points).mean(axis=0)) > JUMP * side:
            self._velocity = np.zeros_like(points)
            smooth = points
        elif step <= 0:
            return self._smooth
        else:
            wanted = self._parameters
            velocity = (points - self._points) / (step * side)
            share = _share(wanted.d_cutoff, step)
            self._velocity = self._velocity + share * (velocity - self._velocity)
            # The length of the velocity: a face is smoothed alike whichever way it moves.
            speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True)
            share = _share(wanted.min_cutoff + wanted.beta * speed, step)
            smooth = self._smooth + share * (points - self._smooth)
        self._time, self._points, self._smooth = time, points, smooth
        return smooth


def _share(cutoff: float | np.ndarray, step: float) -> float | np.ndarray:
    """Return how much of a new value a low-pass filter takes in, `step` seconds after the last."""
    turned = 2 * math.pi * cutoff * step
    return turned / (turned + 1)
