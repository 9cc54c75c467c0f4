"""Diagrams of the reproduction: learning curves, error distributions, teachers' errors and beta."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.reproduction.regions import EDGES, cumulative
from benchmarks.reproduction.tables import Protocol
from landmark_kd.core.errors import UserError
from landmark_kd.landmarks import metrics
from landmark_kd.visualization.plots import COLOURS, INK, figure

# The form of KD-Loss whose errors are drawn beside the teachers'.
KD_ROW = "KD-Loss, paper's form, both teachers"


def draw_curves(path: Path, protocol: Protocol) -> None:
    """Draw each row's validation NME by epoch, the mean of its seeds."""
    with figure(path, 7.4, 4.4) as fig:
        axes = fig.add_subplot()
        for number, (row, records) in enumerate(protocol.rows.items()):
            curve = np.mean([record["validation_nme"] for record in records], axis=0)
            axes.plot(np.arange(1, len(curve) + 1), curve, **_look(number, row))
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.set(
            xlabel="epoch",
            ylabel="validation NME (%), against own targets",
            title=_title(protocol),
        )
        axes.legend(fontsize=7.5)


def draw_ced(path: Path, protocol: Protocol, subset: str) -> None:
    """Draw the cumulative error distribution of each row, all its seeds' errors together."""
    with figure(path, 7.4, 4.4) as fig:
        axes = fig.add_subplot()
        all_errors = [protocol.errors(row, subset).ravel() for row in protocol.rows]
        thresholds = np.linspace(0, np.quantile(np.concatenate(all_errors), 0.98), 200)
        for number, (row, errors) in enumerate(zip(protocol.rows, all_errors, strict=True)):
            shares = 100 * metrics.ced(errors, thresholds)
            axes.plot(thresholds, shares, **_look(number, row))
        axes.set(
            xlim=(0, thresholds[-1]),
            ylim=(0, 101),
            xlabel="NME (% of the outer eye corners' distance)",
            ylabel="faces with at most this error (%)",
            title=f"{_title(protocol)}; {subset}",
        )
        axes.legend(fontsize=7.5)


def draw_teacher_errors(path: Path, protocol: Protocol) -> None:
    """Draw how teachers' and student's errors on train faces are distributed, by coordinate.

    Where a student's curve lies left of a teacher's, its errors are below the teacher's: only there
    does KD-Loss ask for something else than L1.

    Raises:
        UserError: the protocol lacks a teacher or the student of KD_ROW.
    """
    needed = ("tough teacher", "tolerant teacher", KD_ROW)
    if missing := [row for row in needed if row not in protocol.rows]:
        raise UserError(f"there is no record of {', '.join(missing)} yet; {path} was not drawn.")
    student = protocol.rows[KD_ROW][0]
    beta = student["beta"]
    with figure(path, 7.4, 4.4) as fig:
        axes = fig.add_subplot()
        for teacher in ("tough", "tolerant"):
            record = protocol.rows[f"{teacher} teacher"][0]
            shares = 100 * cumulative(record["distances"]["train"])
            colour = COLOURS[teacher]
            axes.plot(100 * EDGES, shares, color=colour, label=f"|t - g|, {teacher} teacher")
            axes.plot(
                100 * EDGES * beta,
                shares,
                color=colour,
                linestyle=":",
                label=f"β |t - g|, β = {beta}",
            )
        for kind, style, words in (
            ("views", "-", "augmented, as it learns"),
            ("crops", "--", "as they are"),
        ):
            shares = 100 * cumulative(student["student_errors"][kind])
            axes.plot(
                100 * EDGES, shares, color=INK, linestyle=style, label=f"|p - g|, kd, {words}"
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        axes.set(
            xlim=(0.01, 20),
            ylim=(0, 101),
            xlabel="error of a coordinate (% of the crop's side)",
            ylabel="coordinates of train faces with at most this error (%)",
            title=_title(protocol),
        )
        axes.legend(loc="upper left", fontsize=8)


def _title(protocol: Protocol) -> str:
    s = protocol.settings
    return f"{s['dataset']}, {s['resolution']} px, {s['student']['epochs']} epochs"


def _look(number: int, row: str) -> dict[str, Any]:
    """Return colour, style and label of a row: teachers dashed, students solid."""
    return {
        "color": mpl.colormaps["tab10"](number % 10),
        "linestyle": (0, (5, 1.5)) if row.endswith("teacher") and "," not in row else "-",
        "linewidth": 1.4,
        "label": row,
    }
