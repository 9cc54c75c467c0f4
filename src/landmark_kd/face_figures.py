"""Pictures of shapes and of faces with their landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from landmark_kd import geometry
from landmark_kd.asm import ShapeModel
from landmark_kd.faces import Faces
from landmark_kd.figures import COLOURS, INK, LABELS, figure
from landmark_kd.topology import Topology

# Hard-landmarks on pictures, where everything else is coloured.
ON_PICTURE = "white"
# Soft-landmarks are what the tolerant teacher learns.
SOFT = COLOURS["tolerant"]
MODES_SHOWN = 4
DEVIATIONS = 3.0
LOW, MIDDLE, HIGH = "#0072B2", "#BBBBBB", "#D55E00"


@dataclass(frozen=True)
class FacePanel:
    """One picture with the hard-landmarks and one other set of landmarks on it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        hard: (K, 2) pixels of `image`.
        other: (K, 2) pixels of `image`.
        caption: printed below.
        kind: what the other set is: a network's name, or soft.
    """

    image: np.ndarray
    hard: np.ndarray
    other: np.ndarray
    caption: str
    kind: str

    @classmethod
    def of_face(
        cls, faces: Faces, row: int, points: np.ndarray, caption: str, kind: str
    ) -> FacePanel:
        """Show a prepared face's crop and half of the border around it.

        Args:
            points: (K, 2) the other set, pixels of the original picture.
        """
        around = faces.info.border // 2
        shown = slice(
            faces.info.border - around, faces.info.stored_size - faces.info.border + around
        )
        to_shown = geometry.invert(faces.crop_to_image[row])
        to_shown[:, 2] += around
        hard, other = (geometry.apply(to_shown, p) for p in (faces.landmarks[row], points))
        return cls(np.asarray(faces.images[row, shown, shown]), hard, other, caption, kind)


def draw_modes(path: Path, model: ShapeModel, topology: Topology) -> None:
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
                _draw_shape(axes, shape, topology, colour if number else INK)
            if number:
                _draw_shape(axes, model.mean, topology, MIDDLE)
            title = f"mode {number}: {100 * shares[number - 1]:.0f} %" if number else "mean shape"
            axes.set_title(title, loc="center")
            axes.set_axis_off()
            axes.set_aspect("equal")
            # Rows of a picture grow downwards.
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


def draw_faces(
    path: Path, panels: Sequence[FacePanel], topology: Topology, columns: int, title: str
) -> None:
    """Draw pictures in rows, with hard-landmarks in white and the other set in its colour."""
    rows = -(-len(panels) // columns)
    columns = min(columns, len(panels))
    with figure(path, 2.5 * columns, 2.7 * rows + 0.65) as fig:
        grid = fig.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, panel in zip(grid, panels, strict=False):
            height, width = panel.image.shape[:2]
            axes.imshow(panel.image, interpolation="bicubic")
            _draw_on_picture(axes, panel, topology)
            axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
            axes.text(0.5, -0.03, panel.caption, ha="center", va="top", transform=axes.transAxes)
        fig.suptitle(title)
        keys = [Line2D([], [], color=ON_PICTURE, marker="o", markersize=4, label="hard-landmarks")]
        keys[0].set_path_effects(_rim(1))
        for kind in dict.fromkeys(panel.kind for panel in panels):
            label = "soft-landmarks" if kind == "soft" else LABELS[kind]
            keys.append(Line2D([], [], color=_colour(kind), marker="o", markersize=4, label=label))
        fig.legend(handles=keys, loc="outside lower center", ncols=len(keys))


def _draw_shape(axes: Axes, shape: np.ndarray, topology: Topology, colour: str) -> None:
    for indices, closed in topology.contours:
        line = shape[list(indices + indices[:1] if closed else indices)]
        # A point by itself, such as a pupil, is a line of no length.
        marker = "o" if len(indices) == 1 else None
        axes.plot(line[:, 0], line[:, 1], color=colour, linewidth=1.3, marker=marker, markersize=2)


def _draw_on_picture(axes: Axes, panel: FacePanel, topology: Topology) -> None:
    for points, colour in ((panel.hard, ON_PICTURE), (panel.other, _colour(panel.kind))):
        for indices, closed in topology.contours:
            line = points[list(indices + indices[:1] if closed else indices)]
            axes.plot(line[:, 0], line[:, 1], color=colour, linewidth=0.8, path_effects=_rim(0.5))
        axes.plot(
            points[:, 0], points[:, 1], "o", color=colour, markersize=1.5, path_effects=_rim(0.5)
        )


def _rim(width: float) -> list[patheffects.AbstractPathEffect]:
    return [patheffects.withStroke(linewidth=2 * width, foreground="#000000B0")]


def _colour(kind: str) -> str:
    return SOFT if kind == "soft" else COLOURS[kind]
