"""Draws the numbered images of the landmark schemes that docs/landmarks.md shows.

    python -m tools.draw_schemes /where/the/shapes/lie docs

The folder of shapes holds 300w_68.npz, cofw_29.npz and wflw_test_98.npz. Each image shows the mean
of all shapes in a file, not the shape of a person.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from landmark_kd.landmarks.scheme import SCHEMES, LandmarkScheme
from landmark_kd.soft_landmarks.shape_model import ShapeModel
from landmark_kd.visualization.plots import COLOURS, DPI, INK, figure

# The file of shapes of each scheme, and the arrays in it.
SHAPES = {
    29: ("cofw_29.npz", ("train", "test")),
    68: ("300w_68.npz", ("pts",)),
    98: ("wflw_test_98.npz", ("pts",)),
}
# Everything below is in pixels of the image, but for the size of the font.
WIDTHS = {29: 900, 68: 1100, 98: 1400}
MARGIN = 50
LEGEND_HEIGHT = 50

LEFT, RIGHT, MIDDLE = COLOURS["baseline"], "#D55E00", INK
LINE, MARKED = "#BBBBBB", COLOURS["kd"]
FONT_POINTS = 9.5
DIGIT_WIDTH, DIGIT_HEIGHT = 0.64 * FONT_POINTS * DPI / 72, 0.8 * FONT_POINTS * DPI / 72
POINT_RADIUS = 4
MARK_RADIUS = 9

# Where a number may stand: this far from its point, in any of so many directions.
GAPS = (8, 11, 15, 20, 26)
DIRECTIONS = 48
# The costs, in pixels of distance from its point, of a number that covers another one, a point or
# a pixel of a line, or that is nearer to another point than to its own.
OFF_NUMBER, OFF_POINT, OFF_LINE, OFF_OTHERS = 300.0, 150.0, 1.5, 40.0
ROUNDS = 10


def mean_shape(folder: Path, points: int) -> np.ndarray:
    """Return the mean (K, 2) of the real shapes of a scheme, its eyes level."""
    name, keys = SHAPES[points]
    with np.load(folder / name, allow_pickle=False) as content:
        shapes = np.concatenate([content[key] for key in keys])
    mean = ShapeModel.fit(shapes).mean
    left, right = mean[list(SCHEMES[points].normalizer)] @ np.array([1, 1j])
    level = mean @ np.array([1, 1j]) * abs(right - left) / (right - left)
    return np.column_stack([level.real, level.imag])


def number_places(shape: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Choose where each point's number stands, so that it can be read and belongs to its point.

    Each number in turn takes the place that costs least beside all others', for some rounds.

    Args:
        shape: (K, 2) pixels.
        lines: (S, 2) the pixels of contours and marks.

    Returns:
        (K, 2) the numbers' centres.
    """
    angles = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    direction = np.column_stack([np.cos(angles), np.sin(angles)])
    halves = np.array([[len(str(i)) * DIGIT_WIDTH, DIGIT_HEIGHT] for i in range(len(shape))]) / 2
    gaps = np.array(GAPS, dtype=float)[:, None, None]
    offsets = [((gaps + half) * direction).reshape(-1, 2) for half in halves]
    places = shape[:, None] + np.array(offsets)

    cost = np.repeat(gaps.ravel(), DIRECTIONS) + np.zeros(places.shape[:2])
    for i, half in enumerate(halves):
        cost[i] += OFF_POINT * _inside(shape, places[i], half + 1.5 * POINT_RADIUS).sum(axis=1)
        cost[i] += OFF_LINE * _inside(lines, places[i], half + 1).sum(axis=1)
        # Distances from the nearest edge of the number, to all points.
        apart = (np.abs(shape - places[i][:, None]) - half).clip(min=0)
        distances = np.linalg.norm(apart, axis=2)
        own = distances[:, i].copy()
        distances[:, i] = np.inf
        cost[i] += OFF_OTHERS * (distances.min(axis=1) < 1.3 * own)

    chosen = places[np.arange(len(shape)), cost.argmin(axis=1)]
    for _ in range(ROUNDS):
        for i, half in enumerate(halves):
            apart = np.abs(chosen - places[i][:, None]) - halves - half
            covered = (apart < 2).all(axis=2)
            covered[:, i] = False
            best = (cost[i] + OFF_NUMBER * covered.sum(axis=1)).argmin()
            chosen[i] = places[i, best]
    return chosen


def draw(path: Path, shape: np.ndarray, scheme: LandmarkScheme) -> None:
    """Draw a numbered mean shape (K, 2), its normaliser and its pupils."""
    width = WIDTHS[scheme.points]
    low, extent = shape.min(axis=0), np.ptp(shape, axis=0)
    shape = (shape - low) * (width - 2 * MARGIN) / extent[0] + MARGIN
    height = int(shape[:, 1].max()) + MARGIN + LEGEND_HEIGHT
    lines = [
        shape[list(indices + indices[:1] if closed else indices)]
        for indices, closed in scheme.contours
    ]
    unit, pupils = shape[list(scheme.normalizer)], _pupils(shape, scheme)
    # Of two flip partners one is on the left; a point of the middle is its own partner.
    sides = shape[:, 0] - shape[scheme.flip, 0]
    colours = [LEFT if side < 0 else RIGHT if side > 0 else MIDDLE for side in sides]
    with figure(path, width / DPI, height / DPI) as fig:
        fig.set_layout_engine("none")  # one pixel is one unit of the axes
        axes = fig.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        for line in lines:
            axes.plot(line[:, 0], line[:, 1], color=LINE, linewidth=1.2, zorder=1)
        axes.plot(unit[:, 0], unit[:, 1], color=MARKED, linewidth=1, linestyle="--", zorder=0)
        ring: dict[str, Any] = {"facecolors": "none", "edgecolors": MARKED, "linewidths": 1.5}
        axes.scatter(unit[:, 0], unit[:, 1], s=_size(MARK_RADIUS), zorder=2, **ring)
        cross: dict[str, Any] = {"marker": "x", "color": MARKED, "linewidths": 1.5}
        axes.scatter(pupils[:, 0], pupils[:, 1], s=_size(MARK_RADIUS), zorder=2, **cross)
        axes.scatter(shape[:, 0], shape[:, 1], s=_size(POINT_RADIUS), c=colours, zorder=3)
        marks = [_ring(centre) for centre in np.concatenate([unit, pupils])]
        places = number_places(shape, np.concatenate([*map(_pixels, [*lines, unit]), *marks]))
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": FONT_POINTS}
        for i, (x, y) in enumerate(places):
            axes.text(x, y, str(i), color=colours[i], **style)
        axes.legend(handles=_keys(scheme), loc="lower center", ncols=5)


def _pupils(shape: np.ndarray, scheme: LandmarkScheme) -> np.ndarray:
    """Return the pupils' places (2, 2), or (0, 2) where the scheme has none."""
    places = [shape[list(group)].mean(axis=0) for group in scheme.pupils or ()]
    return np.array(places).reshape(-1, 2)


def _keys(scheme: LandmarkScheme) -> list[Line2D]:
    first, second = scheme.normalizer
    sides = [("left of the image", LEFT), ("right", RIGHT), ("middle", MIDDLE)]
    keys = [Line2D([], [], color=c, marker="o", ls="", ms=4, label=label) for label, c in sides]
    mark: dict[str, Any] = {"color": MARKED, "linewidth": 1, "markersize": 8}
    name = f"normaliser {first}, {second}"
    keys.append(Line2D([], [], marker="o", ls="--", markerfacecolor="none", label=name, **mark))
    keys.append(Line2D([], [], marker="x", ls="", label="pupil", **mark))
    return keys


def _size(radius: float) -> float:
    """Return matplotlib's marker size, an area in square points, of a circle in pixels."""
    return float((2 * radius * 72 / DPI) ** 2)


def _pixels(line: np.ndarray) -> np.ndarray:
    """Return points (S, 2) along a line (L, 2), one a pixel."""
    along = np.concatenate([[0], np.linalg.norm(np.diff(line, axis=0), axis=1).cumsum()])
    steps = np.arange(along[-1])
    return np.column_stack([np.interp(steps, along, line[:, axis]) for axis in range(2)])


def _ring(centre: np.ndarray) -> np.ndarray:
    """Return the pixels (S, 2) of a mark's rim around a centre (2,)."""
    angles = np.linspace(0, 2 * np.pi, int(2 * np.pi * MARK_RADIUS))
    return centre + MARK_RADIUS * np.column_stack([np.cos(angles), np.sin(angles)])


def _inside(points: np.ndarray, centres: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Tell (C, P) which points (P, 2) lie in boxes around centres (C, 2)."""
    return (np.abs(points - centres[:, None]) < half).all(axis=2)


def main() -> None:
    """Draw all schemes."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", type=Path, help="folder of the .npz files of real shapes")
    parser.add_argument("out", type=Path, help="folder for landmarks_29.png and the others")
    args = parser.parse_args()
    for points, scheme in SCHEMES.items():
        draw(args.out / f"landmarks_{points}.png", mean_shape(args.shapes, points), scheme)


if __name__ == "__main__":
    main()
