"""Restores a network from an exported file, so that it can be trained further.

    python -m tools.restore_network src/landmark_kd/assets/accurate.onnx models/tough

The tool needs prepared faces (`dvc repro prepare`). Exporting folds BatchNorm into the convolution
before it; here each BatchNorm gets the mean and the variance of its inputs on the train faces
without augmentation, and the scale and shift with which it changes nothing. So the network predicts
what the file predicts, and has statistics to train with. It is compared with the file on validation
faces. What it says of its own errors is fitted anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from landmark_kd.config import paths
from landmark_kd.config.params import HeadName, load_params
from landmark_kd.core.errors import UserError, run_main
from landmark_kd.export.onnx import TOLERANCE
from landmark_kd.faces.prepared import Faces, load_faces
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.metadata import INPUT_NAME, OUTPUT_NAME
from landmark_kd.models.config import NetworkConfig
from landmark_kd.models.network import LandmarkNet, predict, save_network
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.uncertainty import fit_uncertainty

# Crops in memory at a time.
BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path, help="ONNX file of the export stage")
    parser.add_argument("out", type=Path, help="folder for weights.safetensors and network.json")
    parser.add_argument("--head", default="integral", help="of the network (default: %(default)s)")
    arguments = parser.parse_args()
    faces = load_faces(paths.TRAIN_FACES)
    params = load_params()
    net, away = network_from_onnx(arguments.model, faces, arguments.head)
    info = faces.info
    augmenter = Augmenter(params.augment, info.crop_size, info.border, info.scheme.flip)
    fit_uncertainty(net, faces, faces.crop_landmarks(), augmenter, params.base.seed)
    save_network(net, arguments.out)
    print(f"{arguments.out}: up to {away:.2g} pixels of the crop away from {arguments.model}")


def network_from_onnx(path: Path, faces: Faces, head: HeadName) -> tuple[LandmarkNet, float]:
    """Return the network of an exported file, and how far its landmarks are from the file's.

    Args:
        path: written by the export stage.
        faces: prepared train faces in the file's input size.
        head: of the network.

    Raises:
        UserError: faces and file do not fit together, or the network is not the file's.
    """
    detector = LandmarkDetector.load(path)
    info = detector.info
    if faces.info.crop_size != info.input_size:
        raise UserError(
            f"the faces are prepared as crops of {faces.info.crop_size} pixels, but {path} takes "
            f"{info.input_size}; prepare them with -S crop.resolution={info.input_size}."
        )
    config = NetworkConfig(
        backbone=info.backbone,
        head=head,
        points=info.points,
        size=info.input_size,
        mean=info.mean,
        std=info.std,
        init=path.name,
        flip=info.flip,
    )
    net = LandmarkNet(config).to(memory_format=torch.channels_last).eval()
    pairs = _pairs(net, torch.zeros(1, 3, config.size, config.size))
    with torch.no_grad():
        folded = _take_weights(net, pairs, onnx.load(path).graph, path)
    crops = faces.crops(faces.validation_rows()[:BATCH])
    inputs = net.normalize(torch.from_numpy(crops)).numpy()
    (expected,) = onnxruntime.InferenceSession(path).run([OUTPUT_NAME], {INPUT_NAME: inputs})

    def away() -> float:
        return float(np.linalg.norm(predict(net, crops) - expected, axis=-1).max()) * config.size

    # The file does not say whether it averages over the mirror image.
    if not away() < TOLERANCE:
        net.config = config.model_copy(update={"flip": None})
    with torch.no_grad():
        _take_statistics(folded, lambda: predict(net, faces.crops(faces.train_rows()), BATCH))
    if not (apart := away()) < TOLERANCE:
        raise UserError(
            f"the network gives landmarks up to {apart:.4g} pixels of the crop away from {path}, "
            f"allowed is {TOLERANCE:g}; the file's network has another head than {head}."
        )
    return net, apart


def _pairs(net: LandmarkNet, inputs: Tensor) -> list[tuple[nn.Conv2d, BatchNormAct2d | None]]:
    """Return the convolutions in the order they run, each with the BatchNorm that follows it."""
    ran: list[tuple[nn.Conv2d, BatchNormAct2d | None]] = []
    given: list[Tensor] = []

    def convolved(module: nn.Module, taken: tuple[Tensor], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        ran.append((module, None))
        given.append(output)

    def normed(module: nn.Module, taken: tuple[Tensor]) -> None:
        assert isinstance(module, BatchNormAct2d)
        if taken[0] is given[-1]:
            ran[-1] = (ran[-1][0], module)

    hooks: list[RemovableHandle] = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(convolved))
        elif isinstance(module, BatchNormAct2d):
            hooks.append(module.register_forward_pre_hook(normed))
    with torch.no_grad():
        net.forward_single(inputs)
    for hook in hooks:
        hook.remove()
    return ran


def _take_weights(
    net: LandmarkNet,
    pairs: list[tuple[nn.Conv2d, BatchNormAct2d | None]],
    graph: onnx.GraphProto,
    path: Path,
) -> list[BatchNormAct2d]:
    """Give the network the file's weights; return the folded BatchNorms, which add a shift."""
    values = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    if len(nodes) != len(pairs):
        raise UserError(
            f"{path} has {len(nodes)} convolutions, but its backbone with this head has "
            f"{len(pairs)}; name the file's head with --head."
        )
    state = net.state_dict()
    for name in state:
        if name in values:
            state[name].copy_(values[name])
    folded = []
    for (convolution, norm), node in zip(pairs, nodes, strict=True):
        weight = values[node.input[1]]
        if weight.shape != convolution.weight.shape:
            raise UserError(f"{path} is of another network: {node.name} has {tuple(weight.shape)}.")
        convolution.weight.copy_(weight)
        if norm is not None:
            norm.get_buffer("running_mean").zero_()
            norm.get_buffer("running_var").fill_(1 - norm.eps)
            norm.weight.fill_(1)
            norm.bias.copy_(values[node.input[2]])
            folded.append(norm)
    return folded


def _take_statistics(folded: list[BatchNormAct2d], run: Callable[[], Any]) -> None:
    """Give BatchNorms that only add a shift the statistics of a run, without changing outputs."""
    sums = {norm: torch.zeros(3, len(norm.bias), dtype=torch.float64) for norm in folded}

    def seen(module: nn.Module, taken: tuple[Tensor]) -> None:
        assert isinstance(module, BatchNormAct2d)
        variance, mean = (v.double() for v in torch.var_mean(taken[0], (0, 2, 3), correction=0))
        count = taken[0].numel() / len(mean)
        sums[module] += count * torch.stack([torch.ones_like(mean), mean, variance + mean.square()])

    hooks = [norm.register_forward_pre_hook(seen) for norm in folded]
    run()
    for hook in hooks:
        hook.remove()
    for norm, (count, total, squares) in sums.items():
        mean = total / count
        running_mean, running_var = (norm.get_buffer(f"running_{v}") for v in ("mean", "var"))
        running_mean.copy_(mean)
        running_var.copy_(squares / count - mean.square())
        norm.weight.copy_((running_var + norm.eps).sqrt())
        norm.bias.add_(running_mean)


if __name__ == "__main__":
    run_main(main)
