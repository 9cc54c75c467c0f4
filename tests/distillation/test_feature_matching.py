"""What a student matches of its teacher: maps and attention in the same images, and the head."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from landmark_kd.distillation.feature_matching import (
    heatmap_distance,
    matched_parts,
    resized,
    resized_scores,
    take_head,
)
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.models.heads import IntegralHead
from landmark_kd.models.network import LandmarkNet, build_network

SIZE = 64


def network(
    backbone: str = "test_efficientnet", *, seed: int = 0, flip: bool = False
) -> LandmarkNet:
    """A network whose attention differs from place to place, as trained ones do."""
    torch.manual_seed(seed)
    table = IBUG_68.flip.tolist() if flip else None
    net = build_network(
        backbone, "integral", "random", "auto", points=68, size=SIZE, flip=table
    ).eval()
    assert isinstance(net.head, IntegralHead)
    torch.nn.init.normal_(net.head.scores.weight)
    return net


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def seen(net: LandmarkNet, inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Scores and maps, computed step by step in the mode that the network is in."""
    assert isinstance(net.head, IntegralHead)
    maps = net._maps(inputs)
    fused = net.head.fusion(maps)
    return net.head.scores(fused), [*maps, fused]


def test_a_network_is_no_distance_from_itself_and_some_from_another(inputs: Tensor) -> None:
    one, same, other = network(), network(), network(seed=1)
    for net, distant in ((same, False), (other, True)):
        parts = matched_parts(
            net.detailed(inputs), one.detailed(inputs), features=1.0, heatmap=1.0, every_map=True
        )
        assert list(parts) == ["features", "heatmap"]
        assert [bool(value > 1e-3) for value in parts.values()] == [distant] * 2, parts


@pytest.mark.parametrize("averages", [False, True])
def test_a_student_is_pulled_towards_what_its_teacher_sees_in_the_straight_image(
    inputs: Tensor, averages: bool
) -> None:
    student, teacher = network(seed=1), network(flip=True)
    with torch.no_grad():
        found = teacher.detailed(inputs, mirror=averages)
    parts = matched_parts(
        student.train().detailed(inputs), found, features=0.5, heatmap=2.0, every_map=True
    )
    with torch.no_grad():
        own, wanted = seen(student, inputs), seen(teacher, inputs)
    pairs = list(zip(own[1], wanted[1], strict=True))
    # Of an untrained teacher some maps hardly vary; those count as if they varied by 0.01.
    assert [bool(b.var() < 0.01) for _, b in pairs].count(True) in (1, 2, 3)
    maps = [((a - b) ** 2).mean() / b.var().clamp_min(0.01) for a, b in pairs]
    assert len(maps) == 4
    attention = [scores.flatten(2).softmax(dim=-1) for scores in (own[0], wanted[0])]
    divergence = (attention[1] * (attention[1] / attention[0]).log()).sum(dim=-1).mean()
    expected = {"features": 0.5 * sum(maps) / 4, "heatmap": 2 * divergence}
    torch.testing.assert_close(parts, expected, rtol=1e-4, atol=1e-5)
    sum(parts.values(), torch.tensor(0.0)).backward()
    assert all(p.grad is not None for p in student.parameters())
    assert all(p.grad is None for p in teacher.parameters())


def test_the_divergence_is_that_of_a_case_done_by_hand() -> None:
    scores = torch.log(torch.tensor([0.5, 0.5])).reshape(1, 1, 1, 2)
    wanted = torch.log(torch.tensor([0.25, 0.75])).reshape(1, 1, 1, 2)
    divergence = heatmap_distance(scores, wanted)
    np.testing.assert_allclose(divergence, 0.25 * np.log(0.5) + 0.75 * np.log(1.5), rtol=1e-6)


def test_a_teacher_of_larger_crops_is_matched_on_the_students_grid() -> None:
    torch.manual_seed(0)
    student = build_network("test_efficientnet", "integral", "random", "auto", points=68, size=64)
    teacher = build_network("test_efficientnet", "integral", "random", "auto", points=68, size=96)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = teacher.eval().detailed(resized(images, 96))
    own = student.eval().detailed(images)
    assert own.scores is not None
    assert found.scores is not None
    assert own.scores.shape[-1] < found.scores.shape[-1]
    parts = matched_parts(own, found, features=1.0, heatmap=1.0, every_map=True)
    sum(parts.values(), torch.tensor(0.0)).backward()
    assert all(bool(part.isfinite()) for part in parts.values())


@pytest.mark.parametrize(("side", "other"), [(18, 14), (14, 18), (12, 12)])
def test_a_heat_map_stays_where_it_is_on_another_grid(side: int, other: int) -> None:
    places = (torch.arange(side) + 0.5) / side - 0.5
    x, y = places.expand(side, -1), places[:, None].expand(-1, side)
    scores = -(((x - 0.1) ** 2 + (y + 0.2) ** 2) / (2 * 0.08**2))[None, None]
    found = resized_scores(scores, other).flatten(2).softmax(dim=-1)[0, 0].view(other, other)
    places = (torch.arange(other) + 0.5) / other - 0.5
    assert float(found.sum()) == pytest.approx(1, abs=1e-5)
    assert float((found.sum(dim=0) * places).sum()) == pytest.approx(0.1, abs=4e-3)
    assert float((found.sum(dim=1) * places).sum()) == pytest.approx(-0.2, abs=4e-3)


def test_a_student_takes_the_whole_head_of_a_teacher_with_its_backbone() -> None:
    student, teacher = network(seed=1), network()
    take_head(student, teacher)
    for name, value in teacher.head.state_dict().items():
        torch.testing.assert_close(student.head.state_dict()[name], value, rtol=0, atol=0)
    first = next(iter(student.backbone.parameters()))
    assert not torch.equal(first, next(iter(teacher.backbone.parameters())))


def test_a_student_of_another_backbone_keeps_the_layers_that_take_its_maps() -> None:
    student, teacher = network("test_resnet", seed=1), network()
    before = {name: value.clone() for name, value in student.head.state_dict().items()}
    take_head(student, teacher)
    given = teacher.head.state_dict()
    for name, value in student.head.state_dict().items():
        wanted = before[name] if "lateral" in name else given[name]
        torch.testing.assert_close(value, wanted, rtol=0, atol=0)
