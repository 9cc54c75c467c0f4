"""Runs that DVC and git keep, experiments and commits, read without checking them out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landmark_kd.config import paths
from landmark_kd.core.errors import UserError
from landmark_kd.evaluation.evaluate import faces_fingerprint
from landmark_kd.faces.prepared import Faces, load_faces
from landmark_kd.html_report.provenance import revision
from landmark_kd.html_report.run import NEEDED_FILES, OTHER_FILES, Run, load_run

# What DVC calls the project as it lies in its folder.
WORKSPACE = "workspace"


@dataclass(frozen=True)
class Experiment:
    """One run that is compared with others.

    Attributes:
        name: as the user called it.
        revision: git's commit of it; None of a folder without git.
        changed: files of the workspace unlike that commit; of a commit none.
        run: its reports.
    """

    name: str
    revision: str | None
    changed: list[str]
    run: Run


def load_experiment(name: str, folder: Path) -> Experiment:
    """Read the reports of an experiment of the project in the working folder.

    Args:
        name: of an experiment, branch or tag, or a commit; `workspace` for what lies in the
            project's folder.
        folder: where to copy what DVC keeps.

    Raises:
        UserError: there is no such experiment, or what it made is not in DVC's cache, or its
            reports are damaged or of a version that cannot be compared.
    """
    if name == WORKSPACE:
        now = revision()
        return Experiment(name, now["revision"], now["changed"], load_run(where=name))
    with _opened(name) as (files, commit):
        for path in NEEDED_FILES:
            if not _copied(files, name, path, folder):
                raise UserError(
                    f"{path} is not part of `{name}`: nothing was evaluated there, or by a version "
                    f"without it; run `dvc exp run` with its parameters anew."
                )
        for path in (*OTHER_FILES, paths.CURVES):
            _copied(files, name, path, folder)
    return Experiment(name, commit, [], load_run(folder, f"`{name}`"))


def load_test_faces(experiment: Experiment, folder: Path) -> Faces | None:
    """Return the test faces of an experiment; None where nobody keeps them any more.

    Those in the project's folder are taken where they are the same.
    """
    try:
        here = load_faces(paths.TEST_FACES)
    except UserError:
        here = None
    names = experiment.run.errors["name"].tolist()
    wanted = experiment.run.protocol.get("test_faces")
    called_alike = here is not None and here.table["name"].tolist() == names
    # Older versions say only how the faces are called.
    if here is not None and called_alike and wanted in (None, faces_fingerprint(here)):
        return here
    if experiment.name == WORKSPACE:
        return None
    try:
        with _opened(experiment.name) as (files, _):
            if not _copied(files, experiment.name, paths.TEST_FACES, folder):
                return None
        found = load_faces(folder / paths.TEST_FACES)
    except UserError:
        return None
    return found if found.table["name"].tolist() == names else None


@contextmanager
def _opened(name: str) -> Iterator[tuple[Any, str]]:
    """Yield DVC's view of a revision's files, and its commit."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc.scm import NoSCMError, RevError, resolve_rev

    # What matters of it is in our sentences.
    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    try:
        with Repo(".") as repo:
            commit = resolve_rev(repo.scm, name)
        files = DVCFileSystem(".", rev=commit)
    except NotDvcRepoError:
        raise UserError(
            "this folder is no DVC project; run `landmark-kd compare` in the project's top folder."
        ) from None
    except (RevError, NoSCMError):
        raise UserError(
            f"there is no experiment, branch, tag or commit `{name}`; `dvc exp list --all` shows "
            f"the experiments, and `{WORKSPACE}` is what lies in the project's folder."
        ) from None
    try:
        yield files, commit
    except DvcException as error:
        raise UserError(f"DVC cannot read `{name}` ({error}); try `dvc exp show`.") from None


def _copied(files: Any, name: str, path: Path, folder: Path) -> bool:
    """Copy a file or folder of a revision; return whether the revision has it."""
    source = path.as_posix()
    if not files.exists(source):
        return False
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        files.get(source, str(target), recursive=files.isdir(source))
    except (FileNotFoundError, OSError) as error:
        if getattr(error, "errno", None) not in (None, 2):
            raise
        raise UserError(
            f"{path} of `{name}` is not in DVC's cache; bring it with `dvc exp pull` (or `dvc "
            "fetch --all-commits`) where there is a remote, or run the experiment again."
        ) from None
    return True
