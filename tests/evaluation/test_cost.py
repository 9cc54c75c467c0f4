"""What a network costs."""

from __future__ import annotations

import torch
from torch import nn

from landmark_kd.evaluation.cost import network_cost, network_time
from landmark_kd.models.network import LandmarkNet
from tests.support.exported_model import SIZE, tiny_network


def test_parameters_and_times_are_given() -> None:
    net = tiny_network()
    assert network_cost(net)["parameters"] == sum(p.numel() for p in net.parameters())
    taken = network_time(net, repeats=5)
    assert 0 < taken["p10"] <= taken["median"] <= taken["p90"] < 10_000


def test_multiply_adds_are_those_of_a_convolution() -> None:
    class OneConvolution(nn.Module):
        config = tiny_network().config

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)

        def with_sigma(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.layer(inputs)

    cost = network_cost(OneConvolution())  # type: ignore[arg-type]
    assert cost["macs"] == (SIZE * SIZE) * 8 * (3 * 3 * 3)


def test_the_network_itself_stays_as_it_was() -> None:
    net: LandmarkNet = tiny_network().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    network_cost(net)
    network_time(net, repeats=1)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
