"""Where a run comes from, read at the moment a page is made: revision, versions, machine, times."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from landmark_kd import __version__
from landmark_kd.config import paths
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import read_json
from landmark_kd.evaluation.cost import cpu_name

PACKAGES = (
    "torch",
    "timm",
    "numpy",
    "opencv-python-headless",
    "scikit-learn",
    "dvc",
    "onnxruntime",
)
# Files that git calls changed and that a page names.
NAMED = 8


def provenance(root: Path = Path()) -> dict[str, Any]:
    """Return what a page says of its making.

    Returns:
        `made`: the moment, UTC; `revision` and `changed` (see `revision`); `versions`: {package:
        version}; `machine`: {processor, cores, system, gpu}; `durations` and `times`: see these
        functions.
    """
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **revision(root),
        "versions": versions(),
        "machine": machine(),
        "durations": durations(root / paths.DURATIONS),
        "times": times(root / paths.TIMES),
    }


def revision(root: Path = Path()) -> dict[str, Any]:
    """Return {revision, changed}: git's last commit, None without git, and files unlike it."""
    commit = _git(root, "rev-parse", "HEAD")
    # Quoted as git does it, so that a name's line end cannot pass for another file.
    status = _git(root, "status", "--porcelain", "--untracked-files=no") if commit else None
    changed = [line[3:] for line in (status or "").splitlines()]
    more = [f"and {len(changed) - NAMED} more"] if len(changed) > NAMED else []
    return {"revision": commit.strip() if commit else None, "changed": changed[:NAMED] + more}


def versions() -> dict[str, str]:
    """Return the versions of the project, Python and the packages that results depend on."""
    found = {"landmark-kd": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """Return {processor, cores, system, gpu} of this machine."""
    there = torch.cuda.is_available()
    return {
        "processor": cpu_name(),
        "cores": str(os.cpu_count() or "not known"),
        "system": f"{platform.system()} {platform.machine()}",
        "gpu": torch.cuda.get_device_name() if there else "none",
    }


def durations(folder: Path) -> list[dict[str, Any]]:
    """Return {stage, seconds, ended} of each stage that ran in this folder, in order of time.

    Stages whose outputs came from DVC's cache did not run, and are not in it.
    """
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            content = read_json(path)
            seconds, ended = float(content["seconds"]), str(content["ended"])
        except (UserError, KeyError, TypeError, ValueError):
            continue  # of no weight: no number of the page depends on it
        found.append({"stage": path.stem, "seconds": seconds, "ended": ended})
    return sorted(found, key=lambda entry: entry["ended"])


def times(path: Path) -> dict[str, Any]:
    """Return milliseconds a face as evaluate measured them here; nothing where it did not run."""
    try:
        content = read_json(path)
    except UserError:
        return {}
    return content if isinstance(content, dict) else {}


def _git(root: Path, *arguments: str) -> str | None:
    command: Sequence[str] = ("git", "-C", str(root), *arguments)
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
