"""Files whose content would come from other files are refused: they could read any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces
from landmark_kd.data.datasets.cofw import COFW
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.landmarks.scheme import IBUG_68
from tests.support.constant_model import constant_model
from tests.support.poison import poisons
from tests.support.prepared_faces import real_shapes
from tests.support.raw_cofw_wflw import write_cofw

SIZE = (20, 16)
SECRET = bytes(range(256)) * 16


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """An HDF5 file with what a COFW file could ask for."""
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as content:
        content["image"] = np.full((16, 20), 7, np.uint8)
        content["phisTr"] = np.ones((87, 3))
    return path


def _external_image(content: h5py.File, secret: Path, other: Path) -> h5py.Dataset:
    return content["#refs#"].create_dataset(
        "x", (16, 20), dtype="u1", external=[(str(secret), 0, 320)]
    )


def _virtual_image(content: h5py.File, secret: Path, other: Path) -> h5py.Dataset:
    layout = h5py.VirtualLayout((16, 20), "u1")
    layout[:] = h5py.VirtualSource(str(other), "image", (16, 20))
    return content["#refs#"].create_virtual_dataset("x", layout)


def _no_image(content: h5py.File, secret: Path, other: Path) -> h5py.Dataset:
    return content["phisTr"]


def _group(content: h5py.File, secret: Path, other: Path) -> h5py.Group:
    return content["#refs#"]


def _endless_image(content: h5py.File, secret: Path, other: Path) -> h5py.Dataset:
    return content["#refs#"].create_dataset(
        "x", (3, 100_000, 100_000), dtype="u1", chunks=(1, 1000, 1000)
    )


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        (_external_image, "leads to another place or file"),
        (_virtual_image, "leads to another place or file"),
        (_no_image, "is float64 of shape (87, 3)"),
        (_group, "its reference leads to something else"),
        (_endless_image, "is uint8 of shape (3, 100000, 100000), larger than anything in COFW"),
    ],
)
def test_a_cofw_image_that_is_none_of_the_file_is_left_out(
    tmp_path: Path, secret: Path, other: Path, stored: Callable[..., h5py.Group], sentence: str
) -> None:
    folder = write_cofw(tmp_path / "cofw", 3, 2, SIZE)
    with h5py.File(folder / "COFW_train_color.mat", "r+") as content:
        content["IsTr"][0, 1] = stored(content, secret, other).ref
    bad = BadFaces("skip")
    records = list(COFW.read(folder, bad))
    assert [record.name for record in records] == ["train/1", "train/3", "test/1", "test/2"]
    ((_, said),) = bad.left_out
    assert said.startswith(f"image 2 of {folder / 'COFW_train_color.mat'} ")
    assert sentence in said


def test_a_cofw_image_that_is_swapped_after_the_check_is_not_read(
    tmp_path: Path, secret: Path, other: Path
) -> None:
    folder = write_cofw(tmp_path / "cofw", 3, 2, SIZE)
    record = next(iter(COFW.read(folder, BadFaces("error"))))
    with h5py.File(folder / "COFW_train_color.mat", "r+") as content:
        content["IsTr"][0, 0] = _external_image(content, secret, other).ref
    with pytest.raises(UserError, match="leads to another place or file"):
        record.image.read()


def _external_link(content: h5py.File, secret: Path, other: Path) -> None:
    del content["phisTr"]
    content["phisTr"] = h5py.ExternalLink(str(other), "phisTr")


def _soft_link(content: h5py.File, secret: Path, other: Path) -> None:
    content.move("phisTr", "elsewhere")
    content["phisTr"] = h5py.SoftLink("/elsewhere")


def _external_numbers(content: h5py.File, secret: Path, other: Path) -> None:
    del content["phisTr"]
    content.create_dataset("phisTr", (87, 3), dtype="f8", external=[(str(secret), 0, 87 * 24)])


def _external_references(content: h5py.File, secret: Path, other: Path) -> None:
    del content["IsTr"]
    content.create_dataset("IsTr", (1, 3), dtype=h5py.ref_dtype, external=[(str(secret), 0, 24)])


def _endless_numbers(content: h5py.File, secret: Path, other: Path) -> None:
    del content["phisTr"]
    content.create_dataset("phisTr", (87, 10**9), dtype="f8", chunks=(87, 1000))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_external_link, "phisTr leads to another place or file"),
        (_soft_link, "phisTr leads to another place or file"),
        (_external_numbers, "leads to another place or file"),
        (_external_references, "leads to another place or file"),
        (_endless_numbers, "larger than anything in COFW"),
    ],
)
def test_a_cofw_variable_that_is_none_of_the_file_is_refused(
    tmp_path: Path, secret: Path, other: Path, change: Callable[..., None], sentence: str
) -> None:
    folder = write_cofw(tmp_path / "cofw", 3, 2, SIZE)
    with h5py.File(folder / "COFW_train_color.mat", "r+") as content:
        change(content, secret, other)
    with pytest.raises(UserError) as caught:
        list(COFW.read(folder, BadFaces("skip")))
    assert str(folder / "COFW_train_color.mat") in str(caught.value)
    assert sentence in str(caught.value)


def _model_with_weights_in(folder: Path, location: str) -> Path:
    """Write a network whose predicted shape lies in another file."""
    path = constant_model(folder / "landmarks.onnx", real_shapes(1)[0], IBUG_68)
    model = onnx.load(path)
    (weights,) = [w for w in model.graph.initializer if w.name == "shape"]
    values = numpy_helper.to_array(weights)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", location
    path.write_bytes(model.SerializeToString())
    assert values.nbytes < len(SECRET)
    return path


@pytest.mark.parametrize("location", ["../secret", "a/../../secret", "{absolute}", "link"])
def test_an_onnx_file_reads_no_file_outside_of_its_folder(
    tmp_path: Path, secret: Path, location: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to(secret)
    path = _model_with_weights_in(folder, location.format(absolute=secret))
    with pytest.raises(UserError, match="is not an ONNX file that onnxruntime can read"):
        LandmarkDetector.load(path)


def test_an_onnx_file_may_have_its_weights_beside_it(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(SECRET)
    assert LandmarkDetector.load(_model_with_weights_in(tmp_path, "weights")).info.points == 68


def test_an_onnx_file_that_is_a_pickle_is_not_unpickled(tmp_path: Path) -> None:
    path, mark = tmp_path / "landmarks.onnx", tmp_path / "it-ran"
    for content in poisons(mark).values():
        path.write_bytes(content)
        with pytest.raises(UserError, match="is not an ONNX file that onnxruntime can read"):
            LandmarkDetector.load(path)
    assert not mark.exists()
