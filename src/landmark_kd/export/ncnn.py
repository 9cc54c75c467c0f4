"""ncnn, by pnnx: weights in float16, one face at a time, input (3, S, S).

ncnn has no batches, so crop and mirror image are two passes of the graph. Its files name the input
in0 and the outputs out0 and out1, in the order of the ONNX file.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from landmark_kd.core.errors import UserError
from landmark_kd.export.graph import for_one_face, in_two_passes
from landmark_kd.export.runs import Outputs, Run, one_by_one

INPUT, LANDMARKS, SIGMA = "in0", "out0", "out1"


def write_ncnn(model: ModelProto, path: Path) -> None:
    """Write a network as `path` (….ncnn.param) and its weights beside it (….ncnn.bin).

    Raises:
        UserError: pnnx fails.
    """
    import pnnx

    size = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(in_two_passes(for_one_face(model)), Path(folder) / "network.onnx")
        done = subprocess.run(
            [pnnx.EXEC_PATH, "network.onnx", f"inputshape=[1,3,{size},{size}]", "fp16=1"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        made = Path(folder) / "network.ncnn.param"
        if done.returncode or not made.is_file():
            *_, last = ["", *(done.stdout + done.stderr).split("\n")]
            raise UserError(f"pnnx cannot turn the network into ncnn's format ({last.strip()}).")
        path.write_bytes(made.read_bytes())
        weights_of(path).write_bytes(weights_of(made).read_bytes())


def weights_of(param: Path) -> Path:
    """Return the path of the weights that belong to a .param file."""
    return param.with_suffix(".bin")


def open_ncnn(path: Path) -> Run:
    """Open such files with ncnn, one thread."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.load_param(str(path))
    net.load_model(str(weights_of(path)))
    outputs = net.output_names()

    def run(inputs: np.ndarray) -> Outputs:
        extractor = net.create_extractor()
        # A Mat does not own the array's memory.
        extractor.input(INPUT, ncnn.Mat(inputs[0]).clone())
        landmarks = np.array(extractor.extract(LANDMARKS)[1])[None]
        if SIGMA not in outputs:
            return Outputs(landmarks, None)
        return Outputs(landmarks, np.array(extractor.extract(SIGMA)[1])[None])

    return one_by_one(run)
