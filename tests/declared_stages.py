"""What dvc.yaml declares."""

from __future__ import annotations

from typing import Any

import yaml

from tests.conftest import PROJECT

STAGES: dict[str, Any] = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]


def outs(stage: dict[str, Any]) -> list[str]:
    """Declared outs and metrics of a stage, with a matrix spelled out."""
    declared = [*stage.get("outs", []), *stage.get("metrics", [])]
    names = [entry if isinstance(entry, str) else next(iter(entry)) for entry in declared]
    items = stage.get("matrix", {}).get("target", [""])
    return [name.replace("${item.target}", item) for name in names for item in items]
