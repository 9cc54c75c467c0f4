"""A copy of the repository in which tests may run, break and change the pipeline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from landmark_kd.config import paths
from tests.conftest import PROJECT
from tests.support.warm_python import client

# The smallest pipeline that is still whole: a handful of faces, one epoch.
TINY: dict[str, dict[str, Any]] = {
    "base": {"threads": 1, "device": "cpu"},
    "synthetic": {"train": 24, "test": 6, "resolution": 96},
    "crop": {"resolution": 32, "context": 1.25},
    "teacher": {"backbone": "mobilenetv2_035", "epochs": 1, "batch_size": 8, "warmup_epochs": 0},
    "student": {"backbone": "mobilenetv2_035", "epochs": 1, "batch_size": 8, "warmup_epochs": 0},
    "evaluate": {"bootstrap": 100},
    "export": {"check_faces": 2},
}


class Copy:
    """A copy of the repository that the tests may run, break and change."""

    def __init__(self, folder: Path, *, warm: bool = True) -> None:
        """Take a folder; `warm` stages run in forks of a process that has the libraries."""
        self.folder = folder
        real = Path(sys.executable).parent
        ahead = [client()] if warm else []
        self.env = os.environ | {
            "PATH": os.pathsep.join(map(str, [*ahead, real, os.environ["PATH"]])),
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
            "DVC_NO_ANALYTICS": "1",
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@example.org",
        }

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stdout[-4000:] + done.stderr[-4000:]
        return done

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def discard(self) -> None:
        """Go back to what is committed."""
        self.run("git", "checkout", "--quiet", ".")
        self.run("dvc", "checkout")

    def contents(self) -> dict[str, bytes]:
        """Every file that the pipeline made or tracks, with its bytes.

        Not times and durations of this machine, nor the page, which says them.
        """
        written = (paths.TIMES, paths.EXPORT_TIMES, paths.DURATIONS, paths.PAGE)
        moment = {self.folder / path for path in written}
        return {
            str(file.relative_to(self.folder)): file.read_bytes()
            for top in ("data", "models", "reports")
            for file in sorted((self.folder / top).rglob("*"))
            if file.is_file() and moment.isdisjoint((file, file.parent))
        }

    def stage(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("python", "-m", f"stages.{name}", *arguments, check=False)

    def set_params(self, changes: dict[str, dict[str, Any]]) -> None:
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text())
        for section, values in changes.items():
            content[section].update(values)
        path.write_text(yaml.safe_dump(content))

    def metrics(self, name: str | None = None) -> dict[str, Any]:
        if name is None:
            return json.loads((self.folder / paths.METRICS).read_text())
        shown = self.run("git", "show", f"{self.experiment(name)}:{paths.METRICS.as_posix()}")
        return json.loads(shown.stdout)

    def experiment(self, name: str) -> str:
        """The git reference under which DVC keeps an experiment."""
        refs = self.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
        return next(ref for ref in refs if ref.endswith(f"/{name}"))


def copy_repository(folder: Path) -> Copy:
    """Copy the files that git tracks or would track into a repository of their own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    copy = Copy(folder)
    copy.run("git", "init", "--quiet")
    copy.set_params(TINY)
    copy.commit("tiny settings")
    return copy


def copy_finished_pipeline(factory: pytest.TempPathFactory, name: str) -> Copy:
    """Return a copy of its own in which the tiny pipeline has run once, all of it committed.

    It runs once for all files of tests, whichever of xdist's processes they run in.
    """
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    finished = shared / "finished" / "landmark-kd"
    done = shared / "finished" / "done"
    with FileLock(shared / "finished.lock"):
        if not done.exists():
            shutil.rmtree(finished.parent, ignore_errors=True)
            first = copy_repository(finished)
            first.run("dvc", "repro")
            first.commit("tiny run")
            done.touch()
    folder = factory.mktemp(name) / "landmark-kd"
    shutil.copytree(finished, folder)
    return Copy(folder)
