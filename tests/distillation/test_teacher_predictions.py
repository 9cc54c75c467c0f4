"""Teacher predictions, written once for all students."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landmark_kd.config.paths import TEACHERS
from landmark_kd.distillation.teacher_predictions import disagreement, write_predictions
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.models.network import build_network, load_network, predict_faces, save_network
from tests.support.prepared_faces import SIZE, prepared_faces, without_landmarks

CPU = torch.device("cpu")
SHAPE = np.random.default_rng(0).uniform(-0.3, 0.3, (68, 2))


class Probe(torch.nn.Module):
    """Puts one shape where a crop is bright, or always in the same place."""

    mean: Tensor
    mirror: Tensor

    def __init__(self, shape: np.ndarray, *, sees: bool) -> None:
        super().__init__()
        self.shape = torch.from_numpy(shape)
        self.sees = sees
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("mirror", torch.tensor([-1.0, 1.0]))

    def normalize(self, images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2).double()

    # There is no `forward`: what is averaged over both looks would hide how far they lie apart.
    def forward_single(self, inputs: Tensor) -> Tensor:
        weight = inputs.mean(dim=1) * self.sees + (not self.sees)
        places = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
        x = (weight.sum(dim=1) * places).sum(dim=1)
        y = (weight.sum(dim=2) * places).sum(dim=1)
        centre = torch.stack([x, y], dim=1) / weight.sum(dim=(1, 2))[:, None]
        return centre[:, None] + self.shape


def test_a_network_that_moves_with_the_image_agrees_with_itself_on_the_mirror_image(
    tmp_path: Path,
) -> None:
    # More than one batch of crops.
    faces = prepared_faces(tmp_path / "faces", 70)
    even = (SHAPE + SHAPE[IBUG_68.flip] * [-1, 1]) / 2
    net = Probe(even, sees=True)
    found = disagreement(net, faces)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, np.zeros(70), atol=1e-9)


def test_the_disagreement_is_the_mean_distance_of_the_landmarks_in_crop_sides(
    tmp_path: Path,
) -> None:
    faces = prepared_faces(tmp_path / "faces", 3)
    found = disagreement(Probe(SHAPE, sees=False), faces)  # type: ignore[arg-type]
    mirrored = SHAPE[IBUG_68.flip] * [-1, 1]
    expected = np.linalg.norm(SHAPE - mirrored, axis=1).mean()
    np.testing.assert_allclose(found, np.full(3, expected), atol=1e-9)


def test_written_predictions_are_each_teachers_own_with_its_mirror_images_where_it_has_them(
    tmp_path: Path,
) -> None:
    faces = prepared_faces(tmp_path / "faces", 5)
    flips = {"tough": IBUG_68.flip.tolist(), "tolerant": None}
    for number, name in enumerate(TEACHERS):
        torch.manual_seed(number)
        net = build_network(
            "test_efficientnet", "pool", "random", "auto", points=68, size=SIZE, flip=flips[name]
        )
        save_network(net.eval(), tmp_path / "models" / name)
    models, out = tmp_path / "models", tmp_path / "out"
    unlabelled = without_landmarks(prepared_faces(tmp_path / "unlabelled", 3, seed=1))
    write_predictions(faces, unlabelled, models, out, CPU)
    for name in TEACHERS:
        found = np.load(tmp_path / "out" / f"{name}.npy")
        assert (found.shape, found.dtype) == ((5, 68, 2), np.float64)
        net = load_network(tmp_path / "models" / name)
        assert (net.config.flip is not None) == (name == "tough")
        np.testing.assert_array_equal(found, predict_faces(net, faces))
        found = np.load(tmp_path / "out" / f"unlabelled_{name}.npy")
        np.testing.assert_array_equal(found, predict_faces(net, unlabelled))
    apart = [disagreement(load_network(models / name), unlabelled) for name in TEACHERS]
    assert np.min(apart) > 0
    np.testing.assert_allclose(
        np.load(out / "unlabelled_disagreement.npy"), (apart[0] + apart[1]) / 2
    )
    tough, tolerant = (np.load(tmp_path / "out" / f"{name}.npy") for name in TEACHERS)
    assert np.abs(tough - tolerant).max() > 0
