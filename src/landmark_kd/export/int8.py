"""ONNX int8: static quantisation whose ranges are measured on train crops."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from landmark_kd.export.graph import convolutional
from landmark_kd.export.runs import normalized
from landmark_kd.inference.metadata import INPUT_NAME, ModelInfo

# Crops that ranges are measured on, and the seed that they are drawn with.
CALIBRATION_FACES = 256
CALIBRATION_SEED = 0
# Convolutions from the image on that stay float32: `python -m tools.int8_layers` measures that the
# first ones lose most by 8 bits and gain no time by them.
FLOAT_CONVOLUTIONS = 2
# Linux's; flags of x86 CPUs that add products of 8 bits in 32 bits.
CPU_INFO = Path("/proc/cpuinfo")
_VNNI = {"avx512_vnni", "avx_vnni"}


class CropReader(CalibrationDataReader):
    """Gives crops (n, S, S, 3) uint8 RGB one by one, as a network sees them."""

    def __init__(self, crops: np.ndarray, info: ModelInfo) -> None:
        self._inputs = self._each(crops, info)

    @staticmethod
    def _each(crops: np.ndarray, info: ModelInfo) -> Iterator[dict[str, np.ndarray]]:
        for i in range(len(crops)):
            yield {INPUT_NAME: normalized(crops[i : i + 1], info)}

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._inputs, None)


def to_int8(
    model: ModelProto,
    info: ModelInfo,
    crops: np.ndarray,
    *,
    reduce_range: bool = False,
    left_out: Sequence[str] | None = None,
    ranges: Path | None = None,
) -> ModelProto:
    """Return a network whose convolutional part computes in 8 bits; its ends stay float32.

    Weights are int8 with a scale for each channel. Feature maps are uint8: onnxruntime 1.31 turns
    int8 ones into uint8 on x86 only where a map has one reader, and runs 22 of the 57 convolutions
    of MobileNetV2 in float32 beside (6.1 instead of 3.5 ms).

    Args:
        crops: (n, S, S, 3) uint8 RGB of train faces, which ranges are measured on.
        reduce_range: weights of 7 bits, see `has_saturating_products`.
        left_out: names of nodes to leave in float32; those of `first_layers` by default.
        ranges: file that keeps what was measured, for a next call with the same crops and nodes
            that this one quantised, too.
    """
    with tempfile.TemporaryDirectory() as folder:
        original, prepared, quantized = (Path(folder) / f"{i}.onnx" for i in range(3))
        onnx.save(model, original)  # which the tool would change in memory
        quant_pre_process(original, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        out = first_layers(graph) if left_out is None else left_out
        nodes = [node.name for node in convolutional(graph) if node.name not in set(out)]
        quantize_static(
            prepared,
            quantized,
            CropReader(crops, info),
            quant_format=QuantFormat.QDQ,
            nodes_to_quantize=nodes,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibration_cache_path=ranges,
        )
        result = onnx.load(quantized)
    # The tools leave marks of their own there.
    onnx.helper.set_model_props(result, {e.key: e.value for e in model.metadata_props})
    return result


def first_layers(graph: GraphProto, count: int = FLOAT_CONVOLUTIONS) -> list[str]:
    """Return the names of the first convolutions and of the activations behind them."""
    names: list[str] = []
    convolutions = 0
    for node in convolutional(graph):
        convolutions += node.op_type == "Conv"
        if convolutions > count:
            break
        names.append(node.name)
    return names


def calibration_rows(rows: np.ndarray) -> np.ndarray:
    """Draw the faces to measure ranges on from those to train on."""
    rng = np.random.default_rng(CALIBRATION_SEED)
    return np.sort(rng.choice(rows, min(CALIBRATION_FACES, len(rows)), replace=False))


def has_saturating_products() -> bool:
    """Tell whether this CPU adds products of 8 bits in 16 bits, where they may not fit.

    So do x86 CPUs without VNNI; weights of 7 bits then avoid it. It is told by the flags that Linux
    shows of an x86 CPU; where there are none to read (Windows, macOS on Intel) it is taken to be
    so. ARM CPUs add in 32 bits.
    """
    if platform.machine().lower() not in ("x86_64", "amd64", "i686"):
        return False
    try:
        flags = CPU_INFO.read_text(encoding="utf-8")
    except OSError:
        return True
    return not _VNNI.intersection(flags.split())
