"""Graphs of exported networks: their convolutional part, and the same network for one face."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper

from landmark_kd.inference.metadata import INPUT_NAME

_ACTIVATIONS = ("Clip", "Relu", "LeakyRelu", "HardSwish", "HardSigmoid", "Sigmoid")
_BETWEEN = (*_ACTIVATIONS, "Add", "Mul", "Resize", "MaxPool", "AveragePool", "GlobalAveragePool")


def convolutional(graph: GraphProto) -> list[NodeProto]:
    """Return the nodes that make feature maps of the image, in the order of the graph.

    These are all convolutions, what lies between two of them, and an activation right behind one.
    What makes landmarks and sigma of the last map is not among them (softmax, the mean of
    positions, the mean over the mirror image, the exponential): it is little work, and 8 or 16
    bits are too coarse for it.
    """
    convolutions = {node.name for node in graph.node if node.op_type == "Conv"}
    behind = _reached(graph.node, convolutions)
    before = {node.name for node in _leading_to(graph.node, convolutions)}
    from_conv = {n for node in graph.node if node.name in convolutions for n in node.output}
    return [
        node
        for node in graph.node
        if node.name in convolutions
        or (node.op_type in _BETWEEN and node.name in behind and node.name in before)
        or (node.op_type in _ACTIVATIONS and node.input[0] in from_conv)
    ]


def behind_maps(graph: GraphProto) -> list[NodeProto]:
    """Return the nodes that make landmarks and sigma of the last feature maps."""
    convolutions = {node.name for node in graph.node if node.op_type == "Conv"}
    maps = {node.name for node in convolutional(graph)}
    maps.update(node.name for node in _leading_to(graph.node, convolutions))
    return [node for node in graph.node if node.name not in maps]


def for_one_face(model: ModelProto) -> ModelProto:
    """Return a network that takes one face at a time, with all shapes known and constants folded.

    Converters for phones ask for it: they know little of shapes that are computed as the graph
    runs.
    """
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value in (*fixed.graph.input, *fixed.graph.output):
        value.type.tensor_type.shape.dim[0].Clear()
        value.type.tensor_type.shape.dim[0].dim_value = 1
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # No more than that: further levels make operators that only onnxruntime has.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(
            fixed.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return onnx.load(path)


def in_two_passes(model: ModelProto) -> ModelProto:
    """Return a network of `for_one_face` that runs crop and mirror image apart, not as a batch.

    For ncnn, which has no batches. Both passes name the same weights; a network that does not look
    at the mirror image is returned as it is.
    """
    nodes = list(model.graph.node)
    joined = next((n for n in nodes if n.op_type == "Concat" and INPUT_NAME in n.input), None)
    if joined is None:
        return model
    made_by = {name: node for node in nodes for name in node.output}
    behind = _reached(nodes, {joined.name})
    # What each name stands for behind the two passes: a name within them, and which pass.
    ends: dict[str, tuple[str, int]] = {}
    dropped = {joined.name}
    for node in nodes:
        if node.name not in behind:
            continue
        if node.op_type == "Split":  # of both shapes, stacked by a Reshape
            stacked = made_by[node.input[0]]
            dropped |= {node.name, stacked.name}
            for number, half in enumerate(node.output):
                squeezed = next(n for n in nodes if half in n.input)
                dropped.add(squeezed.name)
                ends[squeezed.output[0]] = (stacked.input[0], number)
        elif node.op_type == "Slice":  # the straight half of a map
            dropped.add(node.name)
            ends[node.output[0]] = (node.input[0], 0)
    inside = {
        node.name: node
        for target, _ in ends.values()
        for node in _leading_to(nodes, {made_by[target].name})
        if node.name in behind and node.name not in dropped
    }
    batched = {name for node in inside.values() for name in node.output}
    constants = {c.name: c for c in model.graph.initializer}
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    del graph.node[:], graph.value_info[:]

    def in_pass(name: str, number: int) -> str:
        if name in joined.output:
            return str(joined.input[number])
        return f"{name}/pass_{number}" if name in batched else name

    graph.node.extend(n for n in nodes if n.name not in behind and n is not joined)
    for number in range(2):
        for node in nodes:
            if node.name not in inside:
                continue
            copied = graph.node.add()
            copied.CopyFrom(node)
            copied.name = f"{node.name}/pass_{number}"
            for place, name in enumerate(node.input):
                copied.input[place] = in_pass(name, number)
            for place, name in enumerate(node.output):
                copied.output[place] = in_pass(name, number)
            if node.op_type == "Resize":  # whose sizes count the faces, too
                sizes = numpy_helper.to_array(constants[node.input[3]]).copy()
                sizes[0] = 1
                copied.input[3] = f"{node.input[3]}/{copied.name}"
                graph.initializer.append(numpy_helper.from_array(sizes, copied.input[3]))
    for node in nodes:
        if node.name in behind and node.name not in inside and node.name not in dropped:
            copied = graph.node.add()
            copied.CopyFrom(node)
            for place, name in enumerate(node.input):
                if name in ends:
                    copied.input[place] = in_pass(*ends[name])
            if node.op_type == "Gather":  # the mirrored points' order, which ncnn misreads
                _as_product(copied, numpy_helper.to_array(constants[node.input[1]]), graph)
    _drop_unused(graph)
    onnx.checker.check_model(result)
    return result


def _as_product(gather: NodeProto, order: np.ndarray, graph: GraphProto) -> None:
    """Let a Gather of rows be the product with a permutation matrix."""
    matrix = np.eye(len(order), dtype=np.float32)[order]
    graph.initializer.append(numpy_helper.from_array(matrix, f"{gather.name}/matrix"))
    points = gather.input[0]
    gather.op_type = "MatMul"
    del gather.input[:], gather.attribute[:]
    gather.input.extend([f"{gather.name}/matrix", points])


def _drop_unused(graph: GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _reached(nodes: Iterable[NodeProto], start: set[str]) -> set[str]:
    """Return the names of nodes that use what the nodes `start` make, directly or not."""
    made: set[str] = set()
    reached = set()
    for node in nodes:  # which are in the order in which they run
        if made.intersection(node.input):
            reached.add(node.name)
        if node.name in start or node.name in reached:
            made.update(node.output)
    return reached


def _leading_to(nodes: Iterable[NodeProto], targets: set[str]) -> list[NodeProto]:
    """Return the nodes `targets` and those whose outputs they need, last first."""
    needed: set[str] = set()
    found = []
    for node in reversed(list(nodes)):
        if node.name in targets or needed.intersection(node.output):
            found.append(node)
            needed.update(node.input)
    return found


def metadata(model: ModelProto) -> dict[str, str]:
    """Return what a file says of itself."""
    return {entry.key: entry.value for entry in model.metadata_props}


def precisions(graph: GraphProto) -> set[str]:
    """Return what a network computes in besides float32: float16, int8 or both."""
    found = set()
    if any(n.op_type in ("QuantizeLinear", "QLinearConv", "ConvInteger") for n in graph.node):
        found.add("int8")
    if any(numpy_helper.to_array(c).dtype == np.float16 for c in graph.initializer):
        found.add("float16")
    return found
