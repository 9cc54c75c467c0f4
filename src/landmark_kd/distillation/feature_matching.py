"""What a student matches inside of its teacher, beside the points: feature maps and heat maps.

Both networks have an integral head and look at the same augmented images, each in its own size:
the teacher's maps are brought to the student's grid.

Feature maps (Romero et al. 2015, hints): the fused maps that the heads' scores come from have as
many channels whatever the backbones are, so nothing turns one into the other. Students of the
teacher's own backbone match the maps that go into the fusion, too.

Heat maps: a head says for each landmark how much it attends to each position of the map, a
distribution. A landmark is one mean over all of it, so the heat map says far more than the
teacher's points do (Hinton et al. 2015, whose classes are positions here).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from landmark_kd.models.heads import Details
from landmark_kd.models.network import LandmarkNet, take_fitting

# The maps of a teacher that has hardly learnt vary by so little that a distance in units of that
# would drown all else; those of teachers that are trained have a variance of 0.3 and more.
_LEAST_VARIANCE = 0.01


def matched_parts(
    student: Details,
    teacher: Details,
    *,
    features: float,
    heatmap: float,
    every_map: bool,
    present: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the weighted distances of a student from a teacher by name, scalars.

    Args:
        student, teacher: what both make of the same crops.
        features: weight of the distance between the feature maps; 0 leaves it out.
        heatmap: weight of the distance between the heat maps; 0 leaves it out.
        every_map: compare all maps, which takes networks of one backbone; else the fused ones.
        present: (N, K) bool, the landmarks whose heat maps count; all by default.
    """
    found = {}
    if features:
        start = 0 if every_map else -1
        pairs = zip(student.maps[start:], teacher.maps[start:], strict=True)
        apart = [map_distance(own, resized(wanted, own.shape[-1])) for own, wanted in pairs]
        found["features"] = features * torch.stack(apart).mean()
    if heatmap:
        assert student.scores is not None
        assert teacher.scores is not None
        wanted = resized_scores(teacher.scores, student.scores.shape[-1])
        found["heatmap"] = heatmap * heatmap_distance(student.scores, wanted, present)
    return found


def take_head(student: LandmarkNet, teacher: LandmarkNet) -> None:
    """Let a student's head begin with the teacher's weights, as far as they are of one shape.

    After Chen et al. 2022 (Knowledge Distillation with the Reused Teacher Classifier), but the head
    goes on learning. The channels of the fused maps then mean the same in both networks from the
    first step on. Of another backbone only the layers that take its maps are left as they are.
    """
    take_fitting(student.head, teacher.head.state_dict())


def resized(maps: Tensor, side: int) -> Tensor:
    """Return square images or maps (N, C, H, H) with another side, linearly between positions.

    Both grids cover the same square, so a position in shares of the side stays what it is.
    """
    if maps.shape[-1] == side:
        return maps
    size = (side, side)
    return functional.interpolate(maps, size, mode="bilinear", align_corners=False, antialias=True)


def resized_scores(scores: Tensor, side: int) -> Tensor:
    """Return scores (N, K, side, side) whose heat maps are those of `scores` on another grid.

    Probabilities are brought to the grid, not scores, whose differences mean nothing between
    positions.
    """
    if scores.shape[-1] == side:
        return scores
    heat_maps = scores.flatten(2).softmax(dim=-1).view_as(scores)
    # Far from a landmark a heat map is 0 to the last bit.
    return resized(heat_maps, side).clamp_min(torch.finfo(scores.dtype).tiny).log()


def map_distance(own: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean square difference of two maps in units of the wanted one's variance.

    So maps count alike, however large their values are.

    Args:
        own, wanted: (N, C, H, W).
    """
    own, wanted = own.float(), wanted.float()
    return functional.mse_loss(own, wanted) / wanted.var().clamp_min(_LEAST_VARIANCE)


def heatmap_distance(scores: Tensor, wanted: Tensor, present: Tensor | None = None) -> Tensor:
    """Return the Kullback-Leibler divergence of heat maps from the wanted ones, in nats.

    It is the mean over faces and landmarks; those that are not `present` (N, K) add 0.

    Args:
        scores, wanted: (N, K, H, W); their softmax over the positions is the heat map.
    """
    log_own, log_wanted = (s.flatten(2).log_softmax(dim=-1) for s in (scores, wanted))
    divergence = functional.kl_div(log_own, log_wanted, reduction="none", log_target=True)
    of_landmark = divergence.sum(dim=-1)
    return (of_landmark if present is None else of_landmark * present).mean()
