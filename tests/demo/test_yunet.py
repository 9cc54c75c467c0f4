"""YuNet's file as the page needs it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.demo.yunet import any_size
from landmark_kd.inference.shipped import shipped_model
from landmark_kd.inference.yunet import OUTPUTS


def test_it_takes_images_of_any_size(shared: Path) -> None:
    path = shared / "peers" / "face_detection_yunet_2023mar.onnx"
    content = any_size(path)
    assert len(content) == path.stat().st_size
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options)
    # As OpenCV, which takes any size as it is.
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    names = sorted(OUTPUTS)
    blob = cv2.dnn.blobFromImage(image)
    found = session.run(names, {"input": blob})
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(blob)
    for one, other in zip(found, net.forward(names), strict=True):
        np.testing.assert_allclose(one, other.reshape(one.shape), atol=1e-3)


@pytest.mark.parametrize("content", [shipped_model(), b"no network"])
def test_another_network_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"other\.onnx is no YuNet"):
        any_size(path)
