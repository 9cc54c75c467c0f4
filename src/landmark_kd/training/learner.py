"""A network on its way: optimiser, schedule, moving average, precision and processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from timm.layers import convert_sync_batchnorm
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import ModelEmaV3, distribute_bn
from torch import Tensor, nn
from torch.optim import Optimizer

from landmark_kd.config.params import TrainingParams
from landmark_kd.models.network import LandmarkNet
from landmark_kd.training.loader import Batch
from landmark_kd.training.tasks import Objective

# Learning rate at the first step of the warm-up and at the end of the cosine, as a share.
WARMUP_START = 0.01
COSINE_END = 0.01


class NotFinite(Exception):  # noqa: N818 - a state of the loss, not a defect
    """The loss is not finite; the network is as it was before the step.

    Attributes:
        value: the loss.
        rows: the faces of the first piece of the batch with such a loss.
    """

    def __init__(self, value: float, rows: list[int]) -> None:
        super().__init__(f"the loss is {value}")
        self.value = value
        self.rows = rows


class Learner:
    """A network that learns, alone or with the same network in other processes.

    In every process gradients are those of the whole batch, so all networks stay the same. With
    several processes BatchNorm takes its statistics over all of them on GPUs (SyncBatchNorm); on
    CPUs, where torch has none, each process takes its own and rank 0's running ones are kept.
    """

    def __init__(
        self,
        fabric: Fabric,
        objective: Objective,
        settings: TrainingParams,
        *,
        steps_per_epoch: int,
    ) -> None:
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            objective.net = convert_sync_batchnorm(objective.net)
        self.fabric = fabric
        objective.to(fabric.device)
        self.net = objective.net
        self.clip = settings.clip_grad
        self.steps = 0
        self.all_steps = settings.epochs * steps_per_epoch
        self.optimizer = adamw(objective, settings, fabric)
        self.scheduler = CosineLRScheduler(
            self.optimizer,
            t_initial=self.all_steps,
            lr_min=settings.learning_rate * COSINE_END,
            warmup_t=settings.warmup_epochs * steps_per_epoch,
            warmup_lr_init=settings.learning_rate * WARMUP_START,
            t_in_epochs=False,
        )
        self.ema = _Average(self.net, settings.ema_decay) if settings.ema_decay else None
        # The same tensors, stepped and wrapped as precision and number of processes want it.
        self._objective, self._stepper = fabric.setup(objective, self.optimizer)
        # Looked up once: a walk through the network's modules takes as long as clipping itself.
        self._weights = list(objective.parameters())
        self._learnt = objective

    @property
    def averaged(self) -> LandmarkNet:
        """The network to validate and keep."""
        return self.ema.module if self.ema else self.net

    @property
    def learning_rate(self) -> float:
        return self.optimizer.param_groups[0]["lr"]

    def step(self, pieces: Sequence[Batch], batch_size: int) -> dict[str, float]:
        """Learn from one batch; return the mean over it of `loss` and its named parts.

        Args:
            pieces: this process's share of the batch, whose gradients are added up.
            batch_size: faces in the pieces of all processes together.

        Raises:
            NotFinite: in all processes, if it happens in one.
        """
        if not self.net.training:  # as validation leaves it
            self._objective.train()
        self.scheduler.step_update(self.steps)
        self._learnt.progress = self.steps / self.all_steps
        self._stepper.zero_grad(set_to_none=True)
        parts: dict[str, Tensor] = {}
        values = []
        # A batch's faces count alike.
        shares = [len(piece.rows) / batch_size for piece in pieces]
        for number, (piece, share) in enumerate(zip(pieces, shares, strict=True), start=1):
            last = number == len(pieces)
            with self.fabric.no_backward_sync(self._objective, enabled=not last):
                parts = self._loss(piece)
                # Processes' gradients are averaged.
                self.fabric.backward(parts["loss"] * (share * self.fabric.world_size))
            values.append(torch.stack([value.detach() for value in parts.values()]))
        # Asked for once, when the GPU has all of the step's work but the optimiser's.
        means = self._means(list(parts), torch.stack(values).tolist(), pieces, shares)
        if self.clip:
            # Fabric's own clipping sums in another order, and stops at fp16's first overflow.
            self.fabric.strategy.precision.unscale_gradients(self.optimizer)
            nn.utils.clip_grad_norm_(self._weights, self.clip, foreach=True)
        self._stepper.step()
        if self.ema:
            self.ema.update(self.net, step=self.steps)
        self.steps += 1
        return means

    def before_validation(self) -> None:
        """Give all processes the running statistics of rank 0, where they have their own."""
        if self.fabric.world_size > 1:
            distribute_bn(self.averaged, self.fabric.world_size, reduce=False)

    def averaged_copy(self) -> dict[str, Tensor]:
        """Return the weights to keep, in the CPU's memory."""
        return copies(self.averaged.state_dict())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that `restore` needs, as tensors and as JSON has it."""
        tensors = copies(self._learnt.state_dict(), "objective")
        if self.ema:
            tensors |= copies(self.ema.module.state_dict(), "ema")
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= copies(values, f"optimizer.{index}")
        return tensors, {"steps": self.steps, "scaler": self.fabric.strategy.precision.state_dict()}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to what `state` returned; the optimiser's settings come from the parameters."""
        self._learnt.load_state_dict(under(tensors, "objective"))
        if self.ema:
            self.ema.module.load_state_dict(under(tensors, "ema"))
        fresh = self.optimizer.state_dict()
        order = [p for group in self.optimizer.param_groups for p in group["params"]]
        fresh["state"] = {
            index: {name: _like(value, weight) for name, value in values.items()}
            for index, weight in enumerate(order)
            if (values := under(tensors, f"optimizer.{index}"))
        }
        self.optimizer.load_state_dict(fresh)
        self.fabric.strategy.precision.load_state_dict(state["scaler"])
        self.steps = state["steps"]

    def _loss(self, piece: Batch) -> dict[str, Tensor]:
        """Return the loss, then its named parts."""
        device = self.fabric.device
        images = piece.images.to(device, non_blocking=True)
        targets = piece.targets.to(device, non_blocking=True)
        loss, parts = self._objective(images, targets)
        return {"loss": loss, **parts}

    def _means(
        self,
        parts: list[str],
        values: list[list[float]],
        pieces: Sequence[Batch],
        shares: list[float],
    ) -> dict[str, float]:
        """Average the loss and its parts, a row a piece, over the batch; raise `NotFinite`."""
        means = dict.fromkeys(parts, 0.0)
        culprits: list[int] = []
        for piece, of_piece, share in zip(pieces, values, shares, strict=True):
            for part, value in zip(parts, of_piece, strict=True):
                means[part] += value * share
            if not math.isfinite(of_piece[0]):
                culprits = culprits or piece.rows.tolist()
        means = self._over_processes(means)
        self._check(means["loss"], culprits)
        return means

    def _over_processes(self, means: dict[str, float]) -> dict[str, float]:
        if self.fabric.world_size == 1:
            return means
        values = torch.tensor(list(means.values()), dtype=torch.float64, device=self.fabric.device)
        torch.distributed.all_reduce(values)
        return dict(zip(means, values.tolist(), strict=True))

    def _check(self, loss: float, culprits: list[int]) -> None:
        if math.isfinite(loss):
            return
        found = [culprits]
        if self.fabric.world_size > 1:
            found *= self.fabric.world_size
            torch.distributed.all_gather_object(found, culprits)
        raise NotFinite(loss, next((rows for rows in found if rows), []))


class _Average(ModelEmaV3):
    """timm's moving average of all weights, whose tensors are looked up once, not at each step.

    That takes two thirds of the time away: a `state_dict` of a small network costs as much as the
    arithmetic. The warm-up of the decay lets the average forget the untrained weights.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        super().__init__(net, decay=decay, use_warmup=True)
        averages, weights = self.module.state_dict(), net.state_dict()
        floats = [name for name, value in weights.items() if value.is_floating_point()]
        counters = [name for name in weights if name not in floats]
        self._averages = [averages[name] for name in floats], [averages[name] for name in counters]
        self._weights = [weights[name] for name in floats], [weights[name] for name in counters]

    def apply_update_(self, model: nn.Module, decay: float) -> None:
        torch._foreach_lerp_(self._averages[0], self._weights[0], weight=1 - decay)
        if self._averages[1]:  # BatchNorm's, where there is any
            torch._foreach_copy_(self._averages[1], self._weights[1])


def adamw(net: nn.Module, settings: TrainingParams, fabric: Fabric) -> Optimizer:
    """Return the optimiser of all trainings: AdamW, whose step is one call for all weights.

    On a CPU the fused step takes a third of the time of the others, which loop over the weights.
    It is left where gradients are scaled (fp16): Fabric does not clip those of a fused optimiser.
    """
    scaled = getattr(fabric.strategy.precision, "scaler", None) is not None
    return create_optimizer_v2(
        net,
        opt="adamw",
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=not scaled,
    )


def copies(tensors: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Return copies of tensors in the CPU's memory, their names behind `prefix` and a dot."""
    start = f"{prefix}." if prefix else ""
    return {
        start + name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in tensors.items()
    }


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors that `copies` named with this prefix, without it."""
    start = f"{prefix}."
    return {n.removeprefix(start): value for n, value in tensors.items() if n.startswith(start)}


def _like(value: Tensor, weight: Tensor) -> Tensor:
    """Lay a tensor of the optimiser out in memory as its weight is; counters stay as they are.

    Another order of the same numbers takes other loops of torch, which may round otherwise.
    """
    return torch.empty_like(weight).copy_(value) if value.shape == weight.shape else value
