"""Teacher predictions on crops and on their mirror images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from landmark_kd import teacher_predictions
from landmark_kd.faces import Faces
from landmark_kd.networks import predict_faces
from landmark_kd.teacher_predictions import predict_mirrored, write_predictions
from landmark_kd.topology import IBUG_68
from tests.prepared_faces import SIZE, prepared_faces

CPU = torch.device("cpu")
SHAPE = np.random.default_rng(0).uniform(-0.3, 0.3, (68, 2))
# The same shape as its mirror image.
EVEN_SHAPE = (SHAPE + SHAPE[IBUG_68.flip] * [-1, 1]) / 2


class Probe(torch.nn.Module):
    """A network that puts one shape where a crop is bright, or always in the same place."""

    mean: Tensor

    def __init__(self, shape: np.ndarray, *, sees: bool) -> None:
        super().__init__()
        self.config = SimpleNamespace(points=68, size=SIZE)
        self.shape = torch.from_numpy(shape)
        self.sees = sees
        self.register_buffer("mean", torch.zeros(1))

    def normalize(self, images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2).double()

    def forward(self, inputs: Tensor) -> Tensor:
        weight = inputs.mean(dim=1) * self.sees + (not self.sees)
        places = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
        x = (weight.sum(dim=1) * places).sum(dim=1)
        y = (weight.sum(dim=2) * places).sum(dim=1)
        centre = torch.stack([x, y], dim=1) / weight.sum(dim=(1, 2))[:, None]
        return centre[:, None] + self.shape


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    # More than one batch of mirrored crops.
    return prepared_faces(tmp_path_factory.mktemp("faces") / "faces", 70)


def test_the_mirror_image_tells_a_network_that_moves_with_the_picture_the_same(
    faces: Faces,
) -> None:
    net: torch.nn.Module = Probe(EVEN_SHAPE, sees=True)
    plain = predict_faces(net, faces)  # type: ignore[arg-type]
    assert np.ptp(plain[:, 0], axis=0).min() > 0.01
    np.testing.assert_allclose(predict_mirrored(net, faces), plain, atol=1e-9)  # type: ignore[arg-type]


def test_of_a_network_that_always_says_the_same_the_mirror_image_is_that_mirrored(
    faces: Faces,
) -> None:
    found = predict_mirrored(Probe(SHAPE, sees=False), faces)  # type: ignore[arg-type]
    expected = SHAPE[IBUG_68.flip] * [-1, 1]
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-9)
    # The left eye's outer corner is where the right one's was.
    np.testing.assert_allclose(found[0, 36], SHAPE[45] * [-1, 1], atol=1e-9)


@pytest.mark.parametrize("flip_average", [False, True])
def test_written_predictions_are_averaged_with_the_mirror_images_where_asked(
    faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flip_average: bool
) -> None:
    shapes = {"tough": SHAPE, "tolerant": SHAPE[::-1].copy()}

    def load(folder: Path, device: torch.device) -> Probe:
        return Probe(shapes[folder.name], sees=False)

    monkeypatch.setattr(teacher_predictions, "load_network", load)
    write_predictions(faces, tmp_path, tmp_path / "out", CPU, flip_average=flip_average)
    for name, shape in shapes.items():
        found = np.load(tmp_path / "out" / f"{name}.npy")
        assert (found.shape, found.dtype) == ((70, 68, 2), np.float64)
        even = (shape + shape[IBUG_68.flip] * [-1, 1]) / 2
        np.testing.assert_allclose(found[3], even if flip_average else shape, atol=1e-9)
