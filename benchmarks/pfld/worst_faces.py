"""The faces on which the student is worst, with both networks' points drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from landmark_kd.evaluation.exported import OnnxEvaluation
from landmark_kd.imaging.crops import sample
from landmark_kd.landmarks import geometry
from landmark_kd.visualization.panels import FacePanel, draw_faces

# The networks' names in `visualization.plots`.
FIGURE_NAMES = {"student": "shipped", "pfld": "pfld"}
FACES_SHOWN = 12
# Two images a face, one a network.
COLUMNS = 6
SHOWN_PIXELS = 224
SHOWN_MARGIN = 0.4


def worst_rows(evaluation: OnnxEvaluation) -> np.ndarray:
    """Return the rows of the faces with the largest errors, the worst first."""
    return np.argsort(-evaluation.errors, kind="stable")[:FACES_SHOWN]


def draw_worst(path: Path, evaluations: Mapping[str, OnnxEvaluation]) -> None:
    """Draw the student's worst faces, each once with its points and once with the reference's.

    Args:
        evaluations: of the same faces by each network, `student` first.
    """
    student = evaluations["student"]
    panels = [
        _panel(evaluation, row, FIGURE_NAMES[network])
        for row in worst_rows(student)
        for network, evaluation in evaluations.items()
    ]
    title = f"{student.dataset.name}: faces with the student's largest errors (NME, %)"
    draw_faces(path, panels, student.scheme, COLUMNS, title)


def _panel(evaluation: OnnxEvaluation, row: int, kind: str) -> FacePanel:
    box = geometry.landmarks_box(evaluation.true[row])
    to_shown = geometry.square_crop(box, SHOWN_MARGIN, SHOWN_PIXELS)
    image = sample(evaluation.faces[row].image.read(), to_shown, SHOWN_PIXELS)
    hard, other = (geometry.apply(to_shown, p[row]) for p in (evaluation.true, evaluation.pred))
    return FacePanel(image[..., ::-1], hard, other, f"{evaluation.errors[row]:.2f}", kind)
