"""The faces on which a student is worst, with its and the reference's points drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from landmark_kd.evaluation.exported import OnnxEvaluation
from landmark_kd.imaging.crops import sample
from landmark_kd.landmarks import geometry
from landmark_kd.visualization.panels import FacePanel, draw_faces

# What `visualization.plots` calls a student that is shipped, and the reference.
KINDS = ("shipped", "pfld")
FACES_SHOWN = 12
# Two images a face, one a network.
COLUMNS = 6
SHOWN_PIXELS = 224
SHOWN_MARGIN = 0.4


def worst_rows(evaluation: OnnxEvaluation) -> np.ndarray:
    """Return the rows of the faces with the largest errors, the worst first."""
    return np.argsort(-evaluation.errors, kind="stable")[:FACES_SHOWN]


def draw_worst(path: Path, student: OnnxEvaluation, reference: OnnxEvaluation) -> None:
    """Draw the student's worst faces, each once with its points and once with the reference's.

    Args:
        student, reference: evaluations of the same faces.
    """
    panels = [
        _panel(evaluation, row, kind)
        for row in worst_rows(student)
        for kind, evaluation in zip(KINDS, (student, reference), strict=True)
    ]
    title = f"{student.dataset.name}: faces with the student's largest errors (NME, %)"
    draw_faces(path, panels, student.scheme, COLUMNS, title)


def _panel(evaluation: OnnxEvaluation, row: int, kind: str) -> FacePanel:
    box = geometry.landmarks_box(evaluation.true[row])
    to_shown = geometry.square_crop(box, SHOWN_MARGIN, SHOWN_PIXELS)
    image = sample(evaluation.faces[row].image.read(), to_shown, SHOWN_PIXELS)
    hard, other = (geometry.apply(to_shown, p[row]) for p in (evaluation.true, evaluation.pred))
    return FacePanel(image[..., ::-1], hard, other, f"{evaluation.errors[row]:.2f}", kind)
