"""The comparison with PFLD and the model card: what they write, and that reports are theirs."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.markdown_blocks import filled
from benchmarks.pfld import compare, conventions, model_card
from benchmarks.pfld.tables import card_blocks, readme_blocks, report_blocks, results_blocks
from landmark_kd.core.errors import run_main
from landmark_kd.data.datasets.wflw import LIST
from landmark_kd.inference.shipped import DEFAULT, shipped_model, shipped_names
from landmark_kd.landmarks.scheme import IBUG_68
from tests.conftest import PROJECT
from tests.support.constant_model import constant_model
from tests.support.fake_pfld import fake_pfld
from tests.support.prepared_faces import real_shapes
from tests.support.raw_cofw_wflw import write_wflw
from tests.support.raw_faces import landmarks_in, write_300w

pytestmark = pytest.mark.seconds

REPORT = PROJECT / "reports" / "references"
RESULTS_PAGE = "docs/results.md"
PAGE = "".join(
    f"<!-- {name} -->\n<!-- /{name} -->\n"
    for name in (
        "references",
        "shipped",
        "machine",
        "networks",
        "times",
        "ced",
        "wflw",
        "tilts",
        "boxes",
        "worst",
    )
)


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Path]:
    """Small folders of faces, and a network in PFLD's place."""
    return {
        "--pfld": fake_pfld(tmp_path / "pfld.onnx"),
        "--faces": write_300w(tmp_path / "300w"),
        "--wflw": write_wflw(tmp_path / "wflw", train=3, test=4),
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose pages have the marks of all blocks."""
    folder = tmp_path / "project"
    report = folder / "reports" / "references"
    for page in (folder / "README.md", folder / RESULTS_PAGE, report / "README.md"):
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(compare, "PROJECT", folder)
    monkeypatch.setattr(compare, "REPORT", report)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Path], *more: object) -> int:
    words = [str(word) for pair in arguments.items() for word in pair]
    monkeypatch.setattr(sys, "argv", ["compare.py", *words, "--rounds", "1", *map(str, more)])
    try:
        run_main(compare.main)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_named_model_is_measured_beside_pfld_and_no_page_is_touched(
    arguments: dict[str, Path],
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Every face of 300-W has the shape that this network puts into the box.
    model = constant_model(tmp_path / "model.onnx", landmarks_in(80, 60), IBUG_68)
    out = tmp_path / "out"
    assert run(monkeypatch, arguments, "--model", model, "--out", out) == 0
    found = json.loads((out / "results.json").read_text())
    common = found["sets"]["300w"]["subsets"]["common"]
    assert (common["n"], common["n_published"]) == (3, 554)
    assert common["networks"]["student"]["nme"]["value"] < 0.01
    assert common["networks"]["pfld"]["nme"]["value"] > 1
    assert common["against"]["student"]["better"]["value"] == 1
    assert [found["tilts"][angle]["n"] for angle in ("0", "15", "45")] == [2, 4, 4]
    assert found["tilts"]["0"]["networks"]["student"]["nme"]["value"] < 0.01
    # WFLW's both lists, with the marks of both.
    wflw = found["sets"]["wflw"]["subsets"]
    assert {name: wflw[name]["n"] for name in ("all", "pose", "expression")} == {
        "all": 7, "pose": 7, "expression": 4,
    }  # fmt: skip
    assert found["networks"]["student"]["source"] == str(model)
    sha = hashlib.sha256(arguments["--pfld"].read_bytes()).hexdigest()
    assert found["networks"]["pfld"]["sha256"] == sha
    loose = [j["networks"]["student"]["nme"]["value"] for j in found["boxes"]["jittered"]]
    assert 1 < loose[0] < loose[1]
    assert found["boxes"]["detector"]["student"]["common"]["found"] == 0
    names = {file.name for file in out.iterdir()}
    assert names == {
        "results.json", "ced.json", "ced.png", "worst_300w.png", "worst_wflw.png",
    }  # fmt: skip
    printed = capsys.readouterr().out
    assert "300-W common, n = 3 of 554" in printed
    assert "| PFLD |" in printed
    for page in ("README.md", RESULTS_PAGE, "reports/references/README.md"):
        assert (project / page).read_text() == PAGE


def test_the_shipped_students_fill_the_pages(
    arguments: dict[str, Path], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, arguments) == 0
    results = json.loads((project / "reports/references/results.json").read_text())
    for name in shipped_names():
        sha = hashlib.sha256(shipped_model(name)).hexdigest()
        assert results["networks"][name]["sha256"] == sha
    assert list(results["networks"])[:: len(shipped_names())] == [DEFAULT, "pfld"]
    page = (project / RESULTS_PAGE).read_text(encoding="utf-8")
    assert results_blocks(results)["references"] in page
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert readme_blocks(results)["shipped"] in readme
    report = (project / "reports/references/README.md").read_text(encoding="utf-8")
    curves = json.loads((project / "reports/references/ced.json").read_text())
    assert all(block in report for block in report_blocks(results, curves).values())


@pytest.mark.parametrize("missing", ["--pfld", "--faces", "--wflw", "--model"])
def test_what_is_missing_ends_in_a_sentence_before_any_work(
    missing: str,
    arguments: dict[str, Path],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments[missing] = project.parent / "nowhere"
    assert run(monkeypatch, arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert "nowhere" in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert (project / RESULTS_PAGE).read_text() == PAGE
    assert not (project / "reports/references/results.json").exists()


def test_the_official_lists_of_wflw_are_not_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_wflw(tmp_path / "wflw", train=3, test=4)
    with compare.one_test_list(folder) as together:
        assert len((together / LIST.format(split="test")).read_text().splitlines()) == 7
        assert together != folder
    monkeypatch.setattr(compare, "OFFICIAL_TEST_FACES", 4)
    with compare.one_test_list(folder) as official:
        assert official == folder


def committed(name: str) -> Any:
    return json.loads((REPORT / name).read_text(encoding="utf-8"))


def holds(page: Path, blocks: dict[str, str]) -> bool:
    text = page.read_text(encoding="utf-8")
    return all(filled(text, name, block, str(page)) == text for name, block in blocks.items())


def test_the_committed_numbers_are_of_the_networks_that_are_shipped() -> None:
    networks = committed("results.json")["networks"]
    assert sorted(networks) == sorted([*shipped_names(), "pfld"])
    for name in shipped_names():
        assert networks[name]["sha256"] == hashlib.sha256(shipped_model(name)).hexdigest()


def test_the_committed_tables_are_what_the_scripts_make_of_the_committed_results() -> None:
    results, curves, ages = map(committed, ("results.json", "ced.json", "ages.json"))
    assert holds(PROJECT / RESULTS_PAGE, results_blocks(results))
    assert holds(PROJECT / "README.md", readme_blocks(results))
    assert holds(REPORT / "README.md", report_blocks(results, curves))
    readings = committed("pfld_conventions.json")
    of_readings = conventions.markdown(readings["readings"], readings["n"])
    assert holds(REPORT / "README.md", {"pfld": of_readings})
    assert holds(PROJECT / "docs" / "model_card.md", card_blocks(results, ages))


def test_the_committed_ages_are_of_as_many_faces_as_were_drawn() -> None:
    ages = committed("ages.json")
    for split in ("train", "test"):
        assert list(ages[split]) == ages["groups"]
        assert sum(ages[split].values()) == model_card.SHEET_FACES


def test_the_card_is_filled_from_results_and_ages(
    arguments: dict[str, Path],
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = constant_model(tmp_path / "model.onnx", real_shapes(1)[0], IBUG_68)
    out = tmp_path / "out"
    assert run(monkeypatch, arguments, "--model", model, "--out", out) == 0
    card = tmp_path / "card.md"
    text = (PROJECT / "docs" / "model_card.md").read_text(encoding="utf-8")
    card.write_text(text, encoding="utf-8")
    monkeypatch.setattr(model_card, "CARD", card)
    monkeypatch.setattr(model_card, "RESULTS", out / "results.json")
    model_card.fill_card()
    page = card.read_text(encoding="utf-8")
    assert page != text
    results = json.loads((out / "results.json").read_text())
    assert results["networks"]["student"]["sha256"] in page
    assert "| 300-W, yaw either way | n |" in page
    assert "| train | 100 |" in page


def test_age_sheets_show_each_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_300w(tmp_path / "300w")
    model_card.write_age_sheets(folder, tmp_path / "sheets")
    assert "train.png: 10 of 10 faces" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "sheets").iterdir()} == {"train.png", "test.png"}


def test_intervals_of_committed_results_hold_their_values() -> None:
    found = committed("results.json")["sets"]["300w"]["subsets"]["common"]
    assert found["n"] == found["n_published"] == 554
    for scores in found["networks"].values():
        assert all(v["low"] <= v["value"] <= v["high"] for v in scores.values())
        assert np.isfinite(scores["nme"]["value"])
