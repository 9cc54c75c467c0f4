"""The ONNX file: what it computes, what it says, and that a wrong one is not left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from landmark_kd.core.errors import UserError
from landmark_kd.export.onnx import TOLERANCE, export_onnx
from landmark_kd.inference.metadata import ModelInfo
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.models import network
from landmark_kd.models.network import LandmarkNet
from tests.support.exported_model import SIZE, exported_model, tiny_faces, tiny_network

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_model(tmp_path_factory.mktemp("model"))


def test_report_says_what_was_written_and_checked(tmp_path: Path) -> None:
    net, path = tiny_network(), tmp_path / "model.onnx"
    report = export_onnx(net, tiny_faces(tmp_path / "faces", 5), path, check_faces=64)
    assert report["bytes"] == path.stat().st_size
    assert report["parameters"] == sum(p.numel() for p in net.parameters())
    assert report["opset"] == onnx.load(path).opset_import[0].version
    assert report["faces_checked"] == 5, "all there are, where more are asked for"
    assert 0 <= report["max_difference_crop_px"] < TOLERANCE
    # The faces of these tests are a few times larger in their images than in their crops.
    assert report["max_difference_crop_px"] < report["max_difference_image_px"] < TOLERANCE


def test_any_batch_gives_what_torch_gives(model: Path) -> None:
    session = onnxruntime.InferenceSession(model)
    images = np.random.default_rng(1).integers(0, 256, (7, SIZE, SIZE, 3), dtype=np.uint8)
    net = tiny_network()
    expected = network.predict(net, images)
    assert np.ptp(expected, axis=0).max() > 0.01, "the images matter"
    inputs = net.normalize(torch.from_numpy(images)).numpy()
    for count in (0, 1, 2, 7):
        (found,) = session.run(["landmarks"], {"image": inputs[:count]})
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[:count], atol=1e-5)


@pytest.mark.parametrize("flip", [None, tuple(IBUG_68.flip.tolist())])
def test_no_grid_and_no_map_sizes_are_computed_for_each_batch(
    tmp_path: Path, flip: tuple[int, ...] | None
) -> None:
    graph = onnx.load(exported_model(tmp_path, flip)).graph
    kinds = {node.op_type for node in graph.node}
    assert not {"Range", "Expand", "Where", "Equal", "Constant", "Cast"} & kinds
    # The coarser maps' own number of faces is all that has to be asked for where they are enlarged.
    if flip is None:
        assert sum(node.op_type == "Shape" for node in graph.node) == 2
    assert not graph.value_info


@pytest.mark.parametrize("flip", [None, tuple(IBUG_68.flip.tolist())])
def test_the_file_gives_the_sigma_that_torch_gives(
    tmp_path: Path, flip: tuple[int, ...] | None
) -> None:
    session = onnxruntime.InferenceSession(exported_model(tmp_path, flip))
    images = np.random.default_rng(1).integers(0, 256, (7, SIZE, SIZE, 3), dtype=np.uint8)
    net = tiny_network(flip=flip)
    _, expected = network.predict_with_sigma(net, images)
    assert np.ptp(np.log(expected), axis=0).max() > 0.01, "the images matter"
    inputs = net.normalize(torch.from_numpy(images)).numpy()
    (found,) = session.run(["sigma"], {"image": inputs})
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    info = ModelInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
    assert info.regions == pytest.approx(net.uncertainty.regions.tolist(), abs=1e-4)
    assert info.typical_sigma == (-4.5, 5.0)


def test_a_network_that_says_no_uncertainty_gives_a_file_without(tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(exported_model(tmp_path, uncertain=False))
    assert [output.name for output in session.get_outputs()] == ["landmarks"]
    info = ModelInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
    assert info.regions is None
    assert info.typical_sigma is None


def test_metadata_says_all_that_prediction_needs(model: Path) -> None:
    session = onnxruntime.InferenceSession(model)
    metadata = session.get_modelmeta().custom_metadata_map
    info = ModelInfo.from_metadata(metadata)
    net = tiny_network()
    assert (info.points, info.input_size, info.margin, info.box) == (68, SIZE, 0.25, "landmarks")
    assert (info.mean, info.std, info.colour_order) == (net.config.mean, net.config.std, "RGB")
    assert (info.backbone, info.dataset) == ("mobilenetv2_050", "tiny")
    assert info.point_names == IBUG_68.names
    assert info.flip == tuple(IBUG_68.flip)
    assert info.contours == IBUG_68.contours
    assert info.licence == "Trained on dots."
    assert info.box_in_haar is None
    assert "(v + 0.5) * input_size - 0.5" in metadata["output"]


def test_same_weights_give_the_same_bytes(model: Path, tmp_path: Path) -> None:
    assert exported_model(tmp_path).read_bytes() == model.read_bytes()


def test_batchnorm_is_folded_but_where_it_follows_a_sum(model: Path) -> None:
    nodes = onnx.load(model).graph.node
    made_by = {name: node.op_type for node in nodes for name in node.output}
    left = [node for node in nodes if node.op_type == "BatchNormalization"]
    assert "Conv" in made_by.values()
    assert {made_by[node.input[0]] for node in left} <= {"Add"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda points, sigma: (points + 1e-3, sigma),
        lambda points, sigma: (points * np.nan, sigma),
        lambda points, sigma: (points, sigma + 1e-3),
    ],
)
def test_a_file_that_differs_from_torch_is_refused_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[..., object]
) -> None:
    faces, path = tiny_faces(tmp_path / "faces"), tmp_path / "model.onnx"
    path.write_text("of before")
    right = network.predict_with_sigma
    monkeypatch.setattr(
        network, "predict_with_sigma", lambda net, images: spoil(*right(net, images))
    )
    with pytest.raises(UserError, match=r"away from torch's on 3 test faces.*was not written"):
        export_onnx(tiny_network(), faces, path, check_faces=3)
    assert path.read_text() == "of before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["faces", "model.onnx"]


def test_the_network_stays_in_training_mode(tmp_path: Path) -> None:
    net: LandmarkNet = tiny_network().train()
    export_onnx(net, tiny_faces(tmp_path / "faces"), tmp_path / "model.onnx", check_faces=1)
    assert net.training


def test_metadata_that_does_not_fit_together_is_named(model: Path) -> None:
    metadata = ModelInfo.from_metadata(
        onnxruntime.InferenceSession(model).get_modelmeta().custom_metadata_map
    ).to_metadata()
    for change, sentence in [
        ({"format": "landmark-kd 99"}, "landmark-kd 99"),
        ({"points": "67"}, "point_names, flip, contours"),
        ({"std": "[0, 1, 1]"}, "std"),
        ({"std": "[1, 1"}, "damaged"),
        ({"mean": "3"}, "damaged"),
        ({"colour_order": "BGR"}, "colour_order"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            ModelInfo.from_metadata({**metadata, **change})
    del metadata["margin"]
    with pytest.raises(ValueError, match="margin"):
        ModelInfo.from_metadata(metadata)
