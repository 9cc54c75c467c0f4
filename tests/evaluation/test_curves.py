"""Curves of validation NME: the kept epoch, and files that are missing or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.evaluation.curves import best_epochs, validation_curves
from landmark_kd.evaluation.evaluate import NETWORKS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NETWORKS:
        metrics = tmp_path / name / "plots/metrics/val"
        metrics.mkdir(parents=True)
        (metrics / "nme.tsv").write_text("step\tnme\n0\t20.5\n1\t8.0\n2\t11.25\n3\t8.0\n")
    return tmp_path


def test_the_best_epoch_is_the_first_with_the_lowest_nme(folder: Path) -> None:
    found = best_epochs(validation_curves(folder))
    assert found == {name: {"val_nme": 8.0, "epoch": 2} for name in NETWORKS}


@pytest.mark.parametrize("content", ["step\tother\n0\t1\n", "", "step\tnme\n", "step\tnme\n0\tx\n"])
def test_a_damaged_curve_is_named(folder: Path, content: str) -> None:
    (folder / "kd/plots/metrics/val/nme.tsv").write_text(content)
    with pytest.raises(UserError, match=r"kd/plots/metrics/val/nme\.tsv is damaged"):
        validation_curves(folder)


def test_a_missing_curve_is_named(folder: Path) -> None:
    (folder / "kd/plots/metrics/val/nme.tsv").unlink()
    with pytest.raises(UserError, match=r"kd/plots/metrics/val/nme\.tsv is missing; run `dvc"):
        validation_curves(folder)
