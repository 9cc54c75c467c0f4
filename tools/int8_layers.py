"""Measures which layers int8 costs most, and which ones are worth leaving in float32.

    python -m tools.int8_layers accurate --faces data/faces

Everything is measured on the validation faces, never on test faces. First the whole convolutional
part is quantised, and each feature map compared with that of the float32 network (onnxruntime's
qdq_loss_debug), as signal-to-noise ratios in dB, lower is worse: `own` is what rounding this map
costs, `total` what has come together up to it. Then the network is quantised but for its first
convolutions, or but for those whose own ratio is lowest: NME, how far landmarks move, and time.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto
from onnxruntime.quantization import qdq_loss_debug
from onnxruntime.quantization.shape_inference import quant_pre_process

from landmark_kd.config import paths
from landmark_kd.core.errors import run_main
from landmark_kd.export.comparison import Comparison
from landmark_kd.export.formats import source_of
from landmark_kd.export.graph import convolutional, metadata
from landmark_kd.export.int8 import CropReader, calibration_rows, first_layers, to_int8
from landmark_kd.export.runs import Run, open_onnx
from landmark_kd.faces.prepared import Faces, load_faces
from landmark_kd.inference.metadata import ModelInfo
from landmark_kd.inference.shipped import names_file, shipped_model

# Maps of both networks are in memory.
DEBUGGED_FACES = 8
SHOWN = 12
COUNTS = (1, 2, 3, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", help="float32 ONNX file, or the name of a shipped network")
    parser.add_argument("--faces", type=Path, default=paths.FACES, help="default: %(default)s")
    arguments = parser.parse_args()
    name = arguments.model
    content = Path(name).read_bytes() if names_file(name) else shipped_model(name)
    info = ModelInfo.from_metadata(metadata(onnx.load_from_string(content)))
    model = source_of(content, info, name).model
    faces = load_faces(arguments.faces / "train")
    crops = faces.crops(calibration_rows(faces.train_rows()))
    held_out = some_faces(faces, faces.validation_rows())
    with tempfile.TemporaryDirectory() as folder:
        ranges = Path(folder) / "ranges.json"
        ratios = noise(model, info, crops, held_out.crops(slice(DEBUGGED_FACES)), ranges)
        worst = sorted(ratios, key=lambda layer: ratios[layer][0])
        print(f"{'dB own':>7} {'total':>6}  feature map")
        for layer in worst[:SHOWN]:
            print(f"{ratios[layer][0]:7.1f} {ratios[layer][1]:6.1f}  {layer}")
        candidates: dict[str, Sequence[str]] = {"none": ()}
        candidates |= {f"first {n}": first_layers(model.graph, n) for n in COUNTS}
        candidates |= {f"worst {n}": makers(model, worst[:n]) for n in COUNTS}
        runs: dict[str, Run] = {"float32": open_onnx(content)}
        for label, left_out in candidates.items():
            quantized = to_int8(model, info, crops, left_out=left_out, ranges=ranges)
            runs[label] = open_onnx(quantized.SerializeToString())
    compare(Comparison(runs["float32"], info, held_out), runs)


def noise(
    model: ModelProto, info: ModelInfo, crops: np.ndarray, seen: np.ndarray, ranges: Path
) -> dict[str, tuple[float, float]]:
    """Return {feature map: (own, total)} of the network that is quantised as a whole, in dB."""
    with tempfile.TemporaryDirectory() as folder:
        names = ("original", "float32", "int8", "float32_saved", "int8_saved")
        original, float32, int8, float32_saved, int8_saved = (
            Path(folder) / f"{name}.onnx" for name in names
        )
        onnx.save(model, original)
        quant_pre_process(original, float32, skip_symbolic_shape=True)
        onnx.save(to_int8(model, info, crops, left_out=(), ranges=ranges), int8)
        activations = []
        for path, saved in ((int8, int8_saved), (float32, float32_saved)):
            qdq_loss_debug.modify_model_output_intermediate_tensors(path, saved)
            activations.append(
                qdq_loss_debug.collect_activations(str(saved), CropReader(seen, info))
            )
        matched = qdq_loss_debug.create_activation_matching(*activations)
    ratio = qdq_loss_debug.compute_signal_to_quantization_noice_ratio
    found = {}
    for name, maps in matched.items():
        if "float" in maps:
            post = np.stack(maps["post_qdq"])
            # An activation that is the range's own bounds is not computed apart.
            pre = np.stack(maps["pre_qdq"]).clip(post.min(), post.max())
            found[name] = ratio(pre, post), ratio(np.stack(maps["float"]), post)
    return found


def compare(comparison: Comparison, runs: dict[str, Run]) -> None:
    """Print what networks with different layers left in float32 are worth."""
    times = comparison.milliseconds(runs)
    print(f"\n{'left out':9} {'NME':>7} {'px away: mean':>13} {'largest':>8} {'ms':>6}")
    for label, run in runs.items():
        row = comparison("onnx-int8", run)
        print(
            f"{label:9} {row['nme']:7.3f} {row['mean_difference_crop_px']:13.3f} "
            f"{row['max_difference_crop_px']:8.2f} {times[label]['median']:6.2f}"
        )


def makers(model: ModelProto, maps: Sequence[str]) -> list[str]:
    """Return the nodes that make feature maps: convolutions with the activations behind them."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    quantized = {node.name for node in convolutional(model.graph)}
    found = []
    for node in (made_by[name] for name in maps if name in made_by):
        before = [made_by[name] for name in node.input if name in made_by]
        behind = [n for n in before if n.op_type == "Conv" and node.op_type != "Conv"]
        found += [n.name for n in (node, *behind) if n.name in quantized]
    return found


def some_faces(faces: Faces, rows: np.ndarray) -> Faces:
    """Return the faces of some rows."""
    return replace(
        faces,
        images=faces.images[rows],
        landmarks=faces.landmarks[rows],
        crop_to_image=faces.crop_to_image[rows],
        table=faces.table.iloc[rows],
        occluded=None,
    )


if __name__ == "__main__":
    run_main(main)
