"""`landmark-kd clean`: shows what unfinished trainings left behind, and removes it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from landmark_kd.cli.shared import needs_train_packages

if TYPE_CHECKING:
    from landmark_kd.training.resume.scratch import Leftover

CLEAN_EXAMPLES = """\
examples:
  landmark-kd clean          shows what there is
  landmark-kd clean --yes    removes it

A training that was stopped keeps its last checkpoints in scratch/ (or where LANDMARK_KD_SCRATCH
points) and goes on from them when the same stage runs again with the same parameters, inputs and
code. Once one of these has changed, nothing will take them up. A training that runs is left alone.
Run it in the project's top folder. Status: 0 done, 1 something could not be removed, 2 wrong
arguments.
"""


def add_clean(commands: Any) -> None:
    """Add the command `clean` to those of `landmark-kd`."""
    parser = commands.add_parser(
        "clean",
        help="show and remove checkpoints of unfinished trainings",
        description="Show and remove checkpoints of unfinished trainings.",
        epilog=CLEAN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--yes", action="store_true", help="remove them; without it they are only shown"
    )
    parser.set_defaults(run=_clean)


def _clean(arguments: argparse.Namespace) -> None:
    with needs_train_packages("clean"):
        from landmark_kd.training.resume.scratch import leftovers, remove, scratch_folder
    found = leftovers()
    if not found:
        print(f"no unfinished trainings in {scratch_folder()}")
        return
    for leftover in found:
        print(_line(leftover), flush=True)
    idle = [leftover for leftover in found if not leftover.running]
    size = sum(leftover.size for leftover in idle)
    if not arguments.yes:
        print(f"{_count(idle)}, {_megabytes(size)}; remove with `landmark-kd clean --yes`")
        return
    for leftover in idle:
        remove(leftover)
    print(f"removed {_count(idle)}, {_megabytes(size)}")


def _line(leftover: Leftover) -> str:
    if leftover.running:
        how = "running now"
    elif leftover.epoch:
        how = f"stopped in epoch {leftover.epoch} of {leftover.epochs}"
    else:
        how = "stopped before its first checkpoint"
    when = f", checkpoint of {leftover.written}" if leftover.written else ""
    return f"{leftover.folder}: {leftover.stage}, {how}{when}, {_megabytes(leftover.size)}"


def _count(leftovers: list[Leftover]) -> str:
    return f"{len(leftovers)} unfinished training{'' if len(leftovers) == 1 else 's'}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
