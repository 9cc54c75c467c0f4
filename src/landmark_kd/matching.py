"""What a student matches inside of its teacher, beside the points: feature maps and votes.

Both networks have a voting head and look at the same augmented pictures.

Feature maps (Romero et al. 2015, hints): the fused maps that the heads vote from have as many
channels whatever the backbones are, so nothing turns one into the other. Students of the teacher's
own backbone match the maps that go into the fusion, too.

Votes: at each position of the map a head says, for each landmark, how much it attends to the
position (a distribution over the positions, like a heat map) and which offset it adds. A landmark
is one mean over all of that, so the votes say far more than the teacher's points do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from landmark_kd.heads import VotingHead
from landmark_kd.networks import LandmarkNet

# A map that is the same everywhere has no variance to measure a distance with.
_LEAST_VARIANCE = 1e-6
# Offsets are lengths in units of the crop, some hundredths, where attention differs by tenths.
OFFSETS_WEIGHT = 10.0


class Matching:
    """How far a student is from a teacher in the last batch that both have looked at.

    Of a teacher that averages over the mirror image, that is what it sees in the straight picture.

    Args:
        student, teacher: with a voting head each, for crops of one size (`Params` sees to it).
        features: weight of the distance between the feature maps.
        votes: weight of the distance between the votes.
    """

    def __init__(
        self, student: LandmarkNet, teacher: LandmarkNet, *, features: float, votes: float
    ) -> None:
        same = student.config.backbone == teacher.config.backbone
        self._own, self._wanted = _Seen(student, inputs=same), _Seen(teacher, inputs=same)
        self._features = features
        self._votes = votes

    def __call__(self) -> dict[str, Tensor]:
        """Return the weighted distances by name, scalars: features, attention and offsets."""
        found = {}
        # A teacher's mirror images come after the straight pictures.
        count = len(self._own.scores)
        if self._features:
            pairs = zip(self._own.maps, self._wanted.maps, strict=True)
            apart = [map_distance(own, wanted[:count]) for own, wanted in pairs]
            found["features"] = self._features * torch.stack(apart).mean()
        if self._votes:
            divergence, distance = votes_distance(
                self._own.scores,
                self._own.offsets,
                self._wanted.scores[:count],
                self._wanted.offsets[:count],
            )
            found["attention"] = self._votes * divergence
            found["offsets"] = self._votes * OFFSETS_WEIGHT * distance
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


def votes_distance(
    scores: Tensor, offsets: Tensor, wanted_scores: Tensor, wanted_offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return how far votes are from wanted ones, means over faces and landmarks.

    Args:
        scores, wanted_scores: (N, K, H, W); their softmax over the positions is the attention.
        offsets, wanted_offsets: (N, 2 K, H, W), x and y of each landmark in turn, in units of the
            crop.

    Returns:
        The Kullback-Leibler divergence of the own attention from the wanted one, in nats; and the
        mean difference of the offsets in x and y, weighted by the wanted attention.
    """
    log_own, log_wanted = (s.flatten(2).log_softmax(dim=-1) for s in (scores, wanted_scores))
    divergence = functional.kl_div(log_own, log_wanted, reduction="none", log_target=True)
    apart = (offsets - wanted_offsets).abs().reshape(*scores.shape[:2], 2, -1)
    distance = (log_wanted.exp()[:, :, None] * apart).sum(dim=-1)
    return divergence.sum(dim=-1).mean(), distance.mean()


class _Seen:
    """What a network's last batch left behind.

    Attributes:
        maps: (N, C, H, W) each; the last one is the fused one.
        scores: (N, K, H, W).
        offsets: (N, 2 K, H, W).

    Args:
        inputs: `maps` has the backbone's maps that are fused, too.
    """

    # The moving average, a copy, has these hooks too; the next step overwrites what it leaves.
    def __init__(self, net: LandmarkNet, *, inputs: bool) -> None:
        head = net.head
        assert isinstance(head, VotingHead)
        self.maps: list[Tensor] = []
        self.scores = self.offsets = torch.empty(0)

        def fusion(module: nn.Module, taken: tuple[list[Tensor]], fused: Tensor) -> None:
            self.maps = [*taken[0], fused] if inputs else [fused]

        def scores(module: nn.Module, taken: tuple[Tensor], given: Tensor) -> None:
            self.scores = given

        def offsets(module: nn.Module, taken: tuple[Tensor], given: Tensor) -> None:
            self.offsets = given

        head.fusion.register_forward_hook(fusion)
        head.scores.register_forward_hook(scores)
        head.offsets.register_forward_hook(offsets)
