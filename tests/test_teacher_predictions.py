"""Teacher predictions, written once for all students."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from landmark_kd.networks import build_network, load_network, predict_faces, save_network
from landmark_kd.teacher_predictions import write_predictions
from landmark_kd.teachers import TEACHERS
from landmark_kd.topology import IBUG_68
from tests.prepared_faces import SIZE, prepared_faces


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
    write_predictions(faces, tmp_path / "models", tmp_path / "out", torch.device("cpu"))
    for name in TEACHERS:
        found = np.load(tmp_path / "out" / f"{name}.npy")
        assert (found.shape, found.dtype) == ((5, 68, 2), np.float64)
        net = load_network(tmp_path / "models" / name)
        assert (net.config.flip is not None) == (name == "tough")
        np.testing.assert_array_equal(found, predict_faces(net, faces))
    tough, tolerant = (np.load(tmp_path / "out" / f"{name}.npy") for name in TEACHERS)
    assert np.abs(tough - tolerant).max() > 0
