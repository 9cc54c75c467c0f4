"""TensorFlow Lite (LiteRT) float32, by onnx2tf; one face at a time, input (1, S, S, 3)."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from landmark_kd.export.graph import for_one_face
from landmark_kd.export.runs import Outputs, Run, one_by_one
from landmark_kd.inference.metadata import INPUT_NAME, OUTPUT_NAME, SIGMA_NAME


def write_tflite(model: ModelProto, path: Path) -> None:
    """Write a network as a .tflite file with the signature serving_default."""
    import onnx2tf

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "network.onnx"
        onnx.save(for_one_face(model), source)
        # It reports each of its steps.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            onnx2tf.convert(
                input_onnx_file_path=str(source),
                output_folder_path=folder,
                non_verbose=True,
                verbosity="error",
            )
        path.write_bytes((Path(folder) / "network_float32.tflite").read_bytes())


def open_tflite(path: Path) -> Run:
    """Open such a file with LiteRT, one thread."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path), num_threads=1).get_signature_runner()

    def run(inputs: np.ndarray) -> Outputs:
        found = runner(**{INPUT_NAME: np.ascontiguousarray(inputs.transpose(0, 2, 3, 1))})
        return Outputs(found[OUTPUT_NAME], found.get(SIGMA_NAME))

    return one_by_one(run)
