"""A tiny network and its ONNX file, for the tests of export, prediction and the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from landmark_kd.export.onnx import export_onnx
from landmark_kd.faces.prepared import Faces
from landmark_kd.models.heads import IntegralHead
from landmark_kd.models.network import LandmarkNet, build_network
from tests.support.prepared_faces import prepared_faces

SIZE = 64


def tiny_network(seed: int = 0, flip: Sequence[int] | None = None) -> LandmarkNet:
    """An untrained network whose points spread over the crop and depend on the image."""
    torch.manual_seed(seed)
    net = build_network(
        "mobilenetv2_050", "integral", "random", "imagenet", points=68, size=SIZE, flip=flip
    )
    assert isinstance(net.head, IntegralHead)
    with torch.no_grad():
        # Attention that differs from place to place, as trained networks have it.
        torch.nn.init.normal_(net.head.scores.weight, std=1.5)
        # Running statistics that differ from the initial ones, so that folding them shows.
        net.train()
        net(torch.randn(8, 3, SIZE, SIZE))
    return net.eval()


def tiny_faces(folder: Path, count: int = 5) -> Faces:
    """Prepared faces that fit `tiny_network`."""
    return prepared_faces(folder, count, crop_size=SIZE)


def exported_model(folder: Path, flip: Sequence[int] | None = None) -> Path:
    """Export `tiny_network` to a file in `folder`."""
    path = folder / "landmarks.onnx"
    export_onnx(tiny_network(flip=flip), tiny_faces(folder / "faces"), path, check_faces=2)
    return path
