"""ONNX files of others are refused in a sentence, whatever their network does when it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from landmark_kd.core.errors import UserError
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.metadata import INPUT_NAME, OUTPUT_NAME
from landmark_kd.landmarks.scheme import IBUG_68
from tests.support.command import run
from tests.support.constant_model import constant_model
from tests.support.prepared_faces import real_shapes

pytestmark = pytest.mark.seconds

IMAGE = np.zeros((80, 80, 3), np.uint8)
BOXES = np.array([[10.0, 10, 60, 60], [20.0, 20, 70, 70]])


def forged(folder: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    """Write a network of ours after a change of its graph, which nothing has checked."""
    path = constant_model(folder / "landmarks.onnx", real_shapes(1)[0], IBUG_68)
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def _end_with(model: onnx.ModelProto, *nodes: onnx.NodeProto, **constants: np.ndarray) -> None:
    """Let the last node's result be called `points`, from which `nodes` make the output."""
    model.graph.node[-1].output[0] = "points"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())


def _custom_operator(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx.contrib", 1))
    node = helper.make_node("PyOp", ["points"], [OUTPUT_NAME], domain="ai.onnx.contrib")
    _end_with(model, node)


def _unknown_operator(model: onnx.ModelProto) -> None:
    _end_with(model, helper.make_node("System", ["points"], [OUTPUT_NAME]))


def _newer_than_all(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 10_000


def _endless_loop_of_nodes(model: onnx.ModelProto) -> None:
    _end_with(
        model,
        helper.make_node("Add", ["points", "b"], ["a"]),
        helper.make_node("Add", ["a", "a"], ["b"]),
        helper.make_node("Identity", ["b"], [OUTPUT_NAME]),
    )


def _no_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "something"
    model.graph.node[0].input[0] = "something"


def _text_for_numbers(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.STRING


def _external(**entries: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        (weights,) = [w for w in model.graph.initializer if w.name == "shape"]
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            entry = weights.external_data.add()
            entry.key, entry.value = key, value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _custom_operator,
        _unknown_operator,
        _newer_than_all,
        _endless_loop_of_nodes,
        _no_input,
        _text_for_numbers,
        _external(),
        _external(location=""),
        _external(location="."),
        _external(location="landmarks.onnx", offset="-8"),
        _external(location="landmarks.onnx", offset="9" * 30),
        _external(location="landmarks.onnx", length="9" * 18),
        _external(location="landmarks.onnx", offset="no number"),
        _external(location="a" * 5000),
    ],
)
def test_a_network_that_is_none_of_onnx_is_refused_when_it_is_loaded(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    path = forged(tmp_path, change)
    with pytest.raises(UserError) as caught:
        LandmarkDetector.load(path)
    assert str(path) in str(caught.value)


def _times(factor: float) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        node = helper.make_node("Mul", ["points", "factor"], [OUTPUT_NAME])
        _end_with(model, node, factor=np.array(factor, np.float32))

    return change


def _first_face_only(model: onnx.ModelProto) -> None:
    node = helper.make_node("Slice", ["points", "zero_", "one_"], [OUTPUT_NAME])
    _end_with(model, node, zero_=np.array([0], np.int64), one_=np.array([1], np.int64))


def _shape_that_cannot_be(model: onnx.ModelProto) -> None:
    _end_with(
        model,
        helper.make_node("Shape", ["points"], ["is"]),
        helper.make_node("Mul", ["is", "seven"], ["wanted"]),
        helper.make_node("Reshape", ["points", "wanted"], [OUTPUT_NAME]),
        seven=np.array(7, np.int64),
    )


def _index_beyond(model: onnx.ModelProto) -> None:
    _end_with(
        model,
        helper.make_node("Shape", [INPUT_NAME], ["input_shape"]),
        helper.make_node("ReduceMax", ["input_shape"], ["side"], keepdims=1),
        helper.make_node("Mul", ["side", "many"], ["beyond"]),
        helper.make_node("Gather", ["points", "beyond"], [OUTPUT_NAME]),
        many=np.array(10**9, np.int64),
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_times(float("nan")), "gives landmarks that are not near the crop"),
        (_times(float("inf")), "gives landmarks that are not near the crop"),
        (_times(1e30), "gives landmarks that are not near the crop"),
        (_first_face_only, "gives (1, 68, 2) numbers for 2 faces"),
        (_shape_that_cannot_be, "cannot be run"),
        (_index_beyond, "cannot be run"),
    ],
)
def test_a_network_that_fails_or_gives_no_landmarks_is_refused_when_it_runs(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None], sentence: str
) -> None:
    path = forged(tmp_path, change)
    detector = LandmarkDetector.load(path)
    with pytest.raises(UserError) as caught:
        detector.detect(IMAGE, BOXES)
    assert str(caught.value).startswith(f"{path} {sentence}")


@pytest.mark.parametrize("factor", [float("nan"), 1e30, -1000.0])
def test_the_command_writes_nothing_or_all_for_points_that_lie_anywhere(
    tmp_path: Path, factor: float, capsys: pytest.CaptureFixture[str]
) -> None:
    path, photo, out = forged(tmp_path, _times(factor)), tmp_path / "a.png", tmp_path / "out"
    cv2.imwrite(str(photo), IMAGE)
    status = run("predict", photo, "--model", path, "--out", out, "--boxes", "10,10,60,60")
    said = capsys.readouterr().err
    if factor == -1000.0:
        assert status == 0
        assert len(json.loads((out / "a.json").read_text())["faces"]) == 1
        return
    assert (status, said.count("\n")) == (1, 1)
    assert said.startswith(f"error: {path} gives landmarks")
    assert not out.exists()


def _more_than_there_is(model: onnx.ModelProto) -> None:
    """Four terabytes of ones, by a shape that is known only when the network runs."""
    _end_with(
        model,
        helper.make_node("Shape", [INPUT_NAME], ["input_shape"]),
        helper.make_node("ReduceMax", ["input_shape"], ["side"], keepdims=1),
        helper.make_node("Mul", ["side", "many"], ["length"]),
        helper.make_node("ConstantOfShape", ["length"], ["ones"]),
        helper.make_node("ReduceMax", ["ones"], ["one"], keepdims=0),
        helper.make_node("Mul", ["points", "one"], [OUTPUT_NAME]),
        many=np.array([10**12 // 64], np.int64),
    )


def test_a_network_that_needs_more_memory_than_there_is_ends_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, photo = forged(tmp_path, _more_than_there_is), tmp_path / "a.png"
    cv2.imwrite(str(photo), IMAGE)
    out = tmp_path / "out"
    assert run("predict", photo, "--model", path, "--out", out, "--boxes", "10,10,60,60") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: the memory of the computer or GPU is too small")
    assert said.count("\n") == 1
    assert not out.exists()
