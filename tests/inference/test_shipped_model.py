"""The networks that come with the package: that they are there, what they are, when used."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.pfld.onnx_cost import onnx_cost
from landmark_kd import __version__
from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.registry import DATASETS
from landmark_kd.demo.runtime import PAGE
from landmark_kd.imaging.images import read_image
from landmark_kd.inference import shipped
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.shipped import shipped_model, shipped_names
from landmark_kd.landmarks.scheme import IBUG_68
from tests.conftest import PROJECT
from tests.support.command import run, run_apart
from tests.support.constant_model import constant_model
from tests.support.prepared_faces import real_shapes
from tests.support.raw_faces import write_300w

pytestmark = pytest.mark.seconds

SHIPPED = f"accurate, shipped with landmark-kd {__version__}"
LARGEST_FILE = 10_000_000
MOST_PARAMETERS, MOST_MACS = 2_500_000, 300_000_000


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    cv2.imwrite(str(path), noise)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model where a project's own one lies, in the folder that a command is run in."""
    path = tmp_path / "models" / "landmarks.onnx"
    path.parent.mkdir()
    return constant_model(path, real_shapes(1)[0], IBUG_68)


@pytest.mark.parametrize("name", shipped_names())
def test_each_is_as_small_as_was_promised(name: str) -> None:
    cost = onnx_cost(shipped_model(name))
    assert cost.bytes <= LARGEST_FILE
    assert cost.parameters <= MOST_PARAMETERS
    assert cost.macs <= MOST_MACS


@pytest.mark.parametrize("name", shipped_names())
def test_each_says_what_it_was_trained_on_and_under_which_terms(name: str) -> None:
    info = LandmarkDetector.load(name).info
    assert info.dataset == "300w"
    # All that it learnt from.
    assert info.licence.startswith(DATASETS["300w"].licence)
    assert "AFLW2000-3D" in info.licence
    assert info.point_names == IBUG_68.names


def test_it_gives_landmarks_in_the_box(photo: Path) -> None:
    box = np.array([40.0, 30.0, 110.0, 100.0])
    (face,) = LandmarkDetector.load().detect(read_image(photo), box[None])
    assert face.landmarks.shape == (68, 2)
    # Whatever it takes the noise for, its points stay about the crop.
    assert (np.abs(face.landmarks - [75, 65]) < 150).all()


def test_none_is_the_accurate_one() -> None:
    detector = LandmarkDetector.load()
    assert detector.source == LandmarkDetector.load("accurate").source == SHIPPED
    assert "accurate" in shipped_names()


def test_names_are_the_files_of_assets_whatever_the_working_folder_holds(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    for name in ("accurate", "quick"):
        shutil.copy(own, assets / f"{name}.onnx")
    shutil.copy(own, tmp_path / "slow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    assert shipped_names() == ["accurate", "quick"]
    assert LandmarkDetector.load("quick").source == f"quick, shipped with landmark-kd {__version__}"
    with pytest.raises(
        UserError, match=r"no network named 'slow'; give one of accurate, quick, or"
    ):
        LandmarkDetector.load("slow")
    # With a separator, or as a path, it is the file.
    for file in (os.path.join(os.curdir, "slow"), Path("slow"), str(tmp_path / "slow")):
        assert LandmarkDetector.load(file).source == str(Path(file))
    shutil.move(tmp_path / "slow", tmp_path / "slow.onnx")
    assert LandmarkDetector.load("slow.onnx").source == "slow.onnx"


def test_an_unknown_name_is_one_message_with_the_names(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", photo, "--out", tmp_path / "out", "--model", "acurate") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: there is no network named 'acurate'; give one of accurate")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_named_one_is_copied_by_its_name(tmp_path: Path) -> None:
    copy = pickle.loads(pickle.dumps(LandmarkDetector.load("accurate")))
    assert copy.source == SHIPPED


def test_threads_do_not_change_what_it_finds(photo: Path) -> None:
    image, boxes = read_image(photo), np.array([[40.0, 30.0, 110.0, 100.0]])
    one, two = (LandmarkDetector.load(threads=n).detect(image, boxes)[0] for n in (1, 2))
    np.testing.assert_allclose(one.landmarks, two.landmarks, atol=1e-3)


def test_predict_takes_it_whatever_lies_in_models_and_says_so(
    photo: Path, own: Path, tmp_path: Path
) -> None:
    arguments = ["predict", photo, "--boxes", "40,30,110,100"]
    ended = run_apart(*arguments, "--out", tmp_path / "out", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    model, licence, _ = ended.stdout.splitlines()
    assert model == f"model: {SHIPPED} (--model takes another)"
    assert licence == f"licence: {LandmarkDetector.load().info.licence}"
    found = json.loads((tmp_path / "out/a.json").read_text())
    assert found["model"] == SHIPPED

    named = own.relative_to(tmp_path)
    ended = run_apart(*arguments, "--out", tmp_path / "mine", "--model", named, cwd=tmp_path)
    assert ended.stdout.splitlines()[0] == f"model: {named}"
    mine = json.loads((tmp_path / "mine/a.json").read_text())
    assert mine["model"] == str(named)
    assert mine["faces"][0]["landmarks"] != found["faces"][0]["landmarks"]


def test_evaluate_takes_it_whatever_lies_in_models_and_says_so(own: Path, tmp_path: Path) -> None:
    folder, written = write_300w(tmp_path / "300w"), tmp_path / "scores.json"
    ended = run_apart("evaluate", folder, "--json", written, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"model: {SHIPPED} (--model takes another)\n")
    assert json.loads(written.read_text())["model"] == SHIPPED


def test_an_installation_without_it_says_so_in_a_sentence(
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shipped, "shipped_names", lambda: [])
    with pytest.raises(UserError, match="comes with landmark-kd is missing"):
        LandmarkDetector.load()
    assert run("predict", photo, "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: the network that comes with landmark-kd is missing: there is no")
    assert "install the package again" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and source distribution, built without a network from a copy."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "dist"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "src"):
        path = PROJECT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("*.egg-info"))
        else:
            shutil.copy(path, source / name)
    # setuptools changes sys.argv.
    build = (
        "import sys; from setuptools import build_meta; out = sys.argv[1]; "
        "build_meta.build_sdist(out); build_meta.build_wheel(out)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", build, str(out)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return out


def test_wheel_and_source_distribution_hold_it(distributions: Path) -> None:
    (wheel,), (source,) = (list(distributions.glob(name)) for name in ("*.whl", "*.tar.gz"))
    with zipfile.ZipFile(wheel) as packed:
        assert packed.read("landmark_kd/assets/accurate.onnx") == shipped_model()
        page = {name for name in packed.namelist() if "/demo/page/" in name}
        assert {f"landmark_kd/demo/page/{file.name}" for file in PAGE.glob("[!.]*")} == page
    with tarfile.open(source) as packed_source:
        names = packed_source.getnames()
    assert any(name.endswith("src/landmark_kd/assets/accurate.onnx") for name in names)


def test_an_installed_wheel_predicts_with_it_far_from_the_project(
    distributions: Path, photo: Path, tmp_path: Path
) -> None:
    (wheel,) = distributions.glob("*.whl")
    # What pip does with a wheel of pure Python.
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
    code = "import sys, landmark_kd.cli.main as cli; print(cli.__file__); cli.main(sys.argv[1:])"
    ended = subprocess.run(
        [sys.executable, "-c", code, "predict", str(photo), "--out", str(tmp_path / "out")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    used, model, *_ = ended.stdout.splitlines()
    assert Path(used).is_relative_to(tmp_path / "site")
    assert model.startswith(f"model: {SHIPPED}")
