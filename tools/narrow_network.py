"""Makes first weights of a narrow network out of the channels of a wide one that count most.

    python -m tools.narrow_network models/tough mobilenetv2_050 models/narrow

A narrow network such as mobilenetv2_050 has no ImageNet weights of its own at hand, and trained
from random ones it stays far behind. Its channels are chosen from a trained network of the same
family, mobilenetv2_100: where a channel is made its BatchNorm's scale says how much it varies, and
where it is taken the sum of the weights on it says how much that matters; the channels with the
largest product are kept (after Li et al. 2017, "Pruning Filters for Efficient ConvNets"). The head
comes along whole. What is written serves as `student.init` or `teacher.init`.

Both backbones are timm's MobileNetV2: a stem, then stages of depthwise separable blocks and
inverted residuals without squeeze-and-excitation, as many in both.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landmark_kd.core.errors import UserError, run_main
from landmark_kd.models.config import WEIGHTS_FILE
from landmark_kd.models.heads import IntegralHead
from landmark_kd.models.network import LandmarkNet, load_network, save_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("wide", type=Path, help="folder of a trained network, such as models/tough")
    parser.add_argument("backbone", help="timm name of the narrow network's backbone")
    parser.add_argument("out", type=Path, help="folder for weights.safetensors and network.json")
    arguments = parser.parse_args()
    wide = load_network(arguments.wide)
    narrow = narrowed(wide, arguments.backbone)
    save_network(narrow, arguments.out)
    sizes = [sum(p.numel() for p in net.parameters()) / 1e6 for net in (wide, narrow)]
    print(f"{arguments.out / WEIGHTS_FILE}: {sizes[1]:.2f} of {sizes[0]:.2f} million parameters")


@torch.no_grad()
def narrowed(wide: LandmarkNet, backbone: str) -> LandmarkNet:
    """Return a network with a narrower backbone, made of the most important channels.

    Its BatchNorms have the statistics of the wide network, which are those of other sums: it is to
    be trained further.

    Raises:
        UserError: the backbones are not of one family.
    """
    config = wide.config.model_copy(update={"backbone": backbone})
    narrow = LandmarkNet(config).eval()
    stages, narrow_stages = _stages(wide), _stages(narrow)
    if [len(stage) for stage in stages] != [len(stage) for stage in narrow_stages]:
        raise UserError(
            f"{backbone} has other stages than {wide.config.backbone}; take a narrower network of "
            "the same family."
        )
    kept: dict[str, Tensor] = {}
    laterals = _laterals(wide)
    first = stages[0][0]
    stem = _most_important(
        [wide.backbone.bn1],
        [_by_input(first.conv_pw) * first.bn1.weight.abs()],
        narrow.backbone.bn1,
    )
    _keep(kept, "backbone.conv_stem", wide.backbone.conv_stem, stem)
    _keep(kept, "backbone.bn1", wide.backbone.bn1, stem)
    stream = stem
    for number, (stage, thin) in enumerate(zip(stages, narrow_stages, strict=True)):
        following = stages[number + 1][0] if number + 1 < len(stages) else None
        consumers = [_by_input(block.conv_pw) for block in stage[1:]]
        consumers += [_by_input(following.conv_pw)] if following is not None else []
        if number in laterals:
            consumers.append(_by_input(laterals[number][1]))
        out = _most_important([_last_norm(b) for b in stage], consumers, _last_norm(thin[0]))
        for place, (block, thin_block) in enumerate(zip(stage, thin, strict=True)):
            _keep_block(kept, f"backbone.blocks.{number}.{place}", (block, thin_block), stream, out)
            stream = out
        if number in laterals:
            name, lateral = laterals[number]
            _keep(kept, name, lateral, None, out)
    state = narrow.state_dict()
    for name, value in wide.state_dict().items():
        if name not in kept and name in state and state[name].shape == value.shape:
            kept[name] = value
    if left := sorted(state.keys() - kept.keys()):
        raise UserError(f"{backbone} has weights that {wide.config.backbone} has not: {left[0]}.")
    narrow.load_state_dict(kept)
    return narrow


def _stages(net: LandmarkNet) -> list[Any]:
    """Return the stages of a backbone, each a list of its blocks."""
    stages = getattr(net.backbone, "blocks", None)
    known = {"DepthwiseSeparableConv", "InvertedResidual"}
    if stages is None or any(
        type(block).__name__ not in known or not isinstance(block.se, nn.Identity)
        for stage in stages
        for block in stage
    ):
        raise UserError(f"{net.config.backbone} is not a MobileNetV2; take such a network.")
    return [list(stage) for stage in stages]


def _laterals(net: LandmarkNet) -> dict[int, tuple[str, nn.Module]]:
    """Return the head's layers that take a stage's output, with their names, by stage."""
    if not isinstance(net.head, IntegralHead):
        raise UserError(f"the network has the head {net.config.head}; take one with integral.")
    by_stride = {entry["reduction"]: entry["module"] for entry in net.backbone.feature_info}
    stages = [int(by_stride[stride].removeprefix("blocks.")) for stride in net.head.STRIDES]
    return {
        stage: (f"head.fusion.lateral.{i}", lateral)
        for i, (stage, lateral) in enumerate(zip(stages, net.head.fusion.lateral, strict=True))
    }


def _keep_block(
    kept: dict[str, Tensor], name: str, blocks: tuple[Any, Any], stream: Tensor, out: Tensor
) -> None:
    """Keep a block's channels; `blocks` are the wide one and the narrow one."""
    block, thin = blocks
    if not hasattr(block, "conv_pwl"):
        _keep(kept, f"{name}.conv_dw", block.conv_dw, stream)
        _keep(kept, f"{name}.bn1", block.bn1, stream)
        _keep(kept, f"{name}.conv_pw", block.conv_pw, out, stream)
        _keep(kept, f"{name}.bn2", block.bn2, out)
        return
    inner = _most_important([block.bn2], [_by_input(block.conv_pwl)], thin.bn2)
    _keep(kept, f"{name}.conv_pw", block.conv_pw, inner, stream)
    _keep(kept, f"{name}.bn1", block.bn1, inner)
    _keep(kept, f"{name}.conv_dw", block.conv_dw, inner)
    _keep(kept, f"{name}.bn2", block.bn2, inner)
    _keep(kept, f"{name}.conv_pwl", block.conv_pwl, out, inner)
    _keep(kept, f"{name}.bn3", block.bn3, out)


def _most_important(producers: list[Any], consumers: list[Tensor], like: Any) -> Tensor:
    """Return the indices of the most important channels, as many as the BatchNorm `like` has.

    Args:
        producers: BatchNorms that give the C channels.
        consumers: (C,) each, how much of a channel is taken.
    """
    given = torch.stack([norm.weight.abs() for norm in producers]).sum(dim=0)
    count = len(like.weight)
    if count > len(given):
        raise UserError(f"a layer has {count} channels, more than the wide network's {len(given)}.")
    importance = given * torch.stack(consumers).sum(dim=0)
    return importance.argsort(descending=True)[:count].sort().values


def _by_input(convolution: Any) -> Tensor:
    """Return the sum of the absolute weights on each input channel (C,)."""
    return convolution.weight.abs().sum(dim=(0, 2, 3))


def _last_norm(block: Any) -> Any:
    return block.bn3 if hasattr(block, "bn3") else block.bn2


def _keep(
    kept: dict[str, Tensor],
    name: str,
    module: nn.Module,
    out: Tensor | None,
    inputs: Tensor | None = None,
) -> None:
    """Keep the given output and input channels of a layer's tensors; None keeps all."""
    for part, value in module.state_dict().items():
        rows = value if out is None or not value.ndim else value[out]
        kept[f"{name}.{part}"] = rows if inputs is None or rows.ndim < 2 else rows[:, inputs]


if __name__ == "__main__":
    run_main(main)
