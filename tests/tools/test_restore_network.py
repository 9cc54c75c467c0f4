"""Networks restored from their exported files: the same predictions, and statistics to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from timm.layers import BatchNormAct2d

from landmark_kd.core.errors import UserError
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.models import network
from landmark_kd.models.network import LandmarkNet, load_network, save_network
from tests.support.exported_model import SIZE, exported_model, tiny_faces, tiny_network
from tests.support.prepared_faces import prepared_faces
from tools.restore_network import network_from_onnx

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module", params=[None, tuple(IBUG_68.flip.tolist())], ids=["alone", "both"])
def flip(request: pytest.FixtureRequest) -> tuple[int, ...] | None:
    """Of a network that looks at the crop alone, and of one that looks at its mirror image, too."""
    return request.param


@pytest.fixture(scope="module")
def model(flip: tuple[int, ...] | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_model(tmp_path_factory.mktemp("model"), flip)


def norms(net: LandmarkNet) -> list[BatchNormAct2d]:
    return [module for module in net.modules() if isinstance(module, BatchNormAct2d)]


@pytest.fixture(scope="module")
def restored(model: Path, tmp_path_factory: pytest.TempPathFactory) -> LandmarkNet:
    faces = prepared_faces(tmp_path_factory.mktemp("faces"), 24, crop_size=SIZE, validation=4)
    net, away = network_from_onnx(model, faces, "integral")
    assert 0 <= away < 1e-3
    return net


def test_it_predicts_what_the_network_predicts_that_was_exported(
    restored: LandmarkNet, flip: tuple[int, ...] | None, tmp_path: Path
) -> None:
    assert restored.config.flip == flip
    images = np.random.default_rng(1).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)
    expected = network.predict(tiny_network(flip=flip), images)
    np.testing.assert_allclose(network.predict(restored, images), expected, atol=1e-4)
    save_network(restored, tmp_path / "network")
    again = network.predict(load_network(tmp_path / "network"), images)
    np.testing.assert_allclose(again, expected, atol=1e-4)


def test_its_statistics_are_those_of_what_its_faces_give(
    restored: LandmarkNet, tmp_path: Path
) -> None:
    """So that training, which takes the statistics of each batch, begins near the file's network:
    with those of the untrained network it would begin somewhere else."""
    faces = prepared_faces(tmp_path, 24, crop_size=SIZE, validation=4)
    seen = {}

    def record(module: BatchNormAct2d, taken: tuple[torch.Tensor]) -> None:
        seen[module] = torch.var_mean(taken[0], (0, 2, 3), correction=0)

    hooks = [norm.register_forward_pre_hook(record) for norm in norms(restored)]
    with torch.no_grad():
        inputs = restored.normalize(torch.from_numpy(faces.crops(faces.train_rows())))
        if restored.config.flip is not None:
            inputs = torch.cat([inputs, inputs.flip(3)])
        restored.forward_single(inputs)
    for hook in hooks:
        hook.remove()
    folded = 0
    for norm in norms(restored):
        variance, mean = seen[norm]
        folded += bool(
            torch.allclose(norm.get_buffer("running_mean"), mean, atol=1e-4)
            and torch.allclose(norm.get_buffer("running_var"), variance, rtol=1e-3, atol=1e-5)
        )
    # The two that take the sum of two maps cannot be folded, and keep the statistics they had.
    assert folded == len(norms(restored)) - 2


def test_faces_of_another_size_and_another_head_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"crops of 32 pixels, but .* takes 64"):
        network_from_onnx(model, prepared_faces(tmp_path / "small", 4), "integral")
    faces = tiny_faces(tmp_path / "faces")
    with pytest.raises(UserError, match=r"convolutions, but .* --head"):
        network_from_onnx(model, faces, "pool")
