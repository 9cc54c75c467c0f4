"""Formats of other runtimes, each where its converter is installed (an extra of its own).

Where a converter has an environment of its own, these tests run there, too, without torch:

    /tmp/tflite/bin/python -m pytest tests/export/test_converters.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from landmark_kd.export.formats import FORMATS
from landmark_kd.export.requirements import NEEDS, missing
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.shipped import shipped_names
from tests.support.command import run

pytestmark = pytest.mark.seconds


def converter(name: str) -> None:
    if absent := missing(name):
        pytest.skip(f"{absent[0]} is not installed (landmark-kd[{NEEDS[name].extra}])")


@pytest.mark.parametrize("model", shipped_names())
@pytest.mark.parametrize("name", ["tflite", "ncnn"])
def test_a_converted_file_gives_what_the_network_gives(
    name: str,
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    converter(name)
    monkeypatch.chdir(tmp_path)  # where there are no prepared faces
    # The command refuses what is further away than the format's tolerance.
    status = run("export", model, "--format", name, "--out", tmp_path / "out")
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert f"{model}, compared on 16 images of random colours" in printed.out
    path = tmp_path / "out" / f"{model}{FORMATS[name].suffix}"
    described = json.loads(path.with_name(f"{path.name}.json").read_text())
    info = LandmarkDetector.load(model).info
    assert (described["points"], described["input_size"]) == (info.points, info.input_size)
    assert tuple(described["flip"]) == info.flip
    assert described["licence"] == info.licence
    size = info.input_size
    layout = f"(1, {size}, {size}, 3)" if name == "tflite" else f"in0: (3, {size}, {size})"
    assert described["input"].startswith(layout)


def test_a_core_ml_package_says_of_itself_what_the_onnx_file_says(tmp_path: Path) -> None:
    converter("coreml")
    import coremltools

    from landmark_kd.landmarks.scheme import IBUG_68
    from landmark_kd.models.network import save_network
    from tests.support.exported_model import SIZE, tiny_faces, tiny_network

    tiny_faces(tmp_path / "prepared" / "test", 3)
    save_network(tiny_network(flip=IBUG_68.flip.tolist()), tmp_path / "kd")
    arguments = ["--format", "coreml", "--faces", tmp_path / "prepared", "--out", tmp_path]
    assert run("export", tmp_path / "kd", *arguments) == 0
    spec = coremltools.utils.load_spec(str(tmp_path / "kd.mlpackage"))
    assert [output.name for output in spec.description.output] == ["landmarks", "sigma"]
    assert spec.description.metadata.userDefined["input_size"] == str(SIZE)
