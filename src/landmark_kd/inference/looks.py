"""What the network saw of faces, and in which boxes they were looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from landmark_kd.inference.boxes import centre_half
from landmark_kd.inference.face import Face
from landmark_kd.inference.network import Predictions
from landmark_kd.inference.turned_boxes import wrapped

# A face is looked at again in its landmarks' upright box where that has its centre as far from the
# first one's (in its longer side), is as many times larger or smaller, or lies as much more tilted
# (radians): a nearer box gives nearly the same landmarks. In boxes as far off as that the NME of
# 126 train faces of 300-W is 1.06, 1.05 and 1.02 times what it is in the landmarks' own boxes
# (`python -m tools.measure_face_search 300W --yunet FILE --every 16`).
FAR = 0.1
LARGER = 1.15
MORE_TILTED = np.radians(10)


class Looks(NamedTuple):
    """Faces, the boxes (M, 4) and rolls (M,) in which they were looked at, and what was seen."""

    boxes: np.ndarray
    rolls: np.ndarray
    predicted: Predictions

    def at(self, rows: np.ndarray) -> Looks:
        """Return some of the faces: their rows, or a bool for each."""
        return Looks(self.boxes[rows], self.rolls[rows], self.predicted.at(rows))

    def replaced(self, rows: np.ndarray, others: Looks) -> Looks:
        """Return the faces with others in place of those at rows."""
        if not len(rows):
            return self
        boxes, rolls = self.boxes.copy(), self.rolls.copy()
        boxes[rows], rolls[rows] = others.boxes, others.rolls
        return Looks(boxes, rolls, self.predicted.replaced(rows, others.predicted))

    def faces(self, scores: np.ndarray) -> list[Face]:
        """Return the faces, of the face detector's scores (M,)."""
        boxes, rolls, (landmarks, sigma, trust) = self
        return [
            Face(
                boxes[i],
                landmarks[i],
                float(scores[i] * trust[i]),
                None if sigma is None else sigma[i],
                float(np.degrees(wrapped(rolls[i]))),
            )
            for i in range(len(boxes))
        ]


def apart(
    boxes: np.ndarray, rolls: np.ndarray, others: np.ndarray, other_rolls: np.ndarray
) -> np.ndarray:
    """Return which boxes (M, 4) and rolls (M,) differ so much that the landmarks will, (M,)."""
    (centre, half), (other_centre, other_half) = centre_half(boxes), centre_half(others)
    side, other_side = 2 * half.max(axis=1), 2 * other_half.max(axis=1)
    return (
        (np.abs(other_centre - centre).max(axis=1) > FAR * side)
        | (np.abs(np.log(other_side / side)) > np.log(LARGER))
        | (np.abs(wrapped(other_rolls - rolls)) > MORE_TILTED)
    )
