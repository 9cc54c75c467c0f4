"""What dvc.yaml declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.conftest import PROJECT

STAGES: dict[str, Any] = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]


def script(stage: dict[str, Any]) -> Path:
    """The file that a stage runs, by its command."""
    module = stage["cmd"].split()[2]
    return PROJECT.joinpath(*module.split(".")).with_suffix(".py")


def outs(stage: dict[str, Any]) -> list[str]:
    """Declared outs and metrics of a stage."""
    declared = [*stage.get("outs", []), *stage.get("metrics", [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in declared]


def covers(dep: str, file: str) -> bool:
    """Whether a dep is a file or a folder that holds it."""
    return file == dep or file.startswith(dep + "/")
