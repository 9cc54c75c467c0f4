"""Reads PFLD, the reference that the student is compared with, in the format of our own files.

Guo et al., "PFLD: A Practical Facial Landmark Detector" (2019, arXiv 1902.10859). The file takes
BGR / 255 of a square crop of 1.1 times the landmarks' box, 112 px, and gives x, y in [0, 1] of
the crop. Both conventions are written into the network itself, at no cost: the first
convolution's channels in the order RGB, and 0.5 less in the last layer's bias. So the reference
runs through exactly the code that the student runs through: cropping, prediction, measuring and
timing.

Three in five of its weights are below float32's normal numbers: they move no landmark, and on some
processors each takes many times the time of another number. They are zeros here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from landmark_kd.core.errors import UserError
from landmark_kd.inference.metadata import INPUT_NAME, OUTPUT_NAME, ModelInfo
from landmark_kd.landmarks.scheme import IBUG_68

SIZE = 112
# The crop's side is 1.1 times the box's longer side, as its authors' demo has it.
MARGIN = 0.1
# Weights smaller than this are zeros: float32's normal numbers end at 1e-38.
SPECK = 1e-30

INFO = ModelInfo(
    dataset="300-W and more (its authors)",
    licence="Its authors': PFLD is no part of landmark-kd.",
    backbone="PFLD",
    points=IBUG_68.points,
    input_size=SIZE,
    mean=(0.0, 0.0, 0.0),
    std=(255.0, 255.0, 255.0),
    colour_order="RGB",
    margin=MARGIN,
    box="landmarks",
    box_in_haar=None,
    point_names=IBUG_68.names,
    flip=tuple(IBUG_68.flip.tolist()),
    contours=IBUG_68.contours,
)


def pfld_as_ours(path: Path) -> bytes:
    """Read PFLD's ONNX file and return it in the format of the `export` stage.

    Its [0, 1] runs from the crop's outer edge to the other one, so that x becomes x · 112 − 0.5
    in pixels whose centres are at integers (reports/references/README.md has the other readings).

    Raises:
        UserError: there is no such file, it is not an ONNX file, or not PFLD of 68 landmarks.
    """
    if not path.is_file():
        raise UserError(
            f"PFLD's ONNX file {path} is missing; it is no part of this project: name the file "
            "with --pfld PATH."
        )
    try:
        model = onnx.load_from_string(path.read_bytes())
    except Exception as error:  # protobuf's, which onnx does not name
        raise UserError(
            f"{path} is not an ONNX file ({error}); name another with --pfld."
        ) from None
    if not _is_pfld(model):
        raise UserError(
            f"{path} is not PFLD of {IBUG_68.points} landmarks: a convolution of a 3 x {SIZE} x "
            f"{SIZE} input, and a matrix product of {2 * IBUG_68.points} outputs at the end were "
            "expected; name another file with --pfld."
        )
    graph = model.graph
    for weights in graph.initializer:
        if weights.data_type == TensorProto.FLOAT:
            _change(graph, weights.name, _without_specks)
    first, last = graph.node[0], graph.node[-1]
    _change(graph, first.input[1], lambda weights: weights[:, ::-1])
    _change(graph, last.input[2], lambda bias: bias - 0.5)

    first.input[0] = INPUT_NAME
    graph.initializer.append(
        numpy_helper.from_array(np.array([-1, IBUG_68.points, 2]), "landmarks_shape")
    )
    last.output[0] = "coordinates"
    graph.node.append(
        helper.make_node("Reshape", ["coordinates", "landmarks_shape"], [OUTPUT_NAME])
    )
    given = helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
    made = helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["n", IBUG_68.points, 2])
    for values, value in ((graph.input, given), (graph.output, made)):
        del values[:]
        values.append(value)
    helper.set_model_props(model, INFO.to_metadata())
    return bytes(model.SerializeToString())


def _is_pfld(model: onnx.ModelProto) -> bool:
    graph = model.graph
    shapes = {w.name: tuple(w.dims) for w in graph.initializer}
    inputs = [value for value in graph.input if value.name not in shapes]
    if len(inputs) != 1 or len(graph.output) != 1 or not graph.node:
        return False
    (given,), first, last = inputs, graph.node[0], graph.node[-1]
    size = [dim.dim_value for dim in given.type.tensor_type.shape.dim[1:]]
    users = [node for node in graph.node if given.name in node.input]
    return (
        size == [3, SIZE, SIZE]
        and users == [first]
        and first.op_type == "Conv"
        and shapes.get(first.input[1], ())[1:2] == (3,)
        and last.op_type == "Gemm"
        and list(last.output) == [graph.output[0].name]
        and len(last.input) == 3
        and shapes.get(last.input[2]) == (2 * IBUG_68.points,)
    )


def _without_specks(weights: np.ndarray) -> np.ndarray:
    """Return weights with zeros for those that are, or whose products would be, subnormal."""
    return np.where(np.abs(weights) < SPECK, np.float32(0), weights)


def _change(graph: onnx.GraphProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    (weights,) = [w for w in graph.initializer if w.name == name]
    values = np.ascontiguousarray(change(numpy_helper.to_array(weights)))
    weights.CopyFrom(numpy_helper.from_array(values, name))
