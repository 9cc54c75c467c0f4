"""What DVC runs again, shows and compares, in a copy of the repository."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from landmark_kd.config import paths
from tests.conftest import PROJECT
from tests.support.pipeline_copy import Copy, copy_finished_pipeline

ROOMS = Path("src/landmark_kd")
TRAININGS = {"teacher_tough", "teacher_tolerant", "student_baseline", "student_kd"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return copy_finished_pipeline(tmp_path_factory, "graph")


@pytest.fixture
def pipeline(finished: Copy) -> Iterator[Copy]:
    """A copy in which the tiny pipeline has run once; what a test changes is put back."""
    yield finished
    finished.discard()


def changed(pipeline: Copy) -> set[str]:
    """Stages with a changed dep or parameter, which are those that `dvc repro` runs first."""
    return set(json.loads(pipeline.run("dvc", "status", "--json").stdout))


def edit(pipeline: Copy, file: Path) -> None:
    with (pipeline.folder / file).open("a", encoding="utf-8") as code:
        code.write("\n# An edit.\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "stages"),
    [
        (ROOMS / "distillation/losses.py", {"student_kd", "evaluate", "report"}),
        # Of real faces fetch copies what it copied before, and nothing follows.
        (ROOMS / "data/synthetic/render.py", {"fetch"}),
        (ROOMS / "visualization/plots.py", {"soft_landmarks", "evaluate", "report"}),
        (ROOMS / "config/params.py", set()),
    ],
)
def test_an_edit_runs_the_stages_that_it_has_a_part_in(
    pipeline: Copy, file: Path, stages: set[str]
) -> None:
    edit(pipeline, file)
    assert changed(pipeline) == stages


@pytest.mark.slow
def test_a_new_key_that_nobody_reads_runs_nothing(pipeline: Copy) -> None:
    params = pipeline.folder / "params.yaml"
    params.write_text(params.read_text() + "\nmine:\n  note: 1\n")
    for module in ("params", "paths"):
        edit(pipeline, ROOMS / f"config/{module}.py")
    assert "Data and pipelines are up to date." in pipeline.run("dvc", "repro").stdout


@pytest.mark.slow
def test_another_shape_model_trains_neither_the_tough_teacher_nor_the_baseline(
    pipeline: Copy,
) -> None:
    pipeline.set_params({"asm": {"variance": 0.7}})
    assert changed(pipeline) == {"soft_landmarks"}
    pipeline.run("dvc", "repro", "soft_landmarks")
    assert changed(pipeline) & TRAININGS == {"teacher_tolerant"}


@pytest.mark.slow
def test_what_editors_and_interpreters_leave_behind_runs_nothing(pipeline: Copy) -> None:
    room = pipeline.folder / ROOMS / "training"
    (room / "__pycache__").mkdir(exist_ok=True)
    left = [room / name for name in ("__pycache__/a.cpython-311.pyc", "train.py~", ".train.py.swp")]
    for file in left:
        file.write_bytes(b"\0")
    try:
        assert changed(pipeline) == set()
    finally:
        for file in left:
            file.unlink()


@pytest.mark.slow
def test_evaluating_again_leaves_git_as_it_was(pipeline: Copy) -> None:
    pipeline.run("dvc", "repro", "--force", "--single-item", "evaluate")
    assert (pipeline.folder / paths.TIMES).is_file()
    assert pipeline.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_metrics_are_compared_with_a_revision_of_which_nothing_is_in_the_cache(
    pipeline: Copy, tmp_path: Path
) -> None:
    """As right after `make repro` in a clone: HEAD's outputs were made on another machine."""
    clone = Copy(tmp_path / "clone" / "landmark-kd")
    shutil.copytree(pipeline.folder, clone.folder, ignore=shutil.ignore_patterns("cache", "tmp"))
    before = clone.metrics()
    before["kd"]["test"]["nme"] += 1
    (clone.folder / paths.METRICS).write_text(json.dumps(before))
    done = clone.run("dvc", "metrics", "diff", "--json")
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert list(found) == [paths.METRICS.as_posix()]
    assert list(found[paths.METRICS.as_posix()]) == ["kd.test.nme"]
    shown = json.loads(clone.run("dvc", "metrics", "show", "--json").stdout)[""]["data"]
    assert not any("error" in content for content in shown.values())
    assert not any(word in json.dumps(shown) for word in ("ms_", "median", "p90"))


@pytest.mark.slow
def test_the_readmes_table_of_experiments_fits_a_terminal_of_120_columns(pipeline: Copy) -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in readme if line.startswith("dvc exp show --only-changed"))
    # Another loss alone changes a network that hardly trains by less than the table shows.
    change = ("-S", "kd.beta=0.45", "-S", "kd.tau=0.01", "-S", "student.learning_rate=0.02")
    pipeline.run("dvc", "exp", "run", "-n", "other", *change, "evaluate")
    pipeline.env["COLUMNS"] = "120"
    try:
        table = pipeline.run(*shlex.split(line, comments=True), "--no-pager").stdout
    finally:
        del pipeline.env["COLUMNS"]
    assert "…" not in table
    for column in ("kd.val_nme", "kd.beta", "kd.tau"):
        assert column in table, table
    assert max(map(len, table.splitlines())) <= 120
