"""examples/deploy/predict.mjs: what it prints is what Python finds in the same box."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from landmark_kd.demo.runtime import FILES, PACKAGE, is_complete, runtime_folder
from landmark_kd.imaging.images import read_image
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.shipped import shipped_model, shipped_names
from tests.conftest import PROJECT

pytestmark = pytest.mark.seconds

# By eye, around the landmarks of the first face of docs/faces.jpg.
BOX = (46, 84, 204, 232)
# npm's package has a build for Node.js; the one that browsers load asks it how many cores there are
# in a way that it does not answer.
SHIM = f"""
import * as ort from "./{FILES[0]}";
ort.env.wasm.numThreads = 1;
export * from "./{FILES[0]}";
"""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example in a folder of its own, where npm would have put onnxruntime-web."""
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js on this computer")
    runtime = runtime_folder()
    if not is_complete(runtime):
        pytest.skip(f"no onnxruntime-web in {runtime}; `landmark-kd demo` brings it with npm")
    package = tmp_path / "node_modules" / PACKAGE
    shutil.copytree(runtime, package)
    (package / "shim.mjs").write_text(SHIM)
    (package / "package.json").write_text(json.dumps({"name": PACKAGE, "exports": "./shim.mjs"}))
    return Path(shutil.copy(PROJECT / "examples" / "deploy" / "predict.mjs", tmp_path))


@pytest.mark.parametrize("name", shipped_names())
def test_it_finds_what_python_finds(example: Path, name: str) -> None:
    model, ppm = example.parent / "model.onnx", example.parent / "image.ppm"
    model.write_bytes(shipped_model(name))
    image = read_image(PROJECT / "docs" / "faces.jpg")
    cv2.imwrite(str(ppm), image)
    ended = subprocess.run(
        ["node", example, model, ppm, *map(str, BOX)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    detector = LandmarkDetector.load(name)
    # With a roll, so that it is not looked at twice.
    (face,) = detector.detect(image, np.array([BOX]), np.zeros(1))
    np.testing.assert_allclose(json.loads(ended.stdout), face.landmarks, atol=0.5)
