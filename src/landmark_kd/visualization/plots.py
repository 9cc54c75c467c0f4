"""Diagrams of the reports: one look, and one colour a network wherever it appears.

Colours are Okabe and Ito's, which colour-blind people tell apart; line styles differ as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from landmark_kd.core.files import replaced_file

COLOURS = {
    "tough": "#CC79A7",
    "tolerant": "#E69F00",
    "baseline": "#0072B2",
    "kd": "#009E73",
    "mean_shape": "#777777",
    "shipped": "#56B4E9",
    "pfld": "#D55E00",
}
LINES: dict[str, Any] = {
    "tough": (0, (5, 1.5)),
    "tolerant": (0, (5, 1.5, 1, 1.5)),
    "baseline": "-",
    "kd": "-",
    "mean_shape": (0, (1, 1.5)),
    "shipped": "-",
    "pfld": (0, (5, 1.5)),
}
LABELS = {
    "tough": "tough teacher",
    "tolerant": "tolerant teacher",
    "baseline": "student, baseline",
    "kd": "student, KD",
    "mean_shape": "mean shape",
    "shipped": "landmark-kd's student",
    "pfld": "PFLD",
}
# What is not a network: hard-landmarks, totals.
INK = "#222222"
SHADE = "#F3F3F3"
# More numbers than this do not fit below a diagram of all landmarks.
LANDMARKS_NUMBERED = 34

DPI = 130
STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "figure.titlesize": 10.5,
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


@contextmanager
def figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield an empty figure (size in inches) in the project's look; then write it to `path`."""
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE, "backend": "agg"}):
        canvas = FigureCanvasAgg(Figure(figsize=(width, height), dpi=DPI, layout="constrained"))
        yield canvas.figure
        with replaced_file(path) as temporary:
            canvas.figure.savefig(temporary, facecolor="white")


def draw_ced(path: Path, ced: pd.DataFrame, title: str) -> None:
    """Draw cumulative error distributions.

    Args:
        ced: column `error` (percent), and a column a network (share of faces, 0 to 1).
    """
    with figure(path, 6.4, 4.2) as fig:
        axes = fig.add_subplot()
        for name in ced.columns.drop("error"):
            axes.plot(ced["error"], 100 * ced[name], **_look(name))
        axes.set(
            xlim=(0, ced["error"].max()),
            ylim=(0, 101),
            xlabel="NME (% of the normaliser)",
            ylabel="faces with at most this error (%)",
            title=title,
        )
        axes.legend(loc="best")


def draw_reliability(path: Path, table: pd.DataFrame, title: str) -> None:
    """Draw how many landmarks lie in the regions that are to cover a given share of them.

    Args:
        table: columns `level` and one a network, shares of landmarks from 0 to 1.
    """
    with figure(path, 5.2, 4.6) as fig:
        axes = fig.add_subplot(aspect="equal")
        axes.plot((0, 100), (0, 100), color=INK, linewidth=0.8, label="as it is to be")
        for name in table.columns.drop("level"):
            axes.plot(100 * table["level"], 100 * table[name], **_look(name))
        axes.set(
            xlim=(0, 100),
            ylim=(0, 100),
            xlabel="landmarks that a region is to cover (%)",
            ylabel="landmarks that it does cover (%)",
            title=title,
        )
        axes.legend(loc="upper left")


def draw_per_landmark(path: Path, table: pd.DataFrame, title: str) -> None:
    """Draw the error of each landmark, landmarks of a group side by side.

    Args:
        table: columns `landmark` (index), `name`, and a column a network (percent). Names such as
            jaw_3 group the landmarks: what stands before the last underscore, or none. The mean
            shape is not drawn, since its errors are so large that they would press all others
            together.
    """
    networks = table.columns.drop(["landmark", "name", "mean_shape"], errors="ignore")
    groups = table["name"].str.rsplit("_", n=1).str[0]
    names = list(dict.fromkeys(groups))
    # A scheme may number its groups in turns, as COFW does: left brow, right brow, left brow …
    by_group = table.loc[groups.map(names.index).sort_values(kind="stable").index]
    group_at = groups.loc[by_group.index].to_numpy()
    positions = np.arange(len(by_group))
    step = max(1, round(len(by_group) / LANDMARKS_NUMBERED))
    with figure(path, 10, 4) as fig:
        axes = fig.add_subplot()
        axes.grid(axis="x", visible=False)
        for name in networks:
            axes.plot(positions, by_group[name], marker="o", markersize=2.6, **_look(name))
        for number, group in enumerate(names):
            inside = positions[group_at == group]
            first, last = inside.min() - 0.5, inside.max() + 0.5
            axes.axvspan(first, last, color=SHADE if number % 2 == 0 else "white", zorder=0)
            label = group.replace("_", "\n")
            axes.text((first + last) / 2, 0.99, label, **_top_label(axes))
        highest = np.nanmax(table[networks].to_numpy())
        axes.set_xticks(positions[::step], by_group["landmark"].to_numpy()[::step].astype(str))
        axes.set(
            xlim=(-0.5, len(by_group) - 0.5),
            # Room above the curves for the groups' names.
            ylim=(0, 1.18 * highest),
            xlabel="landmark (index)",
            ylabel="mean error (% of the normaliser)",
            title=title,
        )
        _legend_below(fig, axes)


def draw_training_curves(path: Path, curves: Mapping[str, pd.DataFrame]) -> None:
    """Draw each network's validation NME; columns `step` (from 0) and `nme` (percent)."""
    with figure(path, 6.4, 4.2) as fig:
        axes = fig.add_subplot()
        for name, curve in curves.items():
            axes.plot(curve["step"] + 1, curve["nme"], marker="o", markersize=2.6, **_look(name))
        # Errors fall fast, then slowly; the last epochs matter as much as the first.
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        axes.set(
            xlabel="epoch",
            ylabel="validation NME (% of the normaliser)",
            title="Validation error against each network's own targets",
        )
        axes.legend(loc="upper right")


def draw_kd_loss(path: Path, curve: pd.DataFrame, distances: Mapping[str, float]) -> None:
    """Draw KD-Loss and its weighted parts against the student's error.

    Args:
        curve: columns `error` (share of the crop's side), `total`, `main` and a column a teacher.
        distances: of each teacher's prediction from the hard-landmark, in the unit of `error`.
    """
    with figure(path, 6.4, 4.2) as fig:
        axes = fig.add_subplot()
        error = 100 * curve["error"]
        axes.axhline(0, color="#888888", linewidth=0.8)
        axes.plot(error, curve["main"], color=COLOURS["mean_shape"], linestyle=":", label="main")
        for name, distance in distances.items():
            look = {"color": COLOURS[name], "linestyle": LINES[name]}
            axes.plot(error, curve[name], label=f"assistive, {name}", **look)
            axes.axvline(100 * distance, color=COLOURS[name], linewidth=1, alpha=0.7)
            axes.text(
                100 * distance,
                0.99,
                f" {name}\n teacher",
                ha="left",
                va="top",
                color=COLOURS[name],
                transform=axes.get_xaxis_transform(),
            )
        axes.plot(error, curve["total"], color=INK, linewidth=2.2, label="KD-Loss")
        axes.set(
            xlim=(0, error.max()),
            xlabel="error of the student, |prediction - hard-landmark| (% of the crop's side)",
            ylabel="loss",
            title="KD-Loss and its weighted parts",
        )
        _legend_below(fig, axes)


def _look(name: str) -> dict[str, Any]:
    """Colour, style and label of a network's curve; networks of other names get matplotlib's."""
    look = {"label": LABELS.get(name, name)}
    if name in COLOURS:
        look |= {"color": COLOURS[name], "linestyle": LINES[name]}
    return look


def _top_label(axes: Axes) -> dict[str, Any]:
    return {
        "ha": "center",
        "va": "top",
        "fontsize": 8,
        "color": "#555555",
        "transform": axes.get_xaxis_transform(),
    }


def _legend_below(fig: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=len(labels))
