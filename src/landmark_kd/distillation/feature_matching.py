"""What a student matches inside of its teacher, beside the points: feature maps and attention.

Both networks have an integral head and look at the same augmented images.

Feature maps (Romero et al. 2015, hints): the fused maps that the heads' scores come from have as
many channels whatever the backbones are, so nothing turns one into the other. Students of the
teacher's own backbone match the maps that go into the fusion, too.

Attention: a head says for each landmark how much it attends to each position of the map, a
distribution like a heat map. A landmark is one mean over all of it, so the attention says far more
than the teacher's points do (Hinton et al. 2015, whose classes are positions here).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from landmark_kd.models.heads import IntegralHead
from landmark_kd.models.network import LandmarkNet

# A map that is the same everywhere has no variance to measure a distance with.
_LEAST_VARIANCE = 1e-6


class Matching:
    """How far a student is from a teacher in the last batch that both have looked at.

    Of a teacher that averages over the mirror image, that is what it sees in the straight image.

    Args:
        student, teacher: with an integral head each, for crops of one size (`Params` sees to it).
        features: weight of the distance between the feature maps.
        heatmap: weight of the distance between the attention of both.
    """

    def __init__(
        self, student: LandmarkNet, teacher: LandmarkNet, *, features: float, heatmap: float
    ) -> None:
        same = student.config.backbone == teacher.config.backbone
        self._own, self._wanted = _Seen(student, inputs=same), _Seen(teacher, inputs=same)
        self._features = features
        self._heatmap = heatmap

    def __call__(self) -> dict[str, Tensor]:
        """Return the weighted distances by name, scalars: features and heatmap."""
        found = {}
        # A teacher's mirror images come after the straight images.
        count = len(self._own.scores)
        if self._features:
            pairs = zip(self._own.maps, self._wanted.maps, strict=True)
            apart = [map_distance(own, wanted[:count]) for own, wanted in pairs]
            found["features"] = self._features * torch.stack(apart).mean()
        if self._heatmap:
            divergence = heatmap_distance(self._own.scores, self._wanted.scores[:count])
            found["heatmap"] = self._heatmap * divergence
        return found


@torch.no_grad()
def take_head(student: LandmarkNet, teacher: LandmarkNet) -> None:
    """Let a student's head begin with the teacher's weights, as far as they are of one shape.

    After Chen et al. 2022 (Knowledge Distillation with the Reused Teacher Classifier), but the head
    goes on learning. The channels of the fused maps then mean the same in both networks from the
    first step on. Of another backbone only the layers that take its maps are left as they are.
    """
    own = student.head.state_dict()
    for name, value in teacher.head.state_dict().items():
        if name in own and own[name].shape == value.shape:
            own[name].copy_(value)


def map_distance(own: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean square difference of two maps in units of the wanted one's variance.

    So maps count alike, however large their values are.

    Args:
        own, wanted: (N, C, H, W).
    """
    return functional.mse_loss(own, wanted) / wanted.var().clamp_min(_LEAST_VARIANCE)


def heatmap_distance(scores: Tensor, wanted: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of attention from the wanted one, in nats.

    It is the mean over faces and landmarks.

    Args:
        scores, wanted: (N, K, H, W); their softmax over the positions is the attention.
    """
    log_own, log_wanted = (s.flatten(2).log_softmax(dim=-1) for s in (scores, wanted))
    divergence = functional.kl_div(log_own, log_wanted, reduction="none", log_target=True)
    return divergence.sum(dim=-1).mean()


class _Seen:
    """What a network's last batch left behind.

    Attributes:
        maps: (N, C, H, W) each; the last one is the fused one.
        scores: (N, K, H, W).

    Args:
        inputs: `maps` has the backbone's maps that are fused, too.
    """

    # The moving average, a copy, has these hooks too; the next step overwrites what it leaves.
    def __init__(self, net: LandmarkNet, *, inputs: bool) -> None:
        head = net.head
        assert isinstance(head, IntegralHead)
        self.maps: list[Tensor] = []
        self.scores = torch.empty(0)

        def fusion(module: nn.Module, taken: tuple[list[Tensor]], fused: Tensor) -> None:
            self.maps = [*taken[0], fused] if inputs else [fused]

        def scores(module: nn.Module, taken: tuple[Tensor], given: Tensor) -> None:
            self.scores = given

        head.fusion.register_forward_hook(fusion)
        head.scores.register_forward_hook(scores)
