"""A step: its optimiser, its moving average, its pieces, and a loss that is not finite."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3

from landmark_kd.models.network import LandmarkNet, build_network
from landmark_kd.training.learner import Learner, NotFinite, adamw
from landmark_kd.training.loader import Batch
from landmark_kd.training.processes import training_processes
from landmark_kd.training.tasks import regression_task
from tests.support.tiny_training import tiny_params

SETTINGS = tiny_params().student
SIZE, BATCH = 32, 8


@pytest.fixture
def fabric() -> Iterator[Fabric]:
    with training_processes(tiny_params().base) as found:
        yield found


def network() -> LandmarkNet:
    torch.manual_seed(0)
    return build_network("test_efficientnet", "pool", "random", "auto", points=68, size=SIZE)


def learner(fabric: Fabric) -> Learner:
    task = regression_task(np.zeros((BATCH, 68, 2)), "l1")
    objective = task.objective(network(), fabric.device)
    return Learner(fabric, objective, SETTINGS, steps_per_epoch=BATCH)


def batch(number: int) -> Batch:
    rng = np.random.default_rng(number)
    return Batch(
        torch.from_numpy(rng.integers(0, 256, (BATCH, SIZE, SIZE, 3), dtype=np.uint8)),
        torch.from_numpy(rng.uniform(-0.5, 0.5, (BATCH, 1, 68, 2)).astype(np.float32)),
        torch.arange(BATCH) + 100 * number,
    )


def state(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def test_the_moving_average_is_timms_to_the_last_bit(fabric: Fabric) -> None:
    learning = learner(fabric)
    expected = ModelEmaV3(learning.net, decay=SETTINGS.ema_decay, use_warmup=True)
    before = state(learning.averaged)
    for number in range(6):
        learning.step([batch(number)], BATCH)
        expected.update(learning.net, step=number)
    found = learning.averaged.state_dict()
    assert found["head.output.weight"].ne(before["head.output.weight"]).any()
    for name, value in expected.module.state_dict().items():
        assert torch.equal(found[name], value), name


def test_the_moving_average_goes_on_with_weights_that_were_restored(fabric: Fabric) -> None:
    whole, broken = learner(fabric), learner(fabric)
    for number in range(2):
        whole.step([batch(number)], BATCH)
    broken.restore(*whole.state())
    for number in range(2, 4):
        whole.step([batch(number)], BATCH)
        broken.step([batch(number)], BATCH)
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(broken.averaged.state_dict()[name], value), name


def test_steps_are_those_of_torchs_plain_adamw(fabric: Fabric) -> None:
    """The fused one rounds otherwise; both have the same decay and the same learning rate."""
    one, other = network(), network()
    fused = adamw(one, SETTINGS, fabric)
    groups = [{**group, "params": []} for group in fused.param_groups]
    for group, of_fused in zip(groups, fused.param_groups, strict=True):
        wanted = {id(p) for p in of_fused["params"]}
        pairs = zip(one.parameters(), other.parameters(), strict=True)
        group["params"] = [o for p, o in pairs if id(p) in wanted]
        group["fused"] = False
    plain = torch.optim.AdamW(groups, foreach=False)
    assert {group["weight_decay"] for group in groups} == {0.0, SETTINGS.weight_decay}
    for number in range(3):
        for net, optimizer in ((one, fused), (other, plain)):
            torch.manual_seed(number)
            for weight in net.parameters():
                weight.grad = torch.randn_like(weight)
            optimizer.step()
    assert all(group["fused"] for group in fused.param_groups)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_where_gradients_are_scaled_the_optimiser_is_one_that_fabric_can_clip() -> None:
    precision = SimpleNamespace(scaler=object())
    fp16 = cast(Fabric, SimpleNamespace(strategy=SimpleNamespace(precision=precision)))
    assert not getattr(adamw(network(), SETTINGS, fp16), "_step_supports_amp_scaling", False)


def test_a_loss_that_is_not_finite_names_its_pieces_faces_and_leaves_the_weights(
    fabric: Fabric,
) -> None:
    learning = learner(fabric)
    learning.step([batch(0)], BATCH)
    weights = [weight.clone() for weight in learning.net.parameters()]
    broken = batch(2)
    broken.targets[3] = torch.inf
    with pytest.raises(NotFinite) as found:
        learning.step([batch(1), broken], 2 * BATCH)
    assert found.value.rows == broken.rows.tolist()
    for before, after in zip(weights, learning.net.parameters(), strict=True):
        assert torch.equal(before, after)


def test_what_a_step_tells_is_the_mean_over_the_batchs_faces(fabric: Fabric) -> None:
    learning = learner(fabric)
    pieces = [batch(0), batch(1)]
    part = Batch(pieces[1].images[:2], pieces[1].targets[:2], pieces[1].rows[:2])
    whole = state(learning.net)
    means = learning.step([pieces[0], part], BATCH + 2)
    expected = 0.0
    for piece in (pieces[0], part):
        fresh = network().train()
        fresh.load_state_dict(whole)
        with torch.no_grad():
            pred = fresh(fresh.normalize(piece.images))
        loss = (pred - piece.targets[:, 0]).abs().mean()
        expected += float(loss) * len(piece.rows) / (BATCH + 2)
    assert means["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_network_that_was_validated_is_trained_on_in_training_mode(fabric: Fabric) -> None:
    learning = learner(fabric)
    learning.net.eval()
    learning.step([batch(0)], BATCH)
    assert all(module.training for module in learning.net.modules())


def test_a_loss_is_told_how_far_the_training_is_before_each_step(fabric: Fabric) -> None:
    whole, broken = learner(fabric), learner(fabric)
    told = []
    for learning in (whole, broken):
        objective = learning._learnt
        objective.register_forward_pre_hook(lambda module, _: told.append(module.progress))
    for number in range(3):
        whole.step([batch(number), batch(number)], 2 * BATCH)
    broken.restore(*whole.state())
    broken.step([batch(3)], BATCH)
    steps = SETTINGS.epochs * BATCH
    assert told == [0, 0, 1 / steps, 1 / steps, 2 / steps, 2 / steps, 3 / steps]
