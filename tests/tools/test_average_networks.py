"""Averaged weights: what the average is, what joins it, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from landmark_kd.core.errors import UserError
from landmark_kd.faces.prepared import Faces
from landmark_kd.models.network import LandmarkNet, predict_faces
from landmark_kd.training.augment import Augmenter
from tests.support.augmentation import STILL
from tests.support.exported_model import SIZE, tiny_faces, tiny_network
from tools import average_networks
from tools.average_networks import averaged, check_alike, greedy_average, views

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return tiny_faces(tmp_path_factory.mktemp("faces"), 24, validation=4)


@pytest.fixture(scope="module")
def augmenter(faces: Faces) -> Augmenter:
    return Augmenter(STILL, SIZE, faces.info.border, faces.info.scheme.flip)


def shifted(net: LandmarkNet, by: float) -> LandmarkNet:
    """The network with all weights of its head's scores changed."""
    other = copy.deepcopy(net)
    with torch.no_grad():
        for value in other.head.parameters():
            value.add_(by)
    return other


def test_weights_are_the_mean_and_statistics_those_of_the_faces(
    faces: Faces, augmenter: Augmenter
) -> None:
    net = tiny_network()
    seen = []
    found = averaged(shifted(net, -0.1), shifted(net, 0.3), 0.25, views(faces, augmenter, 0))
    for (name, value), expected in zip(
        found.named_parameters(), dict(net.named_parameters()).values(), strict=True
    ):
        torch.testing.assert_close(value, expected, msg=name)
    norm = found.backbone.bn1
    norm.register_forward_pre_hook(lambda _, taken: seen.append(taken[0]))
    with torch.no_grad():
        found(found.normalize(torch.from_numpy(faces.crops(faces.train_rows()))))
    variance, mean = torch.var_mean(seen[0], (0, 2, 3))
    torch.testing.assert_close(norm.running_mean, mean, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(norm.running_var, variance, atol=1e-4, rtol=1e-3)
    assert not found.training


def test_what_lowers_the_error_joins_and_what_does_not_stays_out(
    faces: Faces, augmenter: Augmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What an average is of can be read from one of its values.
    marks = {"a": 5.0, "b": 1.0, "c": 2.0}
    nets = {name: tiny_network() for name in marks}
    for name, net in nets.items():
        net.uncertainty.typical.fill_(marks[name])
    # c joins with a quarter, 1.25; a does not, with a half, 3.125, nor with a quarter, 2.1875.
    errors = {5.0: 5.0, 1.0: 3.0, 2.0: 4.0, 1.5: 2.9, 1.25: 2.5, 3.125: 2.6, 2.1875: 2.7}

    def error(net: LandmarkNet, faces: Faces, truth: np.ndarray) -> float:
        assert truth.shape == (24, 68, 2)
        return errors[float(net.uncertainty.typical[0])]

    monkeypatch.setattr(average_networks, "validation_nme", error)
    net, shares, nme = greedy_average(nets, faces, views(faces, augmenter, 0))
    assert shares == {"b": 0.75, "c": 0.25}
    assert nme == 2.5
    assert float(net.uncertainty.typical[0]) == 1.25


def test_a_network_alone_is_left_as_it_is(faces: Faces, augmenter: Augmenter) -> None:
    net = tiny_network()
    before = predict_faces(net, faces)
    found, shares, _ = greedy_average({"it": net}, faces, views(faces, augmenter, 0))
    assert shares == {"it": 1}
    np.testing.assert_array_equal(predict_faces(found, faces), before)


def test_networks_of_another_kind_or_size_are_refused(faces: Faces, tmp_path: Path) -> None:
    net, other = tiny_network(), tiny_network(flip=faces.info.scheme.flip.tolist())
    renamed = copy.deepcopy(net)
    renamed.config = net.config.model_copy(update={"init": "elsewhere"})
    check_alike({"a": net, "b": renamed}, faces)
    with pytest.raises(UserError, match="b is another kind of network than a"):
        check_alike({"a": net, "b": other}, faces)
    net.config = net.config.model_copy(update={"size": 96})
    with pytest.raises(UserError, match="a takes crops of 96 pixels with 68 points, but"):
        check_alike({"a": net}, faces)
