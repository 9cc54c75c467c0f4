"""Write the `kd` student as ONNX files for use without torch, checked against torch.

In: models/kd, data/faces/train (crops that int8 measures its ranges on), data/faces/test.
Out: models/landmarks.onnx, models/landmarks_fp16.onnx, models/landmarks_int8.onnx,
reports/export.json; beside them, and of this machine alone, reports/export_times.json.
Params: base.threads, export.
"""

import onnx

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.core.files import write_json
from landmark_kd.export.comparison import Comparison, open_written, risen
from landmark_kd.export.formats import Source, write_formats
from landmark_kd.export.int8 import calibration_rows
from landmark_kd.export.onnx import export_onnx, model_info, open_torch
from landmark_kd.faces.prepared import load_faces
from landmark_kd.models.device import setup
from landmark_kd.models.network import load_network
from stages import run_stage

# Beside float32, all that needs no package of its own.
SMALLER = ["onnx-fp16", "onnx-int8"]


def main() -> None:
    params = load_params()
    setup(params.base)
    # On the CPU, where the exported file will run.
    net = load_network(paths.MODELS / "kd")
    train, test = load_faces(paths.TRAIN_FACES), load_faces(paths.TEST_FACES)
    report = export_onnx(net, test, paths.ONNX_MODEL, params.export.check_faces)
    info, reference = model_info(net, test.info), open_torch(net)
    crops = train.crops(calibration_rows(train.train_rows()))
    source = Source(onnx.load(paths.ONNX_MODEL), info, net, crops)
    check, stem = Comparison(reference, info, test), paths.ONNX_MODEL.stem
    formats = write_formats(source, SMALLER, paths.MODELS, stem, check)
    runs = open_written(["onnx", *SMALLER], paths.MODELS, stem)
    float32 = {"bytes": report.pop("bytes"), **check("onnx", runs["onnx"])}
    write_json(paths.EXPORT_METRICS, {**report, "onnx": float32, **formats})
    write_json(paths.EXPORT_TIMES, check.milliseconds({"torch": reference, **runs}))
    print(
        f"{paths.ONNX_MODEL}: {float32['bytes'] / 1e6:.1f} MB, at most "
        f"{report['max_difference_image_px']:.1g} pixels from torch on "
        f"{report['faces_checked']} test faces"
    )
    for name in SMALLER:
        row = formats[name]
        print(f"{name}: {row['bytes'] / 1e6:.1f} MB, NME {row['nme']:.3f} (torch {check.nme:.3f})")
    print(*risen(formats, check.nme), sep="\n", end="")


if __name__ == "__main__":
    run_stage(main)
