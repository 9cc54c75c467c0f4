"""A narrow network made of a wide one's most important channels."""

from __future__ import annotations

import pytest
import torch

from landmark_kd.config.params import HeadName
from landmark_kd.core.errors import UserError
from landmark_kd.models.network import LandmarkNet, build_network
from tools.narrow_network import narrowed

pytestmark = pytest.mark.seconds


def wide(backbone: str = "mobilenetv2_100", head: HeadName = "integral") -> LandmarkNet:
    torch.manual_seed(0)
    return build_network(backbone, head, "random", "auto", points=5, size=64).eval()


def test_channels_that_count_are_kept_and_the_others_go() -> None:
    net = wide()
    block = net.backbone.blocks[1][0]
    half = len(block.bn2.weight) // 2
    with torch.no_grad():
        block.bn2.weight[:half] = 1e-3
    narrow = narrowed(net, "mobilenetv2_050")
    kept = narrow.backbone.blocks[1][0].bn2.weight
    assert bool((kept == 1).all())
    torch.testing.assert_close(
        narrow.head.state_dict()["fusion.mix.0.weight"],
        net.head.state_dict()["fusion.mix.0.weight"],
    )


def test_a_network_of_the_same_width_is_the_network_itself() -> None:
    net = wide()
    same = narrowed(net, "mobilenetv2_100")
    for name, value in net.state_dict().items():
        torch.testing.assert_close(same.state_dict()[name], value, rtol=0, atol=0)


def test_silent_channels_leave_no_trace_in_the_outputs() -> None:
    """With all but the kept channels silent, the narrow network predicts what the wide one does."""
    net = wide()
    narrow_shape = wide("mobilenetv2_050")
    with torch.no_grad():
        for stage, thin in zip(net.backbone.blocks, narrow_shape.backbone.blocks, strict=True):
            for block, thin_block in zip(stage, thin, strict=True):
                for norm in ("bn1", "bn2", "bn3"):
                    if hasattr(block, norm):
                        weight, count = (
                            getattr(block, norm).weight,
                            len(getattr(thin_block, norm).weight),
                        )
                        weight[count:] = 0
        net.backbone.bn1.weight[16:] = 0
    narrow = narrowed(net, "mobilenetv2_050")
    inputs = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(narrow(inputs), net(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", ["mobilenetv2_140", "resnet10t", "mobilenetv3_small_100"])
def test_a_backbone_that_cannot_be_made_of_the_wide_one_is_refused(backbone: str) -> None:
    with pytest.raises(UserError, match=r"same family|more than|is not a MobileNetV2"):
        narrowed(wide(), backbone)


def test_a_head_without_maps_is_refused() -> None:
    with pytest.raises(UserError, match="head pool"):
        narrowed(wide(head="pool"), "mobilenetv2_050")
