"""examples/deploy/predict.cpp: it compiles, and prints what Python finds in the same box.

It needs a C++ compiler and onnxruntime's headers, of no later version than the installed
onnxruntime, whose library it is linked with. ONNXRUNTIME_INCLUDE names the headers' folder where
the system has none; the folder `include` of an onnxruntime release is one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from landmark_kd.export.float16 import to_float16
from landmark_kd.imaging.images import read_image
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.shipped import shipped_model, shipped_names
from landmark_kd.landmarks import geometry
from tests.conftest import PROJECT

pytestmark = pytest.mark.seconds

# By eye, around the landmarks of the first face of docs/faces.jpg; and half beside the image.
BOX = (46.0, 84.0, 204.0, 232.0)
BEYOND = (-70.0, 84.0, 88.0, 232.0)
SOURCE = PROJECT / "examples" / "deploy" / "predict.cpp"
HEADER = "onnxruntime_cxx_api.h"
PLACES = ("/usr/include/onnxruntime", "/usr/local/include/onnxruntime", "/usr/local/include")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no C++ compiler (c++, g++)")
    places = [os.environ.get("ONNXRUNTIME_INCLUDE", ""), *PLACES]
    headers = next((Path(p) for p in places if p and (Path(p) / HEADER).is_file()), None)
    if headers is None:
        pytest.skip(f"onnxruntime's headers are not there; ONNXRUNTIME_INCLUDE may name {HEADER}'s")
    wanted = re.search(r"ORT_API_VERSION (\d+)", (headers / "onnxruntime_c_api.h").read_text())
    installed = int(onnxruntime.__version__.split(".")[1])
    if wanted is None or int(wanted[1]) > installed:
        pytest.skip(f"the headers in {headers} are newer than onnxruntime 1.{installed}")
    libraries = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not libraries:
        pytest.skip("the installed onnxruntime has no library to link with")
    folder = tmp_path_factory.mktemp("program")
    # The name that the library itself says.
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(libraries[-1])
    flags = ["-std=c++20", "-O2", "-Wall", "-Werror", "-isystem", str(headers)]
    link = ["-L", str(folder), "-lonnxruntime", f"-Wl,-rpath,{folder}"]
    command = [compiler, *flags, str(SOURCE), *link, "-o", str(folder / "predict")]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder / "predict"


def printed(program: Path, model: Path, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return what the program prints, (K, 3): x, y and sigma of each landmark."""
    path = model.with_name("image.ppm")
    cv2.imwrite(str(path), image)
    command = [str(program), str(model), str(path), *map(str, box.tolist())]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    return np.array([line.split() for line in ended.stdout.splitlines()], float)


def check(program: Path, model: Path, image: np.ndarray, box: np.ndarray) -> None:
    detector = LandmarkDetector.load(model)
    # With a tilt said the box is taken as it is, as the program takes it.
    (face,) = detector.detect(image, box[None], np.zeros(1))
    found = printed(program, model, image, box)
    assert face.uncertainty is not None
    # The two sample pixels differently; of a face that is half beyond the image that moves
    # landmarks of which the network is most unsure by more than a pixel.
    away = np.linalg.norm(found[:, :2] - face.landmarks, axis=1)
    assert (away < np.maximum(1, 0.2 * face.uncertainty)).all()
    np.testing.assert_allclose(found[:, 2], face.uncertainty, rtol=0.1)


@pytest.mark.parametrize("kind", ["float32", "float16"])
@pytest.mark.parametrize("box", [BOX, BEYOND], ids=["box", "beyond the image"])
def test_it_prints_what_python_finds(
    program: Path, tmp_path: Path, kind: str, box: tuple[float, ...]
) -> None:
    model = tmp_path / "model.onnx"
    network = onnx.load_from_string(shipped_model())
    onnx.save(network if kind == "float32" else to_float16(network), model)
    check(program, model, read_image(PROJECT / "docs" / "faces.jpg"), np.array(box))


@pytest.mark.parametrize("name", shipped_names())
def test_a_real_face_is_found_as_python_finds_it(
    program: Path, tmp_path: Path, shared: Path, name: str
) -> None:
    folder = shared / "data" / "300w" / "lfpw" / "testset"
    points = sorted(folder.glob("*.pts"))[0]
    true = np.array(
        [line.split() for line in points.read_text().splitlines()[3:71]], dtype=np.float64
    )
    image = cv2.imread(str(next(p for p in folder.glob(f"{points.stem}.*") if p != points)))
    assert image is not None
    model = tmp_path / "network.onnx"
    model.write_bytes(shipped_model(name))
    check(program, model, image, geometry.landmarks_box(true - 1))
