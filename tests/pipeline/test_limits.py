"""A disk or a memory that ends stops each stage with one sentence and nothing half-written.

What was tried by hand besides, on a disk of a few megabytes, stands in docs/scaling.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from landmark_kd.config import paths
from tests.support.limits import largest_file, more_memory
from tests.support.stage_runs import STAGES, Ended, StageRuns

pytestmark = pytest.mark.seconds

MEGABYTE = 1 << 20
TRAININGS = [command for command in STAGES if command.startswith(("teacher t", "student"))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> StageRuns:
    """A pipeline that has run once; its files stay as they are."""
    runs = StageRuns(tmp_path_factory.mktemp("project"))
    for command in STAGES:
        ended = runs.run(command)
        assert (ended.status, ended.err) == (0, ""), command
    return runs


def assert_as_before(runs: StageRuns, before: dict[str, bytes]) -> None:
    """Outputs are those of before, and nothing lies beside them; times alone are new."""
    after = runs.files()
    assert set(after) == set(before)
    changed = {name for name in before if after[name] != before[name]}
    assert changed <= {paths.TIMES.as_posix(), paths.EXPORT_TIMES.as_posix()}


def sentence(ended: Ended) -> str:
    """The sentence with which a run ended, after warnings of checkpoints that were not written."""
    *warnings, last = ended.err.splitlines()
    assert ended.status == 1
    assert all(line.startswith("warning: no checkpoint of epoch") for line in warnings)
    assert last.startswith("error: ")
    return last


def largest(runs: StageRuns, command: str) -> int:
    """Bytes of the largest file that a command writes."""
    folders = [runs.folder / out for out in STAGES[command]]
    files = [path for out in folders for path in (out.rglob("*") if out.is_dir() else [out])]
    return max(path.stat().st_size for path in files)


@pytest.mark.parametrize("command", STAGES)
def test_a_disk_that_ends_in_a_file_is_told_and_old_outputs_stay(
    runs: StageRuns, command: str
) -> None:
    """Space ends at once, early, or a byte before the end of the largest file."""
    before = runs.files()
    for size in (0, 100, largest(runs, command) - 1):
        said = sentence(runs.run(command, largest_file(size)))
        assert "File too large while writing or reading" in said
        assert any(out in said or Path(out).parent.as_posix() in said for out in STAGES[command])
        assert_as_before(runs, before)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> StageRuns:
    """A pipeline of crops so large that a batch of them is more than all that is read before."""
    large = StageRuns(tmp_path_factory.mktemp("large"), resolution=384, context=1.0)
    for command in STAGES:
        if command not in ("evaluate", "export", "report"):
            assert large.run(command).status == 0, command
    return large


@pytest.mark.parametrize("command", [*TRAININGS, "teacher_predictions", "evaluate", "export"])
def test_memory_that_a_batch_does_not_fit_in_is_told_and_old_outputs_stay(
    large: StageRuns, command: str
) -> None:
    before = large.files()
    said = sentence(large.run(command, more_memory(32 * MEGABYTE)))
    assert "memory of the computer" in said
    assert "crop.resolution" in said
    assert ("base.accumulate" in said) == (command in TRAININGS)
    assert_as_before(large, before)


@dataclass(frozen=True)
class Decoding:
    """Lets OpenCV find too little memory for an image."""

    def __call__(self) -> None:
        def decode(*_: object) -> None:
            raise cv2.error(f"{cv2.__version__}: (-4:Insufficient memory) Failed to allocate")

        cv2.imdecode = decode  # type: ignore[assignment]


def test_memory_that_an_image_does_not_fit_in_is_not_taken_for_a_bad_image(
    runs: StageRuns,
) -> None:
    before = runs.files()
    assert "memory of the computer" in sentence(runs.run("prepare", Decoding()))
    assert_as_before(runs, before)
