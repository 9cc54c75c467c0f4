"""A file of PFLD's shape with weights that are known: what its output depends on can be said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 112
OUTPUTS = 136


def fake_pfld(path: Path, *, outputs: int = OUTPUTS, size: int = SIZE, seed: int = 0) -> Path:
    """Write a convolution, its mean, and a matrix product: (N, 3, size, size) to (N, outputs).

    Outputs lie about 0.5, in [0, 1] for images in [0, 1], and depend on the channels' order.
    """
    rng = np.random.default_rng(seed)
    weights = {
        "conv": rng.normal(0, 0.2, (4, 3, 3, 3)),
        "conv_bias": rng.normal(0, 0.1, 4),
        "last": rng.normal(0, 0.2, (outputs, 4)),
        "last_bias": rng.uniform(0.3, 0.7, outputs),
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["input", "conv", "conv_bias"], ["maps"], strides=[2, 2]),
        node("GlobalAveragePool", ["maps"], ["pooled"]),
        node("Flatten", ["pooled"], ["features"]),
        node("Gemm", ["features", "last", "last_bias"], ["output"], transB=1),
    ]
    real = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "pfld",
        [helper.make_tensor_value_info("input", real, ["batch_size", 3, size, size])],
        [helper.make_tensor_value_info("output", real, ["batch_size", outputs])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    onnx.save(model, path)
    return path
