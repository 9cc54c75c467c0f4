"""An ONNX file that predicts one shape, wherever it looks: its errors are known in advance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from landmark_kd.inference.metadata import INPUT_NAME, OUTPUT_NAME, ModelInfo
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import LandmarkScheme

SIZE = 32
MARGIN = 0.5


def constant_model(path: Path, shape: np.ndarray, scheme: LandmarkScheme, **info: Any) -> Path:
    """Write a network that puts `shape` (K, 2) into each box, as it lies in its own.

    Given the landmarks' box of a face that is `shape`, moved or scaled, it makes no error.

    Args:
        info: replaces values of the file's `ModelInfo`.
    """
    to_crop = geometry.square_crop(geometry.landmarks_box(shape), MARGIN, SIZE)
    output = geometry.to_network(geometry.apply(to_crop, shape), SIZE).astype(np.float32)
    nodes = [
        # One zero a face of the batch.
        helper.make_node("ReduceMean", [INPUT_NAME], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Squeeze", ["nothing"], ["rows"], axes=[3]),
        helper.make_node("Add", ["rows", "shape"], [OUTPUT_NAME]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["n", len(shape), 2])],
        [
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
            numpy_helper.from_array(output[None], "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    values: dict[str, Any] = {
        "dataset": "constant",
        "licence": "none",
        "backbone": "constant",
        "points": scheme.points,
        "input_size": SIZE,
        "mean": (0, 0, 0),
        "std": (255, 255, 255),
        "colour_order": "RGB",
        "margin": MARGIN,
        "box": "landmarks",
        "box_in_haar": None,
        "point_names": scheme.names,
        "flip": tuple(scheme.flip.tolist()),
        "contours": scheme.contours,
    }
    for key, text in ModelInfo(**{**values, **info}).to_metadata().items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text
    onnx.save(model, path)
    return path
