"""ONNX float16: half the bytes, for GPUs and neural engines; CPUs turn it back as they run it."""

from __future__ import annotations

from onnx import ModelProto

from landmark_kd.export.graph import behind_maps


def to_float16(model: ModelProto) -> ModelProto:
    """Return a network whose convolutional part is in float16; input and outputs stay float32.

    Softmax, the mean of positions and sigma stay float32, since near 0.5 float16 has steps of
    1/2048 of the crop.
    """
    # onnxruntime's own copy is the one that is maintained, onnxconverter-common's is its ancestor.
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copied = ModelProto()
    copied.CopyFrom(model)
    halved = convert_float_to_float16(
        copied,
        keep_io_types=True,
        node_block_list=[node.name for node in behind_maps(model.graph)],
    )
    # It casts a map once for each of its readers, under one name.
    once = {name: node for node in reversed(halved.graph.node) for name in node.output}
    kept = [node for node in halved.graph.node if once[node.output[0]] is node]
    del halved.graph.node[:]
    halved.graph.node.extend(kept)
    return halved
