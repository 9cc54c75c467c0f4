"""Formats of other runtimes, each where its converter is installed (an extra of its own)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from landmark_kd.export.formats import FORMATS
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.models.network import save_network
from tests.support.command import run
from tests.support.exported_model import SIZE, exported_model, tiny_faces, tiny_network

pytestmark = pytest.mark.seconds
FLIP = tuple(IBUG_68.flip.tolist())


def converter(name: str) -> None:
    missing = [m for m in FORMATS[name].modules if importlib.util.find_spec(m) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed (landmark-kd[{FORMATS[name].extra}])")


@pytest.mark.parametrize("name", ["tflite", "ncnn"])
@pytest.mark.parametrize("flip", [None, FLIP], ids=["one", "both"])
def test_a_converted_file_gives_what_the_network_gives(
    name: str,
    flip: tuple[int, ...] | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    converter(name)
    tiny_faces(tmp_path / "prepared" / "test", 3)
    model, out = exported_model(tmp_path, flip), tmp_path / "out"
    arguments = ["--format", name, "--faces", tmp_path / "prepared", "--out", out]
    # The command refuses what is further away than the format's tolerance.
    assert run("export", model, *arguments) == 0, capsys.readouterr().err
    path = out / f"landmarks{FORMATS[name].suffix}"
    described = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert (described["points"], described["input_size"]) == (68, SIZE)
    assert described["flip"] == IBUG_68.flip.tolist()
    assert "compared on 3 test faces" in capsys.readouterr().out


def test_a_core_ml_package_says_of_itself_what_the_onnx_file_says(tmp_path: Path) -> None:
    converter("coreml")
    import coremltools

    tiny_faces(tmp_path / "prepared" / "test", 3)
    save_network(tiny_network(flip=FLIP), tmp_path / "kd")
    arguments = ["--format", "coreml", "--faces", tmp_path / "prepared", "--out", tmp_path]
    assert run("export", tmp_path / "kd", *arguments) == 0
    spec = coremltools.utils.load_spec(str(tmp_path / "kd.mlpackage"))
    assert [output.name for output in spec.description.output] == ["landmarks", "sigma"]
    assert spec.description.metadata.userDefined["input_size"] == str(SIZE)
