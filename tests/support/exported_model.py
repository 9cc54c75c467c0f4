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


def tiny_network(
    seed: int = 0, flip: Sequence[int] | None = None, *, uncertain: bool = True
) -> LandmarkNet:
    """An untrained network whose points spread over the crop and depend on the image.

    Args:
        uncertain: it says a sigma for each landmark, which depends on the image, too.
    """
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
        if uncertain:
            found = net.uncertainty
            torch.nn.init.normal_(found.weight, std=0.2)
            found.bias.copy_(torch.linspace(-5, -4, len(found.bias)))
            found.regions.copy_(torch.linspace(0.3, 3, len(found.regions)))
            # Every crop is trusted, so that boxes are left where they are.
            found.typical.copy_(torch.tensor([-4.5, 5.0]))
    return net.eval()


def tiny_faces(folder: Path, count: int = 5, validation: int = 0) -> Faces:
    """Prepared faces that fit `tiny_network`."""
    return prepared_faces(folder, count, crop_size=SIZE, validation=validation)


def exported_model(
    folder: Path, flip: Sequence[int] | None = None, *, uncertain: bool = True
) -> Path:
    """Export `tiny_network` to a file in `folder`."""
    path = folder / "landmarks.onnx"
    net = tiny_network(flip=flip, uncertain=uncertain)
    export_onnx(net, tiny_faces(folder / "faces"), path, check_faces=2)
    return path
