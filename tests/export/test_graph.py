"""Graphs of exported networks: which part is convolutional, and what is made of them for phones."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from landmark_kd.export.graph import (
    behind_maps,
    convolutional,
    for_one_face,
    in_two_passes,
    metadata,
    precisions,
)
from landmark_kd.export.runs import Outputs, one_by_one, open_onnx
from landmark_kd.landmarks.scheme import IBUG_68
from tests.support.exported_model import SIZE, exported_model

pytestmark = pytest.mark.seconds

INPUTS = np.random.default_rng(0).normal(size=(3, 3, SIZE, SIZE)).astype(np.float32)


@pytest.fixture(scope="module", params=[None, tuple(IBUG_68.flip.tolist())], ids=["one", "both"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelProto:
    return onnx.load(exported_model(tmp_path_factory.mktemp("model"), request.param))


def outputs(model: ModelProto) -> Outputs:
    return one_by_one(open_onnx(model.SerializeToString()))(INPUTS)


def test_softmax_positions_mirror_and_sigma_are_behind_the_maps(model: ModelProto) -> None:
    maps, behind = convolutional(model.graph), behind_maps(model.graph)
    assert {"Conv", "Clip", "Resize", "Add"} <= {node.op_type for node in maps}
    assert {node.op_type for node in maps} <= {"Conv", "Clip", "Relu", "Resize", "Add"}
    assert {"Softmax", "MatMul", "Exp", "Gemm"} <= {node.op_type for node in behind}
    assert not {"Conv", "Clip"} & {node.op_type for node in behind}
    # The mean over the mirror image and the grid of positions have an Add of their own.
    assert all(
        "conv" in n.name or "block" in n.name or "fusion" in n.name
        for n in maps
        if n.op_type == "Add"
    )


@pytest.mark.parametrize("make", [for_one_face, lambda m: in_two_passes(for_one_face(m))])
def test_the_network_for_one_face_gives_what_the_file_gives(
    model: ModelProto, make: object
) -> None:
    assert callable(make)
    made: ModelProto = make(model)
    assert [value.type.tensor_type.shape.dim[0].dim_value for value in made.graph.input] == [1]
    assert "Shape" not in {node.op_type for node in made.graph.node}, "all shapes are known"
    found, expected = outputs(made), outputs(model)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=1e-5)
    assert found.sigma is not None
    assert expected.sigma is not None
    np.testing.assert_allclose(found.sigma, expected.sigma, rtol=1e-4)


def test_two_passes_need_no_batch(model: ModelProto) -> None:
    made = onnx.shape_inference.infer_shapes(in_two_passes(for_one_face(model)))
    kinds = {node.op_type for node in made.graph.node}
    assert not {"Concat", "Split", "Gather"} & kinds
    first = {
        v.type.tensor_type.shape.dim[0].dim_value
        for v in made.graph.value_info
        if v.type.tensor_type.shape.dim
    }
    assert 2 not in first
    # Both passes name the same weights.
    assert len(made.SerializeToString()) < 1.1 * len(model.SerializeToString())


def test_what_a_file_says_of_itself_and_computes_in(model: ModelProto) -> None:
    assert metadata(model)["points"] == "68"
    assert precisions(model.graph) == set()
