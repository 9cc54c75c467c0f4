"""tools.int8_layers: what 8 bits cost each feature map, and which layers make it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from landmark_kd.export.graph import convolutional, metadata
from landmark_kd.inference.metadata import ModelInfo
from tests.support.exported_model import exported_model, tiny_faces
from tools.int8_layers import makers, noise

pytestmark = pytest.mark.seconds


def test_each_quantised_map_has_its_own_noise_and_that_of_those_before_it(tmp_path: Path) -> None:
    model = onnx.load(exported_model(tmp_path))
    info = ModelInfo.from_metadata(metadata(model))
    crops = tiny_faces(tmp_path / "train", 8).crops(slice(None))
    found = noise(model, info, crops, crops[:2], tmp_path / "ranges.json")
    own, total = np.array(list(found.values())).T
    assert np.isfinite([own, total]).all()
    # In dB, lower is worse: each map bears the rounding of the maps before it as well.
    assert (total < own).mean() > 0.8
    convolutions = [node.name for node in convolutional(model.graph) if node.op_type == "Conv"]
    made = makers(model, list(found))
    assert set(made) <= {node.name for node in convolutional(model.graph)}
    assert len(set(made) & set(convolutions)) > len(convolutions) / 2
