"""`landmark-kd compare`: a page that compares experiments of the pipeline."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from landmark_kd.cli.shared import needs_train_packages

EXAMPLES = """\
examples:
  landmark-kd compare main no-tolerant
  landmark-kd compare workspace more-epochs more-beta --out reports/epochs.html

EXP is an experiment of DVC, a branch, a tag or a commit; `workspace` is what lies in the project's
folder. The others are compared with the first: parameters that differ, metrics with paired
intervals, curves, the faces that changed most. Nothing is checked out and nothing is run; what an
experiment made is read from DVC's cache. All must have been evaluated on the same faces.
Run it in the project's top folder. Status: 0 written, 1 not, 2 wrong arguments, 130 Ctrl-C.
"""


def add_compare(commands: Any) -> None:
    """Add the command to those of `landmark-kd`."""
    parser = commands.add_parser(
        "compare",
        help="write a page that compares experiments",
        description="Write a page that compares experiments of the pipeline.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("experiments", nargs="+", metavar="EXP", help="two or more")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports/compare.html"),
        metavar="FILE",
        help="the page (default: %(default)s)",
    )
    parser.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace) -> None:
    with needs_train_packages("compare"):
        from landmark_kd.html_report.compare import compare_experiments
    size = compare_experiments(arguments.experiments, arguments.out)
    print(f"{arguments.out}: {size / 1e6:.1f} MB; open it in any browser")
