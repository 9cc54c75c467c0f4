"""The diagram of the teachers' errors on train faces, and of beta."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

from benchmarks.reproduction.regions import EDGES, cumulative
from benchmarks.reproduction.tables import Protocol
from landmark_kd.core.errors import UserError
from landmark_kd.visualization.plots import COLOURS, INK, figure

# The form of KD-Loss whose errors are drawn beside the teachers'.
KD_ROW = "KD-Loss, paper's form, both teachers"


def draw_teacher_errors(path: Path, protocol: Protocol) -> None:
    """Draw how teachers' and student's errors on train faces are distributed, by coordinate.

    Only where an error of the student is below a teacher's does KD-Loss ask for something else than
    L1 does.

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
            title=protocol.short_title(),
        )
        axes.legend(loc="upper left", fontsize=8)
