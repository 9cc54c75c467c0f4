"""DVC for a team: remotes, shared experiments, queues with several workers."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from landmark_kd.config import paths
from tests.support.pipeline_copy import Copy, copy_finished_pipeline
from tests.support.s3_server import S3Server, fake_credentials, running_s3_server

REMOTES = ("folder", "s3")
UP_TO_DATE = "Data and pipelines are up to date."


@dataclass(frozen=True)
class Team:
    """A project that has run once, the git repository that its people share, and two remotes.

    Attributes:
        mine: the copy in which the tiny pipeline has run, committed and pushed to `git`.
        git: a bare repository.
        endpoint: address of the S3 server behind the remote `s3`.
    """

    mine: Copy
    git: Path
    endpoint: str

    def clone(self, folder: Path, remote: str) -> Copy:
        """Return a colleague's new clone, with a cache of its own and `remote` as its default."""
        subprocess.run(["git", "clone", "--quiet", self.git, folder], check=True)
        copy = Copy(folder)
        # Nothing of the other clone's is near: neither its cache nor DVC's database of it.
        copy.env = self.mine.env | {"DVC_SITE_CACHE_DIR": str(folder.parent / "site")}
        set_up(copy, self.endpoint, remote)
        return copy


def set_up(copy: Copy, endpoint: str, remote: str) -> None:
    copy.run("dvc", "remote", "modify", "--local", "s3", "endpointurl", endpoint)
    copy.run("dvc", "remote", "default", "--local", remote)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with running_s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> Team:
    mine = copy_finished_pipeline(tmp_path_factory, "team")
    folder = mine.folder.parent
    mine.env |= fake_credentials(folder)
    mine.run("dvc", "remote", "add", "folder", str(folder / "store"))
    mine.run("dvc", "remote", "add", "s3", f"s3://{s3.bucket}/store")
    mine.commit("two remotes")
    git = folder / "team.git"
    mine.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(git))
    mine.run("git", "remote", "add", "origin", str(git))
    mine.run("git", "push", "--quiet", "origin", "HEAD:main")
    set_up(mine, s3.endpoint, "folder")
    return Team(mine, git, s3.endpoint)


@pytest.fixture
def clone(team: Team, tmp_path: Path) -> Iterator[Callable[..., Copy]]:
    """Makes clones, and stops the workers of their queues at the end."""
    made: list[Copy] = []

    def make(name: str, remote: str = "folder", *, cache: Path | None = None) -> Copy:
        copy = team.clone(tmp_path / name / "landmark-kd", remote)
        if cache is not None:
            copy.run("dvc", "cache", "dir", "--local", str(cache))
            copy.run("dvc", "config", "--local", "cache.shared", "group")
        made.append(copy)
        return copy

    yield make
    for copy in made:
        if (copy.folder / ".dvc/tmp/exps/celery").exists():
            copy.run("dvc", "queue", "stop", "--kill", check=False)


def stages_run(done: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"Running stage '([\w@]+)'", done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("remote", REMOTES)
def test_a_new_clone_pulls_all_results_to_the_last_byte_and_runs_nothing(
    team: Team, clone: Callable[..., Copy], remote: str
) -> None:
    team.mine.run("dvc", "push", "--run-cache", "--remote", remote)
    theirs = clone("theirs", remote)
    assert not (theirs.folder / paths.ONNX_MODEL).exists()
    theirs.run("dvc", "pull", "--run-cache")
    assert theirs.contents() == team.mine.contents()
    assert UP_TO_DATE in theirs.run("dvc", "repro").stdout
    assert theirs.run("git", "status", "--porcelain").stdout == ""
    # A pulled clone trains what a changed parameter changes, and nothing before it.
    weight = "kd.weights.tolerant=0.5"
    assert stages_run(theirs.run("dvc", "exp", "run", "-S", weight, "student_kd")) == ["student_kd"]


@pytest.mark.slow
def test_faces_that_are_not_to_be_pushed_stay_and_the_rest_is_of_use_without_them(
    team: Team, clone: Callable[..., Copy], tmp_path: Path
) -> None:
    team.mine.run("dvc", "push")
    first = clone("first")
    first.run("dvc", "pull")
    kept = {
        *(path.as_posix() for path in (paths.RAW, paths.TRAIN_FACES, paths.TEST_FACES)),
        *(path.as_posix() for path in (paths.ASM_REPORT, paths.EVALUATION_REPORT)),
    }
    pipeline = yaml.safe_load((first.folder / "dvc.yaml").read_text())
    for stage in pipeline["stages"].values():
        outs = stage.get("outs", [])
        stage["outs"] = [{out: {"push": False}} if out in kept else out for out in outs]
    (first.folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline))
    first.run("dvc", "remote", "add", "public", str(tmp_path / "public"))
    assert UP_TO_DATE in first.run("dvc", "repro").stdout
    first.commit("faces stay here")
    first.run("dvc", "push", "--remote", "public")

    pushed = {file.read_bytes() for file in (tmp_path / "public").rglob("*") if file.is_file()}
    before = first.contents()
    faces = {name for name in before if name.startswith(tuple(kept))}
    assert not pushed & {before[name] for name in faces}
    second = Team(first, first.folder, team.endpoint).clone(tmp_path / "second/clone", "public")
    done = second.run("dvc", "pull", check=False)
    assert done.returncode != 0
    assert all(path in done.stderr for path in kept)
    assert second.contents() == {name: before[name] for name in before.keys() - faces}
    again = second.run("dvc", "repro", "--allow-missing")
    assert stages_run(again) == []
    assert UP_TO_DATE in again.stdout


@pytest.mark.slow
def test_a_colleague_gets_an_experiment_with_its_metrics_and_trains_nothing_again(
    team: Team, clone: Callable[..., Copy]
) -> None:
    team.mine.run("dvc", "push")
    change = ("-S", "kd.weights.tolerant=0")
    theirs = clone("theirs")
    theirs.run("dvc", "pull")
    done = theirs.run("dvc", "exp", "run", "-n", "no-tolerant", *change)
    assert sorted(stages_run(done)) == ["evaluate", "export", "report", "student_kd"]
    theirs.run("dvc", "exp", "push", "--run-cache", "origin", "no-tolerant")

    third = clone("third")
    third.run("dvc", "pull")
    assert "no-tolerant" in third.run("dvc", "exp", "list", "origin").stdout
    third.run("dvc", "exp", "pull", "--run-cache", "origin", "no-tolerant")
    # The table of runs shows it before anything of it lies in the workspace.
    shown = third.run("dvc", "exp", "show", "--csv", "--drop", "Created").stdout
    row = next(line for line in shown.splitlines() if "no-tolerant" in line)
    assert str(theirs.metrics()["kd"]["test"]["nme"]) in row
    third.run("dvc", "exp", "apply", "no-tolerant")
    assert third.contents() == theirs.contents()
    assert third.metrics() != team.mine.metrics()
    assert UP_TO_DATE in third.run("dvc", "repro").stdout

    third.discard()
    again = third.run("dvc", "exp", "run", "-n", "again", *change, "student_kd")
    assert "Stage 'student_kd' is cached - skipping run" in again.stdout
    assert stages_run(again) == []


def wait_for_experiments(copies: list[Copy], names: list[str], workers: int) -> None:
    """Wait until each copy has each of its queued experiments.

    Asking git, not `dvc queue status`, whose every question is one more message that a worker may
    read half-written and end at (docs/sharing.md). What is still queued then takes the next start.
    """
    deadline = time.monotonic() + 600
    restart = time.monotonic() + 90
    while any(set(names) - experiments(copy) for copy in copies):
        now = time.monotonic()
        if now > deadline or any("failed" in experiments(copy) for copy in copies):
            pytest.fail("\n".join(copy.run("dvc", "queue", "status").stdout for copy in copies))
        if now > restart:
            restart = now + 90
            for copy in copies:
                copy.run("dvc", "queue", "start", "--jobs", str(workers))
        time.sleep(0.5)


def experiments(copy: Copy) -> set[str]:
    """Return the names of finished experiments, with "failed" among them if one failed."""
    refs = copy.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    return {ref.rpartition("/")[2] for ref in refs}


def tracked(copy: Copy, experiment: str, path: Path) -> str:
    """Return a file that git keeps, as an experiment left it."""
    return copy.run("git", "show", f"{copy.experiment(experiment)}:{path.as_posix()}").stdout


@pytest.mark.slow
def test_a_queue_with_several_workers_loses_no_run(team: Team, clone: Callable[..., Copy]) -> None:
    team.mine.run("dvc", "push")
    theirs = clone("theirs")
    theirs.run("dvc", "pull")
    before = theirs.contents()
    shares = {
        "asm-1": 0.3,
        "asm-2": 0.65,
        "asm-3": 0.85,
        "asm-4": 0.92,
        "asm-5": 0.96,
        "asm-6": 0.99,
    }
    values = ",".join(map(str, shares.values()))
    theirs.run(
        *("dvc", "exp", "run", "--queue", "--name", "asm", "-S", f"asm.variance={values}"),
        "soft_landmarks",
    )
    theirs.run("dvc", "queue", "start", "--jobs", "3")
    wait_for_experiments([theirs], list(shares), workers=3)

    errors = []
    for name, share in shares.items():
        params = yaml.safe_load(tracked(theirs, name, Path("params.yaml")))
        assert params["asm"]["variance"] == share
        metrics = json.loads(tracked(theirs, name, paths.SOFT_LANDMARK_METRICS))
        assert metrics["variance_explained"] >= share
        errors.append(metrics["nme_train"])
    # The more of the variance a shape model keeps, the closer it comes: no two runs were mixed up.
    assert errors == sorted(set(errors), reverse=True)
    assert theirs.contents() == before
    # What DVC keeps of a run is whole too.
    theirs.run("dvc", "exp", "apply", "asm-6")
    assert UP_TO_DATE in theirs.run("dvc", "status", "soft_landmarks").stdout


@pytest.mark.slow
def test_two_queues_that_fetch_the_same_data_into_one_shared_cache_both_get_it(
    team: Team, clone: Callable[..., Copy], tmp_path: Path
) -> None:
    team.mine.run("dvc", "push")
    people = [clone(name, cache=tmp_path / "cache") for name in ("one", "two")]
    for copy in people:
        # Forced: neither takes the other's result from the shared record of runs.
        options = ("--force", "-S", "synthetic.train=20")
        copy.run("dvc", "exp", "run", "--queue", "--name", "small", *options, "fetch")
    with ThreadPoolExecutor() as together:
        list(together.map(lambda copy: copy.run("dvc", "queue", "start"), people))
    wait_for_experiments(people, ["small"], workers=1)
    data = set()
    for copy in people:
        lock = yaml.safe_load(tracked(copy, "small", Path("dvc.lock")))
        data.add(lock["stages"]["fetch"]["outs"][0]["md5"])
        copy.run("git", "checkout", "--quiet", copy.experiment("small"), "--", "dvc.lock")
        copy.run("dvc", "checkout", "data/raw")
        assert len(list((copy.folder / paths.RAW).rglob("train/*.jpg"))) == 20
    assert len(data) == 1
