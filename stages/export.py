"""Write the `kd` student as an ONNX file for use without torch, checked against torch.

Inputs: models/kd, data/faces/test. Outputs: models/landmarks.onnx, reports/export.json.
Parameters: base.threads, export.
"""

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.core.files import write_json
from landmark_kd.export.onnx import export_onnx
from landmark_kd.faces.prepared import load_faces
from landmark_kd.models.device import setup
from landmark_kd.models.network import load_network
from stages import run_stage


def main() -> None:
    params = load_params()
    setup(params.base)
    # On the CPU, where the exported file will run.
    net = load_network(paths.MODELS / "kd")
    faces = load_faces(paths.TEST_FACES)
    report = export_onnx(net, faces, paths.ONNX_MODEL, params.export.check_faces)
    write_json(paths.EXPORT_METRICS, report)
    print(
        f"{paths.ONNX_MODEL}: {report['bytes'] / 1e6:.1f} MB, at most "
        f"{report['max_difference_image_px']:.1g} pixels from torch on "
        f"{report['faces_checked']} test faces"
    )


if __name__ == "__main__":
    run_stage(main)
