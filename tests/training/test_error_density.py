"""RLE: its density is one, it falls with the error, and missing landmarks say nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from landmark_kd.models.heads import Details
from landmark_kd.training.error_density import FIRST_SCALE, ErrorDensity, Flow

POINTS, CHANNELS = 3, 5


def details(points: Tensor) -> Details:
    """What a network makes of crops, with maps of their own."""
    generator = torch.Generator().manual_seed(0)
    n = len(points)
    fused = torch.randn(n, CHANNELS, 4, 4, generator=generator)
    scores = torch.randn(n, POINTS, 4, 4, generator=generator)
    return Details(points, [fused], scores)


def density(seed: int = 0) -> ErrorDensity:
    torch.manual_seed(seed)
    return ErrorDensity(CHANNELS, POINTS)


def without_flow(density: ErrorDensity) -> ErrorDensity:
    """Make the flow the normal distribution that it starts from."""
    for parameter in density.flow.parameters():
        torch.nn.init.zeros_(parameter)
    return density


def test_the_flow_is_a_density() -> None:
    torch.manual_seed(1)
    flow = Flow().double()
    side = torch.linspace(-12, 12, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        mass = flow.log_prob(grid).exp().sum() * (side[1] - side[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=2e-3)


def test_the_loss_is_that_of_a_case_done_by_hand() -> None:
    hard = torch.zeros(1, POINTS, 2)
    found = details(hard + torch.tensor([0.05, -0.1]))
    loss = without_flow(density())(found, hard)
    # Errors of 1 and 2 scales; the flow is a normal distribution of two numbers.
    normal = (1 + 4) / 2 + math.log(2 * math.pi)
    laplace = 2 * math.log(FIRST_SCALE) + math.log(2) + (1 + 2) / 2
    assert loss.item() == pytest.approx(normal + laplace, rel=1e-5)


def test_the_loss_grows_with_the_error_and_its_gradient_points_away_from_the_truth() -> None:
    hard, net = torch.zeros(2, POINTS, 2), density()
    points = torch.full((2, POINTS, 2), 0.2, requires_grad=True)
    near, far = net(details(points), hard), net(details(points * 2), hard)
    assert float(near) < float(far)
    (gradient,) = torch.autograd.grad(near, points)
    assert bool((gradient > 0).all())


def test_missing_landmarks_change_neither_loss_nor_gradient() -> None:
    hard = torch.zeros(2, POINTS, 2)
    points = torch.full((2, POINTS, 2), 0.1, requires_grad=True)
    net = without_flow(density())
    whole = net(details(points), hard)
    hard[:, 1:] = math.nan
    loss = net(details(points), hard)
    # The sum over what is there, in units of all landmarks: a batch's pieces add up.
    assert float(loss) == pytest.approx(float(whole) / POINTS, rel=1e-5)
    loss.backward()
    assert points.grad is not None
    assert bool((points.grad[:, 1:] == 0).all())
    assert bool((points.grad[:, :1] != 0).all())
    assert net.weight.grad is not None
    assert bool((net.weight.grad[1:] == 0).all())
    assert bool(net.weight.grad[0].any())


def test_scales_learn_how_far_off_each_landmark_is() -> None:
    net = density()
    generator = torch.Generator().manual_seed(2)
    sizes = torch.tensor([0.01, 0.05, 0.2])[None, :, None]
    points = sizes * torch.randn(256, POINTS, 2, generator=generator)
    found, hard = details(points), torch.zeros(256, POINTS, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    for _ in range(200):
        optimizer.zero_grad()
        net(found, hard).backward()
        optimizer.step()
    scales = net.bias.exp().mean(dim=1)
    assert bool((scales[1:] > 2 * scales[:-1]).all()), scales
