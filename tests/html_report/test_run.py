"""Reading a run's reports: whole ones, older ones, damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmark_kd.config import paths
from landmark_kd.core.errors import UserError
from landmark_kd.html_report.run import CONTROL, INTERVALS, PREDICTIONS, load_run
from tests.support.made_up_run import EPOCHS, made_up_run

pytestmark = pytest.mark.seconds


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made_up_run(tmp_path)
    return tmp_path


def change(path: Path, edit: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_a_run_has_its_networks_in_one_order_and_the_floor_last(root: Path) -> None:
    change(root / paths.METRICS, lambda m: m.update({CONTROL: m["kd"], "another": m["kd"]}))
    run = load_run(root)
    expected = ["tough", "tolerant", "baseline", "control", "kd", "another", "mean_shape"]
    assert run.networks == expected
    assert run.main_subset == "full"
    assert run.curves["kd"].epochs == list(range(1, EPOCHS + 1))
    assert set(run.curves["kd"].losses) == {"loss", "main", "tough", "tolerant"}
    assert run.predictions is not None
    assert run.predictions["kd"].shape == (12, 68, 2)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda m: m.pop("kd"), "has no network `kd`"),
        (lambda m: m.update(kd={}), "has no subset of the network `kd`"),
        (lambda m: m["kd"]["full"].pop("auc8"), "no auc8 of kd on full"),
        (lambda m: m["tough"].update(common=3.4), "no nme of tough on common"),
    ],
)
def test_metrics_without_kd_or_of_an_older_version_are_named(
    root: Path, edit: Callable[[Any], None], sentence: str
) -> None:
    change(root / paths.METRICS, edit)
    with pytest.raises(UserError, match=sentence) as caught:
        load_run(root, "the experiment old")
    assert "the experiment old" in str(caught.value)


def test_a_subset_that_one_network_lacks_is_shown_of_the_others(root: Path) -> None:
    change(root / paths.METRICS, lambda m: m["tough"].pop("challenging"))
    run = load_run(root)
    assert "challenging" in run.subsets
    assert "challenging" not in run.metrics["tough"]


def test_what_older_versions_did_not_write_is_none(root: Path) -> None:
    (root / PREDICTIONS).unlink()
    (root / paths.EVALUATION_REPORT / "reliability.csv").unlink()
    (root / paths.COST).unlink()
    run = load_run(root)
    assert run.predictions is None
    assert run.reliability is None
    assert run.cost == {}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (paths.METRICS, b"{"),
        (INTERVALS, b"[]"),
        (paths.EVALUATION_REPORT / "errors.csv", b"name,subsets\na,b\n"),
        (paths.EVALUATION_REPORT / "errors.csv", b"name,subsets,kd\na,b,much\n"),
        (PREDICTIONS, b"PK\x03\x04"),
        (Path("params.yaml"), b"- a\n"),
        (Path("params.yaml"), b"a: [\n"),
    ],
)
def test_a_damaged_file_is_named_in_one_sentence(root: Path, path: Path, content: bytes) -> None:
    (root / path).write_bytes(content)
    with pytest.raises(UserError, match=path.name):
        load_run(root)


def test_predictions_of_other_faces_are_refused(root: Path) -> None:
    np.savez(root / PREDICTIONS, kd=np.zeros((3, 68, 2), np.float32))
    with pytest.raises(UserError, match="12 faces"):
        load_run(root)
