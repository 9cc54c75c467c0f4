"""`landmark-kd export`: a network as files for other runtimes and smaller numbers."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmark_kd.cli.shared import needs_train_packages
from landmark_kd.config import paths
from landmark_kd.core.errors import UserError
from landmark_kd.export.requirements import NEEDS, check_installed
from landmark_kd.inference.network import ExportedNetwork
from landmark_kd.inference.shipped import DEFAULT, names_file, shipped_model, shipped_names

if TYPE_CHECKING:
    import numpy as np

    from landmark_kd.export.formats import Source
    from landmark_kd.export.runs import Run
    from landmark_kd.faces.prepared import Faces
    from landmark_kd.inference.metadata import ModelInfo

# Faces that a network's float32 file is compared with torch on, one by one and several at once.
CHECK_FACES = 64

EXAMPLES = """\
examples:
  landmark-kd export models/kd --format onnx-fp16,onnx-int8 --out exported
  landmark-kd export models/landmarks.onnx --format tflite --out exported
  landmark-kd export accurate --format ncnn --out exported

A file is written as it was found to give what the network gives: on the prepared test faces, or
where there are none on images of random colours. onnx-int8 measures its ranges on the train faces.
tflite, coreml and ncnn are written by converters that are installed with an extra of that name,
best in an environment of its own; coreml needs a trained network's folder. What a program needs to
use a file stands in its metadata or in the .json beside it; docs/deploy.md explains it.
Status: 0 all written, 1 not, 2 wrong arguments, 130 Ctrl-C.
"""


def add_export(commands: Any) -> None:
    """Add the command to those of `landmark-kd`."""
    parser = commands.add_parser(
        "export",
        help="write a network for phones and other runtimes",
        description="Write a network as files for other runtimes, or with smaller numbers.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="folder of a trained network, as models/kd; a float32 ONNX file of the export stage; "
        f"or a network that comes with landmark-kd, {' or '.join(shipped_names()) or DEFAULT}",
    )
    parser.add_argument(
        "--format",
        type=_formats,
        required=True,
        metavar="FORMATS",
        help=f"one or more of {', '.join(NEEDS)}, with commas between them",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write to; made if needed"
    )
    parser.add_argument(
        "--faces",
        type=Path,
        metavar="DIR",
        help="folder that holds the prepared test and train faces (default: "
        f"{paths.FACES}, where it is)",
    )
    parser.set_defaults(run=_export)


def _formats(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in NEEDS:
            raise argparse.ArgumentTypeError(
                f"there is no format {name!r}; the formats are {', '.join(NEEDS)}"
            )
    return names


def _export(arguments: argparse.Namespace) -> None:
    names, out = arguments.format, arguments.out.expanduser()
    check_installed(names)
    _check_writable(out)
    from landmark_kd.export.comparison import Comparison, open_written, risen
    from landmark_kd.export.formats import write_formats

    stem, source, reference, faces = _source(arguments.model, arguments.faces, names)
    check = Comparison(reference, source.info, faces)
    report = write_formats(source, names, out, stem, check)
    times = check.milliseconds({"network": reference, **open_written(names, out, stem)})
    on = "test faces" if faces is not None else "images of random colours (no prepared faces)"
    print(f"{stem}, compared on {check.count} {on}; one face and one thread a run:")
    print(f"{'format':10} {'MB':>6} {'NME':>7} {'px away: mean':>13} {'largest':>8} {'ms':>7}")
    network = f"{check.nme:7.3f}" if faces is not None else f"{'-':>7}"
    print(f"{'(network)':17} {network} {'-':>13} {'-':>8} {times['network']['median']:7.2f}")
    for name, row in report.items():
        print(f"{name:10} {row['bytes'] / 1e6:6.2f} {_row(row, times.get(name))}")
    for name in names:
        if name not in times:
            print(f"{name} cannot be run on this computer, so it was not compared")
    if faces is not None:
        for sentence in risen(report, check.nme):
            print(sentence)
    print(f"written to {out}", flush=True)


def _check_writable(folder: Path) -> None:
    """Check before any work that a folder can be written to, or made."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise UserError(f"--out {folder} cannot be written to ({existing}); name another folder.")


def _row(row: dict[str, Any], time: dict[str, float] | None) -> str:
    if time is None:
        return f"{'-':>7} {'-':>13} {'-':>8} {'-':>7}"
    nme = f"{row['nme']:7.3f}" if "nme" in row else f"{'-':>7}"
    mean, largest = row["mean_difference_crop_px"], row["max_difference_crop_px"]
    return f"{nme} {mean:13.2g} {largest:8.2g} {time['median']:7.2f}"


def _source(
    model: str, folder: Path | None, formats: list[str]
) -> tuple[str, Source, Run, Faces | None]:
    """Return a network's name, what to export, what it gives, and its test faces."""
    if Path(model).is_dir():
        return _trained(Path(model), folder or paths.FACES, formats)
    from landmark_kd.export.formats import source_of
    from landmark_kd.export.runs import open_onnx

    # The network is opened first, which says what is wrong with a file.
    if names_file(model):
        path = Path(model)
        stem, info = path.stem, ExportedNetwork(path, model, 1).info
        content = path.read_bytes()
    else:
        stem, content = model, shipped_model(model)
        info = ExportedNetwork(content, model, 1).info
    faces = crops = None
    if folder is not None or _fitting(paths.FACES, "test", info) is not None:
        faces = _fitting_or_error(folder or paths.FACES, "test", info)
        if "onnx-int8" in formats:
            crops = _train_crops(folder or paths.FACES, info)
    return stem, source_of(content, info, model, crops), open_onnx(content), faces


def _trained(
    network: Path, folder: Path, formats: list[str]
) -> tuple[str, Source, Run, Faces | None]:
    with needs_train_packages("export"):
        from landmark_kd.export.formats import source_of
        from landmark_kd.export.onnx import export_onnx, model_info, open_torch
        from landmark_kd.models.network import load_network
    net = load_network(network)
    faces = _of_size(folder, "test", net.config.size)
    if faces is None or faces.info.points != net.config.points:
        raise UserError(
            f"{network} sees {net.config.points} landmarks in crops of {net.config.size} pixels, "
            f"but the faces in {folder} are others; name those that belong to it (--faces)."
        )
    info = model_info(net, faces.info)
    crops = _train_crops(folder, info) if "onnx-int8" in formats else None
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "network.onnx"
        export_onnx(net, faces, path, CHECK_FACES)
        found = source_of(path.read_bytes(), info, str(network), crops, net)
    return network.resolve().name, found, open_torch(net), faces


def _train_crops(folder: Path, info: ModelInfo) -> np.ndarray:
    from landmark_kd.export.int8 import calibration_rows

    faces = _fitting_or_error(folder, "train", info)
    return faces.crops(calibration_rows(faces.train_rows()))


def _fitting_or_error(folder: Path, split: str, info: ModelInfo) -> Faces:
    faces = _fitting(folder, split, info)
    if faces is None:
        raise UserError(
            f"the network sees {info.points} landmarks in crops of {info.input_size} pixels (box: "
            f"{info.box}, margin {info.margin:g}), but {folder} has no {split} faces like that; "
            "run `dvc repro prepare` with these values of crop, or name another folder (--faces)."
        )
    return faces


def _fitting(folder: Path, split: str, info: ModelInfo) -> Faces | None:
    """Return the prepared faces that a network sees, if a folder has them."""
    faces = _of_size(folder, split, info.input_size)
    if faces is None:
        return None
    seen = faces.info.points, faces.info.box, faces.info.margin
    return faces if seen == (info.points, info.box, info.margin) else None


def _of_size(folder: Path, split: str, size: int) -> Faces | None:
    """Return a folder's students' or teachers' faces, whichever have crops of that size."""
    from landmark_kd.faces.prepared import TEACHER_PREFIX, load_faces

    for name in (split, f"{TEACHER_PREFIX}{split}"):
        if (folder / name).is_dir() and (f := load_faces(folder / name)).info.crop_size == size:
            return f
    return None
