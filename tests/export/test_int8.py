"""int8 and float16: what is kept of the network, and what stays float32."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, numpy_helper

from landmark_kd.export import int8
from landmark_kd.export.float16 import to_float16
from landmark_kd.export.graph import behind_maps, metadata, precisions
from landmark_kd.export.int8 import calibration_rows, first_layers, to_int8
from landmark_kd.export.runs import normalized, open_onnx
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.metadata import ModelInfo
from landmark_kd.landmarks.scheme import IBUG_68
from tests.support.exported_model import SIZE, exported_model, tiny_faces

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def model(folder: Path) -> ModelProto:
    return onnx.load(exported_model(folder, tuple(IBUG_68.flip.tolist())))


@pytest.fixture(scope="module")
def crops(folder: Path) -> np.ndarray:
    return tiny_faces(folder / "train", 8).crops(slice(None))


@pytest.fixture(scope="module")
def quantized(model: ModelProto, crops: np.ndarray) -> ModelProto:
    info = ModelInfo.from_metadata(metadata(model))
    # As the export stage has it: with 8 bits sums overflow on processors without VNNI.
    return to_int8(model, info, crops, reduce_range=int8.has_saturating_products())


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_a_smaller_file_is_used_like_the_float32_one(
    kind: str, model: ModelProto, quantized: ModelProto, crops: np.ndarray, tmp_path: Path
) -> None:
    made = quantized if kind == "int8" else to_float16(model)
    assert precisions(made.graph) == {kind}
    assert metadata(made) == metadata(model)
    assert made.graph.input == model.graph.input
    assert made.graph.output == model.graph.output
    path = tmp_path / "smaller.onnx"
    onnx.save(made, path)
    image = crops[0][..., ::-1].copy()
    box = np.array([[8.0, 8.0, SIZE - 8.0, SIZE - 8.0]])
    (face,) = LandmarkDetector.load(path).detect(image, box)
    assert face.uncertainty is not None
    inputs = normalized(crops, ModelInfo.from_metadata(metadata(model)))
    found, expected = (open_onnx(m.SerializeToString())(inputs) for m in (made, model))
    away = SIZE * np.abs(found.landmarks - expected.landmarks)
    assert 0 < away.mean() < (0.05 if kind == "float16" else 2.5)


def test_what_stays_float32_is_not_quantized(model: ModelProto, quantized: ModelProto) -> None:
    made_by = {name: node for node in quantized.graph.node for name in node.output}
    for name in [n.name for n in behind_maps(model.graph)] + first_layers(model.graph):
        node = next((n for n in quantized.graph.node if n.name == name), None)
        if node is not None and node.op_type in ("Conv", "MatMul", "Softmax", "Gemm"):
            weights = [made_by[i].op_type for i in node.input[1:] if i in made_by]
            assert "DequantizeLinear" not in weights, name


def test_weights_are_int8_with_a_scale_for_each_channel(quantized: ModelProto) -> None:
    constants = {c.name: c for c in quantized.graph.initializer}
    scales = [
        numpy_helper.to_array(constants[node.input[1]]).size
        for node in quantized.graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[0] in constants
        and constants[node.input[0]].data_type == TensorProto.INT8
    ]
    assert len(scales) > 40
    assert min(scales) > 1


def test_faces_to_measure_ranges_on_are_drawn_alike_each_time() -> None:
    rows = np.arange(1000, 2000)
    drawn = calibration_rows(rows)
    assert len(set(drawn.tolist())) == int8.CALIBRATION_FACES
    assert set(drawn.tolist()) <= set(rows.tolist())
    np.testing.assert_array_equal(calibration_rows(rows), drawn)
    assert len(calibration_rows(rows[:5])) == 5


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "flags : avx2 avx512f avx512_vnni", False),
        ("x86_64", "flags : avx2 avx_vnni", False),
        ("x86_64", "flags : avx2 avx512f", True),
        ("AMD64", None, True),
        ("aarch64", "Features : asimd", False),
        ("arm64", None, False),
    ],
)
def test_weights_have_7_bits_where_products_may_not_fit(
    machine: str,
    flags: str | None,
    expected: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    info = tmp_path / "cpuinfo"
    if flags is not None:
        info.write_text(flags)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(int8, "CPU_INFO", info)
    assert int8.has_saturating_products() == expected
