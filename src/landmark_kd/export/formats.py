"""The formats that a network is exported to, each a line of FORMATS, and how they are written."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_file, replaced_folder
from landmark_kd.export.float16 import to_float16
from landmark_kd.export.graph import precisions
from landmark_kd.export.int8 import has_saturating_products, to_int8
from landmark_kd.export.ncnn import open_ncnn, weights_of, write_ncnn
from landmark_kd.export.runs import Run, open_onnx
from landmark_kd.export.tflite import open_tflite, write_tflite
from landmark_kd.inference.metadata import ModelInfo


@dataclass(frozen=True)
class Source:
    """A network to be exported.

    Attributes:
        model: its ONNX file in float32.
        info: what that says of itself.
        network: the LandmarkNet that it was made of, None where only the file is at hand.
        train_crops: (n, S, S, 3) uint8 RGB, which int8's ranges are measured on; None where there
            are none.
    """

    model: ModelProto
    info: ModelInfo
    network: Any = None
    train_crops: np.ndarray | None = None


@dataclass(frozen=True)
class Format:
    """A format and what belongs to it.

    Attributes:
        suffix: what follows the network's name in that of the file.
        write: writes a source to a path and what belongs to it beside; returns what is to be said
            of it in the report.
        open: opens the path to run it, None where this computer cannot.
        tolerance: how far a landmark may be from the source's, in pixels of the crop; None: as far
            as it is, since that is measured.
    """

    suffix: str
    write: Callable[[Source, Path], dict[str, Any]]
    open: Callable[[Path], Run | None]
    tolerance: float | None


def _write_onnx(source: Source, path: Path) -> dict[str, Any]:
    return _saved(source.model, path)


def _write_float16(source: Source, path: Path) -> dict[str, Any]:
    return _saved(to_float16(source.model), path)


def _write_int8(source: Source, path: Path) -> dict[str, Any]:
    if source.train_crops is None or not len(source.train_crops):
        raise UserError(
            "the format onnx-int8 measures its ranges on prepared train faces, but there are none "
            "that fit; make them (`dvc repro prepare`), or name their folder (--faces)."
        )
    reduced = has_saturating_products()
    model = to_int8(source.model, source.info, source.train_crops, reduce_range=reduced)
    return {
        **_saved(model, path),
        "calibration_faces": len(source.train_crops),
        "reduce_range": reduced,
    }


def _saved(model: ModelProto, path: Path) -> dict[str, Any]:
    path.write_bytes(model.SerializeToString(deterministic=True))
    return {"bytes": path.stat().st_size}


def _write_tflite(source: Source, path: Path) -> dict[str, Any]:
    write_tflite(source.model, path)
    size = source.info.input_size
    layout = f"(1, {size}, {size}, 3) float32 in colour_order, (pixel - mean) / std"
    _write_description(source.info, path, {"input": layout})
    return {"bytes": path.stat().st_size}


def _write_ncnn(source: Source, path: Path) -> dict[str, Any]:
    write_ncnn(source.model, path)
    size = source.info.input_size
    names = {
        "input": f"in0: (3, {size}, {size}) float32 in colour_order, (pixel - mean) / std",
        "output_names": "out0: landmarks, out1: sigma",
    }
    _write_description(source.info, path, names)
    return {"bytes": path.stat().st_size + weights_of(path).stat().st_size}


def _write_coreml(source: Source, path: Path) -> dict[str, Any]:
    if source.network is None:
        raise UserError(
            "the format coreml is made from a trained network's folder (network.json, "
            "weights.safetensors), which coremltools reads, and not from an ONNX file, which it "
            "does not; give such a folder."
        )
    from landmark_kd.export.coreml import write_coreml

    write_coreml(source.network, source.info, path)
    return {"bytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file())}


def _open_coreml(path: Path) -> Run | None:
    from landmark_kd.export.coreml import open_coreml

    return open_coreml(path)


def _write_description(info: ModelInfo, path: Path, changes: dict[str, str]) -> None:
    """Write what an ONNX file's metadata says, as JSON beside a file that holds no such texts."""
    described = {}
    for key, text in {**info.to_metadata(), **changes}.items():
        described[key] = json.loads(text) if key in info.json_fields() else text
    content = json.dumps(described, indent=1)
    path.with_name(f"{path.name}.json").write_text(content, encoding="utf-8")


FORMATS = {
    "onnx": Format(".onnx", _write_onnx, open_onnx, 0.01),
    "onnx-fp16": Format("_fp16.onnx", _write_float16, open_onnx, None),
    "onnx-int8": Format("_int8.onnx", _write_int8, open_onnx, None),
    "tflite": Format(".tflite", _write_tflite, open_tflite, 0.05),
    "coreml": Format(".mlpackage", _write_coreml, _open_coreml, 0.05),
    "ncnn": Format(".ncnn.param", _write_ncnn, open_ncnn, 1.0),
}


def write_formats(
    source: Source,
    names: Sequence[str],
    folder: Path,
    stem: str,
    check: Callable[[str, Run], dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Write a network in several formats, each after it was checked.

    Args:
        names: of FORMATS.
        folder: where `stem` with each format's suffix is written; what stood there is replaced.
        check: returns what is to be said of a format's file as it runs; raises UserError where it
            is not as it should be, and then that file is not written.

    Returns:
        {name: what is to be said of it}.
    """
    report: dict[str, dict[str, Any]] = {}
    for name in names:
        chosen = FORMATS[name]
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / f"{stem}{chosen.suffix}"
            report[name] = chosen.write(source, path)
            run = chosen.open(path)
            if run is not None:
                report[name].update(check(name, run))
            for made in sorted(Path(temporary).iterdir()):
                _put(made, folder / made.name)
    return report


def _put(made: Path, target: Path) -> None:
    if made.is_dir():
        with replaced_folder(target) as temporary:
            shutil.copytree(made, temporary, dirs_exist_ok=True, copy_function=shutil.copyfile)
    else:
        with replaced_file(target) as temporary:
            shutil.copyfile(made, temporary)


def source_of(
    content: bytes,
    info: ModelInfo,
    name: str,
    train_crops: np.ndarray | None = None,
    network: Any = None,
) -> Source:
    """Return an ONNX file as a source; arguments as the attributes, `name` is for messages.

    Raises:
        UserError: it computes in less than float32.
    """
    model = onnx.load_from_string(content)
    if found := precisions(model.graph):
        raise UserError(
            f"{name} is itself a file in {' and '.join(sorted(found))}; give the float32 file that "
            "it was made of, or the trained network's folder."
        )
    return Source(model, info, network, train_crops)
