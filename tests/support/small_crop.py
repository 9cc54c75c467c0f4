"""The crop that tests of the preparation cut."""

from __future__ import annotations

from landmark_kd.config.params import CropParams

CROP = CropParams(
    resolution=48,
    teacher_resolution=None,
    margin=0.25,
    box="landmarks",
    detector="haar",
    context=1.5,
)
