"""Networks of several seeds on the same test faces: their mean, and its comparison with another."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.landmarks.scheme import IBUG_68
from tests.support.constant_model import constant_model
from tests.support.raw_faces import landmarks_in, write_300w
from tools import seed_models

ERRORS = {
    "one": np.array([2.0, 4.0, 9.0]),
    "two": np.array([4.0, 4.0, 7.0]),
}


def test_a_face_counts_with_its_mean_over_the_seeds() -> None:
    others = {"three": np.array([3.0, 5.0, 9.0]), "four": np.array([5.0, 5.0, 9.0])}
    results = seed_models.summarise(ERRORS, others)
    assert results["n"] == 3
    assert results["seeds"]["one"]["nme"]["value"] == 5
    assert results["mean"]["nme"]["value"] == 5
    # A rate is the mean of the seeds' rates, not the rate of the mean errors (one of three).
    assert results["mean"]["fr8"] == pytest.approx(100 / 6, abs=1e-3)
    assert results["others"]["mean"]["nme"]["value"] == 6
    paired = results["against_others"]
    # On each face the mean of the seeds is 1 nearer than the mean of the others.
    assert paired["difference"] == {"value": -1.0, "low": -1.0, "high": -1.0}
    assert paired["better"]["value"] == 1


def test_the_markdown_has_a_row_for_each_seed_and_the_mean() -> None:
    def rows(markdown: str) -> list[str]:
        return [line.split(" | ")[0] for line in markdown.splitlines()[2:] if line[:1] == "|"]

    alone = seed_models.markdown(seed_models.summarise(ERRORS, {}))
    assert rows(alone) == ["| one", "| two", "| **mean of the seeds**"]
    assert "Paired" not in alone
    other = {"three": np.array([4.0, 5.0, 9.0])}
    beside = seed_models.markdown(seed_models.summarise(ERRORS, other))
    assert rows(beside) == [*rows(alone), "| compared with three"]
    assert "-1.000 [-1.000, -1.000]" in beside
    both = seed_models.markdown(seed_models.summarise(ERRORS, other | {"four": other["three"]}))
    assert rows(both) == [*rows(beside), "| compared with four", "| **mean of those**"]


def test_the_command_measures_files_and_writes_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_300w(tmp_path / "300w")
    points = landmarks_in(80, 60)
    moved = points.copy()
    moved[0] += 3
    right = constant_model(tmp_path / "right.onnx", points, IBUG_68)
    wrong = constant_model(tmp_path / "wrong.onnx", moved, IBUG_68)
    out = tmp_path / "out.json"
    again = shutil.copy(wrong, tmp_path / "again.onnx")
    arguments = [out, folder, right, wrong, "--against", again]
    monkeypatch.setattr(sys, "argv", ["seed_models.py", *map(str, arguments)])
    seed_models.main()
    results = json.loads(out.read_text())
    nme = {name: row["nme"]["value"] for name, row in results["seeds"].items()}
    assert results["n"] == 5
    assert nme["right"] < nme["wrong"]
    assert results["others"]["seeds"]["again"] == results["seeds"]["wrong"]
    assert results["mean"]["nme"]["value"] == pytest.approx(sum(nme.values()) / 2, abs=1e-3)
    assert "| right | " in capsys.readouterr().out


@pytest.mark.parametrize("between", [[], ["--against"]])
def test_files_of_one_name_are_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: list[str]
) -> None:
    arguments = [tmp_path / "out.json", tmp_path, "a/model.onnx", *between, "b/model.onnx"]
    monkeypatch.setattr(sys, "argv", ["seed_models.py", *map(str, arguments)])
    with pytest.raises(UserError, match=r"named model, model.*another name"):
        seed_models.main()
    assert not (tmp_path / "out.json").exists()
