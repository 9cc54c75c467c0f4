"""Settings of the augmentation: none of it, and all of it."""

from __future__ import annotations

from landmark_kd.config.params import AugmentParams

STILL = AugmentParams(
    rotation=0,
    scale_min=1,
    scale_max=1,
    shift=0,
    flip=0,
    color_jitter=0,
    blur=0,
    random_erasing=0,
)
LIVELY = AugmentParams(
    rotation=0.5,
    scale_min=0.8,
    scale_max=1.2,
    shift=0.05,
    flip=0.5,
    color_jitter=0.5,
    blur=0.5,
    random_erasing=0.5,
)
