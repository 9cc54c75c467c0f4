"""The page that compares experiments, in a small DVC project with made-up runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmark_kd.config import paths
from landmark_kd.core.errors import UserError
from landmark_kd.evaluation.bootstrap import compare
from landmark_kd.faces.prepared import load_faces
from landmark_kd.html_report.compare import compare_experiments, differing_params
from landmark_kd.html_report.experiments import Experiment
from landmark_kd.html_report.run import load_run
from tests.html_report.test_report import embedded
from tests.support.made_up_run import made_up_run, write_evaluation

pytestmark = pytest.mark.seconds

# What DVC keeps of a run, for pages; no stage runs here.
STAGES = """\
stages:
  evaluate:
    cmd: "true"
    outs: [reports/evaluation, reports/curves, data/faces/test]
"""
IGNORED = "/reports/evaluation\n/reports/curves\n/data/\n/reports/asm\n"
SPREADS = {"first": 5.0, "nearer": 3.0}


class Project:
    """A git and DVC project in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        who = {f"GIT_{a}_{b}": "a@b" for a in ("AUTHOR", "COMMITTER") for b in ("NAME", "EMAIL")}
        self.env = os.environ | who | {"DVC_NO_ANALYTICS": "1"}
        self.env["DVC_SITE_CACHE_DIR"] = str(folder.parent / "site")

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def keep(self, message: str) -> str:
        """Let DVC keep the reports as they are, and git the rest; return the commit."""
        self.run(sys.executable, "-m", "dvc", "commit", "--force", "--quiet", "evaluate")
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)
        return self.run("git", "rev-parse", "HEAD")

    def name_experiment(self, commit: str, baseline: str, name: str) -> None:
        """Give a commit the reference under which DVC looks for an experiment."""
        ref = f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}"
        self.run("git", "update-ref", ref, commit)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """`main` and the experiments nearer and older (of a version without predictions)."""
    project = Project(tmp_path_factory.mktemp("project") / "p")
    root = project.folder
    made_up_run(root, 60, kd_spread=SPREADS["first"])
    (root / "dvc.yaml").write_text(STAGES)
    (root / ".gitignore").write_text(IGNORED)
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    project.run(sys.executable, "-m", "dvc", "init", "--quiet")
    first = project.keep("first")
    faces = load_faces(root / paths.TEST_FACES)
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("beta: 0.4", "beta: 0.5"))
    rng = np.random.default_rng(5)
    write_evaluation(root, faces, kd_spread=SPREADS["nearer"], rng=rng)
    project.name_experiment(project.keep("nearer"), first, "nearer")
    intervals = root / paths.EVALUATION_REPORT / "intervals.json"
    content = json.loads(intervals.read_text())
    del content["protocol"]["test_faces"]
    intervals.write_text(json.dumps(content))
    (root / paths.EVALUATION_REPORT / "predictions.npz").unlink()
    project.name_experiment(project.keep("older"), first, "older")
    project.run("git", "reset", "--hard", "--quiet", first)
    project.run(sys.executable, "-m", "dvc", "checkout", "--quiet", "--force")
    return project


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project.folder)
    return project.folder


def written(names: list[str], out: Path) -> tuple[str, dict[str, Any]]:
    assert compare_experiments(names, out) == out.stat().st_size
    text = out.read_text(encoding="utf-8")
    return text, embedded(text)


def test_an_experiment_is_compared_with_a_branch_face_by_face(here: Path, tmp_path: Path) -> None:
    text, data = written(["main", "nearer"], tmp_path / "page.html")
    errors = {key: np.array(values) for key, values in data["faces"]["errors"].items()}
    assert np.mean(errors["e1"]) < np.mean(errors["e0"])
    assert (
        data["forest"][0][1] == json.loads((here / paths.METRICS).read_text())["kd"]["full"]["nme"]
    )
    run = load_run(here)
    expected = compare(errors["e1"], errors["e0"], resamples=100, seed=1).difference
    (difference,) = data["differences"]
    assert difference[1:] == pytest.approx([expected.value, expected.low, expected.high], abs=2e-3)
    assert difference[3] < 0
    assert "<code>kd.beta</code>" in text
    assert "<code>kd.tau</code>" not in text
    change = errors["e1"] - errors["e0"]
    assert data["changed"]["e1-better"][0] == int(change.argmin())
    assert len(data["shown"]) == len(run.errors)
    assert set(data["shown"]["0"]) == {"image", "hard", "e0", "e1"}


def test_nothing_is_checked_out_and_the_workspace_can_be_compared(
    here: Path, tmp_path: Path, project: Project
) -> None:
    _, data = written(["workspace", "nearer", "main"], tmp_path / "page.html")
    assert data["differences"][1][1:] == [0, 0, 0]
    assert project.run("git", "status", "--porcelain") == ""


def test_a_run_of_an_older_version_is_shown_without_its_points(here: Path, tmp_path: Path) -> None:
    text, data = written(["main", "older"], tmp_path / "page.html")
    assert "evaluated by an older version" in text
    assert set(data["shown"]["0"]) == {"image", "hard", "e0"}


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["main"], "is of 2 to 7 experiments, not of 1"),
        (["main", "main"], "named twice"),
        (["main", "no-such"], "no experiment, branch, tag or commit `no-such`"),
        (["main", "--output=x"], "no experiment, branch, tag or commit"),
    ],
)
def test_names_of_nothing_are_refused_and_no_page_is_written(
    here: Path, tmp_path: Path, names: list[str], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        compare_experiments(names, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_project_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no DVC project"):
        compare_experiments(["a", "b"], tmp_path / "page.html")


def test_runs_on_different_faces_are_refused(here: Path, tmp_path: Path, project: Project) -> None:
    first = project.run("git", "rev-parse", "HEAD")
    other = made_up_other_faces(project)
    project.name_experiment(other, first, "other-faces")
    project.run("git", "reset", "--hard", "--quiet", first)
    project.run(sys.executable, "-m", "dvc", "checkout", "--quiet", "--force")
    with pytest.raises(UserError, match="different faces, whose names, subsets or landmarks"):
        compare_experiments(["main", "other-faces"], tmp_path / "page.html")


def made_up_other_faces(project: Project) -> str:
    """Commit a run of as many faces with the same names, but other landmarks."""
    root = project.folder
    intervals = root / paths.EVALUATION_REPORT / "intervals.json"
    content = json.loads(intervals.read_text())
    content["protocol"]["test_faces"] = "0" * 64
    intervals.unlink()
    intervals.write_text(json.dumps(content))
    return project.keep("other faces")


def test_parameters_that_one_run_lacks_are_among_those_that_differ(here: Path) -> None:
    run = load_run(here)
    other = load_run(here)
    other.params["kd"] = {**other.params["kd"], "new": True}
    del other.params["export"]
    found = differing_params([Experiment("a", None, [], run), Experiment("b", None, [], other)])
    assert found == {
        "export.check_faces": ["64", "not there"],
        "kd.new": ["not there", "true"],
    }
