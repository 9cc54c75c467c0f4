"""Runs the console command, in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from landmark_kd.cli import main
from tests.conftest import PROJECT


def run(*arguments: object) -> int:
    """Run the command in this process and return its status."""
    try:
        main.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def run_apart(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "landmark_kd.cli.main", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )
