"""Fills the tables of docs/reproduction.md from reports/reproduction and draws its diagrams.

    python -m benchmarks.reproduction.report

The records are written by `python -m benchmarks.reproduction.record`, one a trained network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.markdown_blocks import fill_blocks
from benchmarks.reproduction.plots import draw_teacher_errors
from benchmarks.reproduction.tables import blocks, read_protocols
from landmark_kd.core.errors import run_main
from landmark_kd.visualization.plots import draw_ced, draw_training_curves

PROJECT = Path(__file__).resolve().parents[2]
RECORDS = PROJECT / "reports" / "reproduction"
PAGE = PROJECT / "docs" / "reproduction.md"


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None).parse_args()
    protocols = read_protocols(RECORDS)
    fill_blocks(PAGE, blocks(protocols))
    # The diagrams are of the protocol of which most is known.
    first = protocols[0]
    subset = first.subsets()[0]
    draw_training_curves(PAGE.with_name("reproduction_curves.png"), first.curves())
    draw_ced(
        PAGE.with_name("reproduction_ced.png"),
        first.ced(subset),
        f"{first.short_title()}; {subset}",
    )
    draw_teacher_errors(PAGE.with_name("reproduction_teachers.png"), first)
    for protocol in protocols:
        print(f"{protocol.title()}: {len(protocol.rows)} rows")


if __name__ == "__main__":
    run_main(main)
