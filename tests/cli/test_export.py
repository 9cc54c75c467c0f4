"""`landmark-kd export`: what it writes, what it refuses, and that nothing is left half-written."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from landmark_kd.cli import export
from landmark_kd.config import paths
from landmark_kd.export.float16 import to_float16
from landmark_kd.export.formats import FORMATS
from landmark_kd.export.requirements import NEEDS
from landmark_kd.export.runs import Outputs, Run
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.models.network import save_network
from tests.support.command import run
from tests.support.exported_model import exported_model, tiny_faces, tiny_network

pytestmark = pytest.mark.seconds
FLIP = tuple(IBUG_68.flip.tolist())
SEEN = LandmarkDetector.load("accurate").info


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with prepared faces, a trained network and its float32 file."""
    made = tmp_path_factory.mktemp("project")
    for split in ("train", "test"):
        tiny_faces(made / "faces" / split, 4)
    (made / "apart").mkdir()
    exported_model(made / "apart", FLIP).rename(made / "landmarks.onnx")
    save_network(tiny_network(flip=FLIP), made / "kd")
    return made


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without prepared faces."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_formats_need_and_what_the_pipeline_names_are_those_of_the_registry() -> None:
    assert list(FORMATS) == list(NEEDS)
    stem = paths.ONNX_MODEL.stem
    assert paths.FLOAT16_MODEL.name == f"{stem}{FORMATS['onnx-fp16'].suffix}"
    assert paths.INT8_MODEL.name == f"{stem}{FORMATS['onnx-int8'].suffix}"


@pytest.mark.parametrize("model", ["kd", "landmarks.onnx"])
def test_a_network_is_written_in_all_formats_of_onnx(
    model: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, stem = tmp_path / "new" / "exported", Path(model).stem
    wanted = ["--format", "onnx,onnx-fp16,onnx-int8", "--faces", folder / "faces"]
    assert run("export", folder / model, *wanted, "--out", out) == 0
    printed = capsys.readouterr().out
    assert f"{stem}, compared on 4 test faces" in printed
    names = {f"{stem}.onnx", f"{stem}_fp16.onnx", f"{stem}_int8.onnx"}
    assert {path.name for path in out.iterdir()} == names
    for path in out.iterdir():
        assert LandmarkDetector.load(path).info.dataset == "tiny"
        assert oct(path.stat().st_mode & 0o444) == oct(0o444)
    assert (out / f"{stem}.onnx").read_bytes() == (folder / "landmarks.onnx").read_bytes()


def test_without_faces_files_are_compared_on_random_images(
    folder: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["--format", "onnx-fp16", "--out", elsewhere / "out"]
    assert run("export", folder / "landmarks.onnx", *wanted) == 0
    assert "images of random colours" in capsys.readouterr().out


REFUSED = {
    "no such format": (
        ["landmarks.onnx", "--format", "onnx,gguf"],
        2,
        "the formats are onnx, onnx-f",
    ),
    "no such file": (["none.onnx", "--format", "onnx"], 1, "none.onnx is missing"),
    "no such folder": (["./none", "--format", "onnx"], 1, "none is missing"),
    "no such name": (["none", "--format", "onnx"], 1, "there is no network named 'none'"),
    "no network in the folder": (["faces", "--format", "onnx"], 1, "network.json is missing"),
    "another program's": (["other.onnx", "--format", "onnx"], 1, "has no metadata of landmark-kd"),
    "no ONNX": (["text.onnx", "--format", "onnx"], 1, "is not an ONNX file"),
    "made of a file": (["landmarks.onnx", "--format", "onnx-int8"], 1, "prepared train faces"),
    "small already": (["small.onnx", "--format", "onnx"], 1, "is itself a file in float16"),
    "Core ML of a file": (["landmarks.onnx", "--format", "coreml"], 1, "trained network's folder"),
    "other faces": (
        ["accurate", "--format", "onnx", "--faces", "faces"],
        1,
        f"crops of {SEEN.input_size} pixels (box: {SEEN.box}, margin {SEEN.margin:g}), but faces "
        "has no test faces like that",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exported_is_refused_in_one_sentence(
    case: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, status, sentence = REFUSED[case]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(export, "check_installed", lambda names: None)
    (folder / "text.onnx").write_text("no network")
    model = onnx.load(folder / "landmarks.onnx")
    onnx.save(to_float16(model), folder / "small.onnx")
    del model.metadata_props[:]
    onnx.save(model, folder / "other.onnx")
    assert run("export", *arguments, "--out", tmp_path / "out") == status
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_a_missing_converter_is_named_with_the_extra_before_any_work(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = importlib.util.find_spec
    absent = ("onnx2tf", "coremltools", "pnnx", "onnx")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else found(name)
    )
    packages = {"tflite": "onnx2tf", "coreml": "coremltools", "ncnn": "pnnx"}
    for name, package in packages.items():
        wanted = ["--format", name, "--out", tmp_path / "out"]
        assert run("export", folder / "landmarks.onnx", *wanted) == 1
        error = capsys.readouterr().err
        assert f"the format {name} needs the package {package}" in error
        assert f"pip install 'landmark-kd[{name}]'" in error
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("of before")
    out = tmp_path / "file" / "deeper"
    assert run("export", folder / "landmarks.onnx", "--format", "onnx", "--out", out) == 1
    assert f"--out {out} cannot be written to" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "of before"


@pytest.mark.parametrize(("name", "spoil"), [("onnx-fp16", np.nan), ("onnx", 1.0)])
def test_a_file_that_gives_something_else_is_not_written_and_the_old_one_stays(
    name: str,
    spoil: float,
    folder: Path,
    elsewhere: Path,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    capsys: pytest.CaptureFixture[str] = request.getfixturevalue("capsys")
    old = elsewhere / f"landmarks{FORMATS[name].suffix}"
    old.write_text("of before")
    right = FORMATS[name]

    def open_spoilt(path: Path) -> Run:
        found = right.open(path)
        assert found is not None
        return lambda inputs: Outputs(found(inputs).landmarks + np.float32(spoil), None)

    monkeypatch.setitem(FORMATS, name, replace(right, open=open_spoilt))
    wanted = ["--format", name, "--out", elsewhere]
    assert run("export", folder / "landmarks.onnx", *wanted) == 1
    assert f"the {name} file gives landmarks in the mean" in capsys.readouterr().err
    assert [path.name for path in elsewhere.iterdir()] == [old.name]
    assert old.read_text() == "of before"
