"""The student as an ONNX file that says all about itself, compared with torch."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxslim
import torch
from onnx import ModelProto
from torch import Tensor

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_file
from landmark_kd.export.runs import Outputs, Run
from landmark_kd.export.verification import largest_differences
from landmark_kd.faces.info import FacesInfo
from landmark_kd.faces.prepared import Faces
from landmark_kd.inference.metadata import INPUT_NAME, OUTPUT_NAME, SIGMA_NAME, ModelInfo
from landmark_kd.models.network import LandmarkNet

# Understood by onnxruntime since 1.13 and by the converters for phones.
OPSET = 17
# A landmark of the ONNX file may lie this far from torch's, in pixels.
TOLERANCE = 0.01


def export_onnx(net: LandmarkNet, faces: Faces, out: Path, check_faces: int) -> dict[str, Any]:
    """Write a network as ONNX float32 with dynamic batch, if it gives what torch gives.

    Input `image` (N, 3, S, S), normalised; outputs `landmarks` (N, K, 2), network coordinates, and
    `sigma` (N, K), shares of the crop's side, of networks whose uncertainty was fitted; the
    metadata is that of `ModelInfo`. The same weights give the same bytes.

    Args:
        net: the network; runs on the CPU here, wherever it is.
        faces: prepared faces, of which `check_faces` (or all) spread over the set are predicted
            with torch and onnxruntime, one by one and several at once.
        out: the file; what stood there before stays if the check fails.

    Returns:
        What was written and the largest distances of a landmark from torch's, in pixels of the
        crop and of the original image.

    Raises:
        UserError: the two differ by TOLERANCE or more.
    """
    net = copy.deepcopy(net).cpu().eval()
    with replaced_file(out) as temporary:
        _write_onnx(copy.deepcopy(net), model_info(net, faces.info), temporary)
        rows = np.linspace(0, len(faces) - 1, min(check_faces, len(faces))).round().astype(int)
        in_crop, in_image = largest_differences(net, faces, rows, temporary)
        # Written this way round, a difference that is not a number fails, too.
        if not (in_crop < TOLERANCE and in_image < TOLERANCE):
            raise UserError(
                f"the ONNX file gives landmarks up to {in_crop:.4g} pixels of the crop "
                f"({in_image:.4g} of the image) away from torch's on {len(rows)} test faces, "
                f"allowed is {TOLERANCE:g}; {out} was not written. Check that the versions in "
                "requirements.txt are installed."
            )
        size = temporary.stat().st_size
    return {
        "bytes": size,
        "parameters": sum(p.numel() for p in net.parameters()),
        "opset": OPSET,
        "faces_checked": len(rows),
        "max_difference_crop_px": in_crop,
        "max_difference_image_px": in_image,
    }


def folded(model: ModelProto) -> ModelProto:
    """Return a network with constants in place of what it computes anew for each batch.

    The exporter leaves sizes of maps and the grid of positions to be computed, some sixty small
    nodes, which take a tenth of a small network's time. Nodes keep their names and their order,
    that in which torch runs them; what can be fused is left to the runtime.
    """
    places = {node.name: place for place, node in enumerate(model.graph.node)}
    result: ModelProto = onnxslim.slim(model, skip_optimizations=["graph_fusion"])
    nodes = sorted(result.graph.node, key=lambda node: places[node.name])
    # Shapes of what is no longer there are among the value_info.
    del result.graph.node[:], result.graph.value_info[:]
    result.graph.node.extend(nodes)
    return result


def open_torch(net: LandmarkNet) -> Run:
    """Return what a network gives, on the CPU, as exported files are run."""
    net = copy.deepcopy(net).cpu().eval()

    @torch.inference_mode()
    def run(inputs: np.ndarray) -> Outputs:
        points, sigma = net.with_sigma(torch.from_numpy(inputs))
        return Outputs(points.numpy(), sigma.numpy() if net.uncertainty.fitted else None)

    return run


def model_info(net: LandmarkNet, info: FacesInfo) -> ModelInfo:
    """Gather what the file says about itself."""
    scheme, config, uncertainty = info.scheme, net.config, net.uncertainty
    return ModelInfo(
        dataset=info.dataset,
        licence=info.licence,
        backbone=config.backbone,
        points=config.points,
        input_size=config.size,
        mean=config.mean,
        std=config.std,
        colour_order="RGB",
        margin=info.margin,
        box=info.box,
        box_in_haar=info.box_in_haar,
        box_in_yunet=info.box_in_yunet,
        point_names=scheme.names,
        flip=tuple(scheme.flip.tolist()),
        contours=scheme.contours,
        regions=_decimals(uncertainty.regions) if uncertainty.fitted else None,
        typical_sigma=_decimals(uncertainty.typical) if uncertainty.fitted else None,
    )


def _decimals(values: Tensor) -> Any:
    return tuple(round(value, 4) for value in values.tolist())


def _write_onnx(net: LandmarkNet, info: ModelInfo, path: Path) -> None:
    size = net.config.size
    shapes: dict[str, tuple[int, ...]] = {OUTPUT_NAME: (info.points, 2)}
    if net.uncertainty.fitted:
        shapes[SIGMA_NAME] = (info.points,)
        # What the exporter runs; of a copy.
        net.forward = net.with_sigma  # type: ignore
    with warnings.catch_warnings():
        # The newer exporter needs onnxscript and writes the paths of source files into the model,
        # so its bytes depend on where the project lies. This one folds BatchNorm, too.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net,
            (torch.zeros(2, 3, size, size),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=list(shapes),
            dynamic_axes={name: {0: "faces"} for name in (INPUT_NAME, *shapes)},
        )
    model = folded(onnx.load(path))
    # The exporter does not see through every head; readers and phones' converters want to know.
    for output in model.graph.output:
        _, *known = output.type.tensor_type.shape.dim
        for dimension, length in zip(known, shapes[output.name], strict=True):
            dimension.dim_value = length
    onnx.helper.set_model_props(model, info.to_metadata())
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
