"""Images of shapes and of faces with their landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import LandmarkScheme
from landmark_kd.visualization.plots import COLOURS, LABELS, figure

# Hard-landmarks on images, where everything else is coloured.
ON_IMAGE = "white"
# Soft-landmarks are what the tolerant teacher learns.
SOFT = COLOURS["tolerant"]


@dataclass(frozen=True)
class FacePanel:
    """One image with the hard-landmarks and one other set of landmarks on it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        hard: (K, 2) pixels of `image`; missing ones (NaN) are not drawn.
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
            points: (K, 2) the other set, pixels of the original image.
        """
        around = faces.info.border // 2
        shown = slice(
            faces.info.border - around, faces.info.stored_size - faces.info.border + around
        )
        to_shown = geometry.invert(faces.crop_to_image[row])
        to_shown[:, 2] += around
        hard, other = (geometry.apply(to_shown, p) for p in (faces.landmarks[row], points))
        return cls(np.asarray(faces.images[row, shown, shown]), hard, other, caption, kind)


def draw_faces(
    path: Path, panels: Sequence[FacePanel], scheme: LandmarkScheme, columns: int, title: str
) -> None:
    """Draw images in rows, with hard-landmarks in white and the other set in its colour."""
    rows = -(-len(panels) // columns)
    columns = min(columns, len(panels))
    with figure(path, 2.5 * columns, 2.7 * rows + 0.65) as fig:
        grid = fig.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, panel in zip(grid, panels, strict=False):
            height, width = panel.image.shape[:2]
            axes.imshow(panel.image, interpolation="bicubic")
            _draw_on_image(axes, panel, scheme)
            axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
            axes.text(0.5, -0.03, panel.caption, ha="center", va="top", transform=axes.transAxes)
        fig.suptitle(title)
        keys = [Line2D([], [], color=ON_IMAGE, marker="o", markersize=4, label="hard-landmarks")]
        keys[0].set_path_effects(_rim(1))
        for kind in dict.fromkeys(panel.kind for panel in panels):
            label = "soft-landmarks" if kind == "soft" else LABELS[kind]
            keys.append(Line2D([], [], color=_colour(kind), marker="o", markersize=4, label=label))
        fig.legend(handles=keys, loc="outside lower center", ncols=len(keys))


def _draw_on_image(axes: Axes, panel: FacePanel, scheme: LandmarkScheme) -> None:
    for points, colour in ((panel.hard, ON_IMAGE), (panel.other, _colour(panel.kind))):
        for indices, closed in scheme.contours:
            line = points[list(indices + indices[:1] if closed else indices)]
            axes.plot(line[:, 0], line[:, 1], color=colour, linewidth=0.8, path_effects=_rim(0.5))
        axes.plot(
            points[:, 0], points[:, 1], "o", color=colour, markersize=1.5, path_effects=_rim(0.5)
        )


def _rim(width: float) -> list[patheffects.AbstractPathEffect]:
    return [patheffects.withStroke(linewidth=2 * width, foreground="#000000B0")]


def _colour(kind: str) -> str:
    return SOFT if kind == "soft" else COLOURS[kind]
