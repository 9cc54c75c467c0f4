"""Costs counted in an ONNX file, against closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.pfld.onnx_cost import onnx_cost
from landmark_kd.evaluation.cost import network_cost
from landmark_kd.landmarks.scheme import IBUG_68
from tests.support.constant_model import constant_model
from tests.support.exported_model import exported_model, tiny_network
from tests.support.fake_pfld import fake_pfld
from tests.support.prepared_faces import real_shapes


def model(nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]], out: list) -> bytes:
    real = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("in", real, ["n", 4, 8, 6])],
        [helper.make_tensor_value_info("out", real, ["n", *out])],
        [numpy_helper.from_array(np.ones(s, np.float32), name) for name, s in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return bytes(made.SerializeToString())


def test_a_convolution_and_a_matrix_product_are_counted(tmp_path: Path) -> None:
    content = fake_pfld(tmp_path / "pfld.onnx").read_bytes()
    cost = onnx_cost(content)
    assert cost.parameters == 4 * 3 * 9 + 4 + 136 * 4 + 136
    assert cost.macs == 55 * 55 * 4 * 3 * 9 + 136 * 4
    assert cost.bytes == len(content)


def test_groups_strides_transposed_and_running_statistics(tmp_path: Path) -> None:
    node = helper.make_node
    content = model(
        [
            node("Conv", ["in", "depthwise"], ["a"], group=4, strides=[2, 2], pads=[1, 1, 1, 1]),
            node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"]),
            node("ConvTranspose", ["b", "up"], ["c"], strides=[2, 2]),
            node("MatMul", ["c", "right"], ["out"]),
        ],
        {
            "depthwise": (4, 1, 3, 3),
            **dict.fromkeys(("scale", "shift", "mean", "var"), (4,)),
            "up": (4, 5, 2, 2),
            "right": (6, 7),
        },
        [5, 8, 7],
    )
    cost = onnx_cost(content)
    assert cost.parameters == 4 * 9 + 2 * 4 + 4 * 5 * 4 + 6 * 7
    depthwise = 4 * (4 * 3) * 9
    up = (4 * 4 * 3) * 5 * 4
    assert cost.macs == depthwise + up + 5 * 8 * 7 * 6


@pytest.mark.seconds
def test_an_exported_network_costs_what_torch_counts(tmp_path: Path) -> None:
    path, net = exported_model(tmp_path), tiny_network()
    cost, counted = onnx_cost(path.read_bytes()), network_cost(net)
    assert cost.macs == counted["macs"]
    assert cost.bytes == path.stat().st_size
    # BatchNorm's scales are folded into the convolutions, and a constant that stands twice in the
    # network stands once in the file.
    sigma = sum(v.numel() for v in net.uncertainty.buffers())  # set by no training, but in the file
    assert 0.95 * counted["parameters"] < cost.parameters - sigma < counted["parameters"]


def test_a_network_without_such_operations_costs_nothing(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "model.onnx", real_shapes(1)[0], IBUG_68)
    cost = onnx_cost(path.read_bytes())
    assert (cost.parameters, cost.macs) == (0, 0)


def test_arithmetic_that_is_not_known_is_not_passed_over() -> None:
    content = model(
        [helper.make_node("Einsum", ["in", "right"], ["out"], equation="nchw,wv->nchv")],
        {"right": (6, 7)},
        [4, 8, 7],
    )
    with pytest.raises(ValueError, match="Einsum is not counted"):
        onnx_cost(content)
