"""What the stage shows of its shape model: modes, variance kept, faces before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks.metrics import nme, normalizing_distance
from landmark_kd.landmarks.scheme import LandmarkScheme
from landmark_kd.soft_landmarks.shape_model import ShapeModel
from landmark_kd.visualization.panels import FacePanel, draw_faces
from landmark_kd.visualization.plots import INK, figure

# Faces in the image, at even distances from the least to the most changed one.
FACES_SHOWN = 8
MODES_SHOWN = 4
DEVIATIONS = 3.0
LOW, MIDDLE, HIGH = "#0072B2", "#BBBBBB", "#D55E00"


def draw_modes(path: Path, model: ShapeModel, scheme: LandmarkScheme) -> None:
    """Draw the mean shape moved along each of the first modes by ±3 standard deviations."""
    count = min(MODES_SHOWN, len(model.modes))
    shares = model.all_variances / model.all_variances.sum()
    shapes = [[model.mean]] + [
        [model.deformed(mode, deviations) for deviations in (-DEVIATIONS, DEVIATIONS)]
        for mode in range(count)
    ]
    low, high = (
        np.min(np.concatenate(shapes), axis=(0, 1)),
        np.max(np.concatenate(shapes), axis=(0, 1)),
    )
    margin = 0.03 * (high - low)
    widths = [np.ptp(np.concatenate(panel)[:, 0]) for panel in shapes]
    with figure(path, 10, 2.8) as fig:
        panels = fig.subplots(1, count + 1, squeeze=False, width_ratios=widths)[0]
        for number, (axes, panel) in enumerate(zip(panels, shapes, strict=True)):
            for shape, colour in zip(panel, (LOW, HIGH), strict=False):
                _draw_shape(axes, shape, scheme, colour if number else INK)
            if number:
                _draw_shape(axes, model.mean, scheme, MIDDLE)
            title = f"mode {number}: {100 * shares[number - 1]:.0f} %" if number else "mean shape"
            axes.set_title(title, loc="center")
            axes.set_axis_off()
            axes.set_aspect("equal")
            # Rows of an image grow downwards.
            axes.set_ylim(high[1] + margin[1], low[1] - margin[1])
        keys = [
            Line2D([], [], color=colour, label=label)
            for colour, label in (
                (LOW, "-3 standard deviations"),
                (MIDDLE, "mean"),
                (HIGH, "+3 standard deviations"),
            )
        ]
        fig.legend(handles=keys, loc="outside lower center", ncols=len(keys))


def _draw_shape(axes: Axes, shape: np.ndarray, scheme: LandmarkScheme, colour: str) -> None:
    for indices, closed in scheme.contours:
        line = shape[list(indices + indices[:1] if closed else indices)]
        # A point by itself, such as a pupil, is a line of no length.
        marker = "o" if len(indices) == 1 else None
        axes.plot(line[:, 0], line[:, 1], color=colour, linewidth=1.3, marker=marker, markersize=2)


def variance_table(
    model: ShapeModel, shapes: np.ndarray, scheme: LandmarkScheme, modes: int
) -> pd.DataFrame:
    """Tell what each further mode explains, and how far it leaves the soft-landmarks.

    Args:
        model: with at least `modes` modes.
        shapes: (N, K, 2) the shapes it was fitted to.

    Returns:
        A row for each number of modes kept: `modes`, `variance` (share, 0 to 1, of the last
        mode), `cumulative` (share of all kept) and `nme` (hard against soft, percent).
    """
    distance = normalizing_distance(shapes, scheme)
    kept = range(1, modes + 1)
    shares = model.all_variances[:modes] / model.all_variances.sum()
    errors = [nme(model.truncated(m).soften(shapes), shapes, distance).mean() for m in kept]
    return pd.DataFrame(
        {"modes": kept, "variance": shares, "cumulative": shares.cumsum(), "nme": errors}
    )


def draw_soft(
    path: Path, faces: Faces, soft: np.ndarray, moved: np.ndarray, model: ShapeModel
) -> None:
    train = faces.train_rows()
    # How far others moved is not known: the normaliser's points are missing.
    train = train[~np.isnan(moved[train])]
    by_change = train[np.argsort(moved[train], kind="stable")]
    picks = np.linspace(0, len(train) - 1, min(FACES_SHOWN, len(train))).round().astype(int)
    in_image = faces.to_image(soft)
    panels = [
        FacePanel.of_face(faces, row, in_image[row], f"moved by {moved[row]:.1f} %", "soft")
        for row in by_change[picks]
    ]
    title = (
        f"Hard- and soft-landmarks ({len(model.modes)} modes, "
        f"{100 * model.explained:.0f} % of the variance), from least to most moved"
    )
    draw_faces(path, panels, faces.info.scheme, columns=4, title=title)
