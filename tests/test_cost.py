"""What a network costs."""

from __future__ import annotations

import torch
from torch import nn

from landmark_kd.cost import network_cost
from landmark_kd.networks import LandmarkNet
from tests.exported_model import SIZE, tiny_network


def test_parameters_flops_and_times_are_given() -> None:
    net = tiny_network()
    cost = network_cost(net, repeats=5)
    assert cost["parameters"] == sum(p.numel() for p in net.parameters())
    assert 0 < cost["ms_per_face_p10"] <= cost["ms_per_face"] <= cost["ms_per_face_p90"] < 10_000
    assert cost["threads"] == torch.get_num_threads()


def test_a_multiply_add_is_two_operations() -> None:
    class OneConvolution(nn.Module):
        config = tiny_network().config

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.layer(inputs)

    cost = network_cost(OneConvolution(), repeats=1)  # type: ignore[arg-type]
    assert cost["flops"] == 2 * (SIZE * SIZE) * 8 * (3 * 3 * 3)


def test_the_network_itself_stays_as_it_was() -> None:
    net: LandmarkNet = tiny_network().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    network_cost(net, repeats=1)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
