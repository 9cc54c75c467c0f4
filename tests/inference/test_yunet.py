"""YuNet by onnxruntime: the faces that OpenCV finds, and several images in one run."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from landmark_kd.imaging.images import read_image
from landmark_kd.inference.yunet import LEAST_SCORE, OUTPUTS, OVERLAP, YuNet, any_size
from landmark_kd.inference.yunet_file import FILE

pytestmark = pytest.mark.seconds

FACES = 12


@pytest.fixture(scope="module")
def file(shared: Path) -> Path:
    return shared / "peers" / FILE


@pytest.fixture(scope="module")
def photos(shared: Path) -> list[np.ndarray]:
    return [read_image(p) for p in sorted((shared / "data/300w/afw").glob("*.jpg"))[:FACES]]


def test_the_faces_are_those_that_opencv_finds(file: Path, photos: list[np.ndarray]) -> None:
    ours = YuNet(file, 1)
    theirs = cv2.FaceDetectorYN.create(str(file), "", (32, 32), LEAST_SCORE, OVERLAP)
    count = 0
    for photo in photos:
        theirs.setInputSize((photo.shape[1], photo.shape[0]))
        expected = theirs.detect(photo)[1]
        (found,) = ours.find(photo[None])
        np.testing.assert_allclose(found, expected, atol=2e-3)
        count += len(found)
    assert count >= FACES


def test_images_of_one_run_give_what_each_gives_alone(file: Path, photos: list[np.ndarray]) -> None:
    net = YuNet(file, 1)
    # No multiple of the coarsest cell; one of them without a face.
    images = np.stack([photo[:230, :250] for photo in photos[:3]] + [np.zeros((230, 250, 3))])
    images = images.astype(np.uint8)
    together = net.find(images)
    assert [len(faces) > 0 for faces in together] == [True, True, True, False]
    for image, faces in zip(images, together, strict=True):
        np.testing.assert_allclose(faces, net.find(image[None])[0], atol=1e-3)


def test_the_file_is_made_to_take_images_of_any_size(file: Path) -> None:
    content = any_size(file)
    assert len(content) == file.stat().st_size
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it warns of outputs that are not those of 640 x 640 pixels
    session = onnxruntime.InferenceSession(content, options)
    # As OpenCV, which takes any size as it is.
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    blob = cv2.dnn.blobFromImage(image)
    found = session.run(OUTPUTS, {"input": blob})
    net = cv2.dnn.readNetFromONNX(str(file))
    net.setInput(blob)
    for one, other in zip(found, net.forward(OUTPUTS), strict=True):
        np.testing.assert_allclose(one, other.reshape(one.shape), atol=1e-3)


def test_a_network_that_is_none_of_its_kind_is_refused(shared: Path) -> None:
    with pytest.raises(ValueError, match="other inputs and outputs"):
        YuNet(shared / "peers/pfld_68.onnx")
