"""The whole pipeline on one data set after another, in a copy of the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from landmark_kd.config import paths
from landmark_kd.data.datasets.wflw import FLAGS
from landmark_kd.inference.detector import LandmarkDetector
from tests.support.pipeline_copy import Copy, copy_repository
from tests.support.raw_cofw_wflw import write_cofw, write_wflw
from tests.support.raw_custom import FIVE_NAMES, table_lines, write_table


def lines(name: str, path: Path) -> list[str]:
    """The `-S` of a data set."""
    return ["-S", f"data.name={name}", "-S", f"data.path={path}"]


def raw_cofw(copy: Copy) -> Path:
    return copy.folder.parent / "cofw"


@pytest.fixture(scope="module")
def cofw(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy in which the tiny pipeline has run once on COFW's layout, all of it committed."""
    copy = copy_repository(tmp_path_factory.mktemp("pipeline") / "landmark-kd")
    raw = write_cofw(raw_cofw(copy), train=24, test=6, size=(160, 120))
    copy.set_params({"data": {"name": "cofw", "path": str(raw)}, "crop": {"box": "dataset"}})
    copy.run("dvc", "repro")
    copy.commit("tiny run")
    return copy


@pytest.mark.slow
def test_another_data_set_has_subsets_of_its_own_and_the_way_back_runs_nothing(
    cofw: Copy, tmp_path: Path
) -> None:
    before = cofw.metrics()
    for scores in before.values():
        assert set(scores) == {"cofw"}
    assert "nme_occluded" in before["kd"]["cofw"]
    wflw = write_wflw(tmp_path / "wflw", train=24, test=6, size=(160, 120))
    cofw.run("dvc", "exp", "run", "-n", "wflw", *lines("wflw", wflw), "evaluate")
    for scores in cofw.metrics().values():
        assert set(scores) == {"all", *FLAGS}
    # A diff sets no number of one data set beside another's.
    diff = json.loads(cofw.run("dvc", "metrics", "diff", "HEAD", "--json").stdout)
    compared = [
        values
        for key, values in diff["reports/metrics.json"].items()
        if key.endswith((".nme", ".n"))
    ]
    assert compared
    for values in compared:
        assert (values["old"] is None) != (values["new"] is None)
    back = cofw.run("dvc", "exp", "run", "-n", "back", *lines("cofw", raw_cofw(cofw)))
    assert "Running stage" not in back.stdout
    assert cofw.metrics() == before
    cofw.run("git", "checkout", "--quiet", ".")


@pytest.mark.slow
def test_a_persons_own_scheme_goes_through_the_whole_pipeline_and_into_the_model(
    cofw: Copy, tmp_path: Path
) -> None:
    people = [f"person{i % 10}" for i in range(40)]
    mine = write_table(
        tmp_path / "mine",
        table_lines(people),
        pupils=None,
        split={"column": "person", "test": 0.2, "seed": 0},
    )
    done = cofw.run(
        "dvc", "exp", "run", "-n", "mine", *lines("pts", mine), "-S", "crop.box=landmarks"
    )
    found = cofw.metrics()
    assert set(found["kd"]) == {"mine"}
    assert found["kd"]["mine"]["n"] == 8
    assert "nme_pupil" not in found["kd"]["mine"]
    assert "normaliser: eyes" in done.stdout
    names = pd.read_csv(cofw.folder / paths.EVALUATION_REPORT / "per_landmark.csv")["name"]
    assert names.tolist() == FIVE_NAMES
    info = LandmarkDetector.load(cofw.folder / paths.ONNX_MODEL).info
    assert (info.points, info.point_names) == (5, tuple(FIVE_NAMES))
    assert info.licence == "Mine, for anything."
