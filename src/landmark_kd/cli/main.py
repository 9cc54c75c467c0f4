"""The console command `landmark-kd`."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

from landmark_kd import __version__
from landmark_kd.cli.clean import add_clean
from landmark_kd.cli.compare import add_compare
from landmark_kd.cli.data import add_data
from landmark_kd.cli.demo import add_demo
from landmark_kd.cli.evaluate import add_evaluate
from landmark_kd.cli.export import add_export
from landmark_kd.cli.predict import add_predict
from landmark_kd.core.errors import run_main


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and, unless all went well, end the process with a sentence and a status."""
    run_main(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> None:
    parsed = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        # In a terminal the sentence alone, without the line of code that it comes from.
        warnings.showwarning = lambda message, *_, **__: print(
            f"warning: {message}", file=sys.stderr, flush=True
        )
        parsed.run(parsed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="landmark-kd", description="Facial landmarks from a distilled network."
    )
    parser.add_argument("--version", action="version", version=f"landmark-kd {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_predict(commands)
    add_demo(commands)
    add_evaluate(commands)
    add_export(commands)
    add_data(commands)
    add_compare(commands)
    add_clean(commands)
    return parser


if __name__ == "__main__":
    main()
