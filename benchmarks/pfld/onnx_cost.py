"""Counts what an ONNX file costs: parameters, multiply-adds and bytes, whoever wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
import onnxruntime

# Which inputs of a node are parameters; BatchNormalization's running statistics are not.
PARAMETERS = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (1,),
    "BatchNormalization": (1, 2),
    "PRelu": (1,),
}
MULTIPLYING = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# These would have to be counted, too, but no network here has them.
NOT_COUNTED = ("Einsum", "LSTM", "GRU", "RNN", "Attention", "ConvInteger", "MatMulInteger")


@dataclass(frozen=True)
class OnnxCost:
    """Costs of a network in an ONNX file.

    Attributes:
        parameters: numbers of convolutions, matrix products and normalisations that training set.
            Where a BatchNorm was folded into its convolution, its scales are no longer there.
        macs: multiply-adds for one face in convolutions and matrix products, as
            `cost.network_cost` counts them.
        bytes: size of the file.
    """

    parameters: int
    macs: int
    bytes: int


def onnx_cost(content: bytes) -> OnnxCost:
    """Count the costs of one face through a network with one input (N, …) of a known size.

    Raises:
        ValueError: the network has operations whose arithmetic is not counted here.
    """
    model = onnx.load_from_string(content)
    unknown = {node.op_type for node in model.graph.node} & set(NOT_COUNTED)
    if unknown:
        raise ValueError(f"the arithmetic of {', '.join(sorted(unknown))} is not counted")
    constants = {w.name: tuple(w.dims) for w in model.graph.initializer}
    used = {
        node.input[i]
        for node in model.graph.node
        for i in PARAMETERS.get(node.op_type, ())
        if i < len(node.input) and node.input[i] in constants
    }
    return OnnxCost(
        parameters=sum(prod(constants[name]) for name in used),
        macs=_macs(model, constants),
        bytes=len(content),
    )


def _macs(model: onnx.ModelProto, constants: dict[str, tuple[int, ...]]) -> int:
    nodes = [node for node in model.graph.node if node.op_type in MULTIPLYING]
    names = {name for node in nodes for name in (*node.input[:2], *node.output) if name}
    shapes = {**_shapes(model, sorted(names - set(constants))), **constants}
    macs = 0
    for node in nodes:
        first, second, out = (shapes[name] for name in (*node.input[:2], node.output[0]))
        if node.op_type == "Conv":
            macs += prod(out) * prod(second[1:])
        elif node.op_type == "ConvTranspose":
            macs += prod(first) * prod(second[1:])
        else:
            transposed = {a.name: a.i for a in node.attribute}.get("transA", 0)
            macs += prod(out) * first[0 if transposed else -1]
    return macs


def _shapes(model: onnx.ModelProto, names: list[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of values inside a network, found by running it on one empty image.

    `onnx.shape_inference` does not find all of them: in PFLD's file it loses the shape before the
    last Gemm, in the student's that of a MatMul's second operand.
    """
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    # Older exporters list the weights among the inputs.
    weights = {weight.name for weight in model.graph.initializer}
    (given,) = [value for value in model.graph.input if value.name not in weights]
    already = {value.name for value in (*probed.graph.output, given)}
    probed.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in already
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # A value that was optimised away could not be looked at.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        probed.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    size = [d.dim_value for d in given.type.tensor_type.shape.dim[1:]]
    image = np.zeros((1, *size), np.float32)
    looked_at = [name for name in names if name != given.name]
    values = session.run(looked_at, {given.name: image}) if looked_at else []
    found = {name: value.shape for name, value in zip(looked_at, values, strict=True)}
    return {**found, given.name: image.shape}
