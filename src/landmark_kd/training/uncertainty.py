"""Fits what a trained network says of its own errors, on faces that it was and was not trained on.

The logarithm of a landmark's error is a linear function of the mean of the feature map that the
landmarks come from, by ridge regression on augmented train faces. Scale and regions come from the
validation faces, whose errors are those of new faces. Nothing here changes a landmark.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks import uncertainty
from landmark_kd.models.network import LandmarkNet
from landmark_kd.models.uncertainty import summary
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.loader import AugmentedFaces

# More faces make the fit no better: 68 functions of about 128 numbers.
LARGEST_FIT = 4000
# On 300-W (1811 train, 201 validation faces) 0.01 and 0.1 gave the best likelihood of the
# validation errors, 0.001 and 1 one that is 0.004 and 0.006 nats worse.
RIDGE = 0.01
# Share of the crop's side: errors below it are as good as none, and logarithms need a floor.
SMALLEST_ERROR = 1e-4
# The augmentation's epoch that no training gets to.
EPOCH = 2**32 - 1
BATCH = 64


@torch.no_grad()
def fit_uncertainty(
    net: LandmarkNet, faces: Faces, truth: np.ndarray, augmenter: Augmenter, seed: int
) -> None:
    """Fit `net.uncertainty` of a trained network.

    Args:
        truth: (N, K, 2) network coordinates that the network was to learn; NaN where unknown.
        seed: of the choice of faces and of the augmentation.
    """
    was_training = net.training
    net.eval()
    rows = faces.train_rows()
    if faces.labelled is not None:
        rows = rows[faces.labelled[rows]]
    if len(rows) > LARGEST_FIT:
        rows = np.sort(np.random.default_rng(seed).choice(rows, LARGEST_FIT, replace=False))
    augmented = AugmentedFaces(faces.images, truth[:, None], augmenter, seed)
    features, errors = _gathered(net, _augmented(augmented, rows))
    log_errors = np.log(errors + SMALLEST_ERROR)
    # A landmark that no face has gets the others' error.
    known = ~np.isnan(log_errors)
    start = np.where(known.any(axis=0), _mean(log_errors, known), log_errors[known].mean())
    mean, std = features.mean(axis=0), features.std(axis=0) + 1e-6
    inputs = (features - mean) / std
    left = np.where(known, log_errors - start, 0.0)
    penalty = RIDGE * len(inputs) * np.eye(inputs.shape[1])
    weight = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ left).T / std
    bias = start - weight @ mean

    features, errors = _gathered(net, _validation(faces, truth), mirror=True)
    sigma = np.exp(features @ weight.T + bias)
    median = np.nanquantile(errors / sigma, 0.5) / uncertainty.MEDIAN_REGION
    scale = max(float(median), SMALLEST_ERROR)
    bias, sigma = bias + np.log(scale), sigma * scale
    found = net.uncertainty
    for buffer, values in (
        (found.weight, weight),
        (found.bias, bias),
        (found.regions, uncertainty.regions(errors, sigma)),
        (found.typical, uncertainty.typical(sigma)),
    ):
        buffer.copy_(torch.as_tensor(np.asarray(values)))
    net.train(was_training)


def _augmented(faces: AugmentedFaces, rows: np.ndarray) -> Iterator[tuple[Tensor, np.ndarray]]:
    for start in range(0, len(rows), BATCH):
        batch = faces.__getitems__([(EPOCH, int(row)) for row in rows[start : start + BATCH]])
        yield batch.images, batch.targets[:, 0].numpy()


def _validation(faces: Faces, truth: np.ndarray) -> Iterator[tuple[Tensor, np.ndarray]]:
    rows = faces.validation_rows()
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        yield torch.from_numpy(np.ascontiguousarray(faces.crops(part))), truth[part]


def _gathered(
    net: LandmarkNet, batches: Iterator[tuple[Tensor, np.ndarray]], *, mirror: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return summaries (N, C) and errors (N, K) in shares of the crop's side, float64."""
    summaries, errors = [], []
    for images, truth in batches:
        found = net.detailed(net.normalize(images.to(net.mean.device)), mirror=mirror)
        summaries.append(summary(found.maps[-1]).double().cpu().numpy())
        errors.append(np.linalg.norm(found.points.double().cpu().numpy() - truth, axis=-1))
    return np.concatenate(summaries), np.concatenate(errors)


def _mean(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
