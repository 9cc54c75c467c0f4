"""Exports any trained network of this working folder, not only the distilled student.

    python -m tools.export_network models/tough src/landmark_kd/assets/accurate.onnx

The file is compared with torch on the prepared test faces, as the export stage does. The network
that comes with the package was exported so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.core.errors import run_main
from landmark_kd.export.onnx import export_onnx
from landmark_kd.faces.prepared import load_faces
from landmark_kd.models.network import load_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("network", type=Path, help="folder with weights.safetensors")
    parser.add_argument("out", type=Path, help="ONNX file to write")
    arguments = parser.parse_args()
    params = load_params()
    torch.set_num_threads(params.base.threads)
    network = load_network(arguments.network)
    # Teachers may see the faces in a size of their own.
    teacher = arguments.network.name in ("tough", "tolerant")
    faces = load_faces(paths.TEACHER_TEST_FACES if teacher else paths.TEST_FACES)
    print(export_onnx(network, faces, arguments.out, params.export.check_faces))


if __name__ == "__main__":
    run_main(main)
