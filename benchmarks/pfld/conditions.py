"""Faces sorted by what makes them hard: how the head is turned, how the image is lit."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from landmark_kd.core.parallel import threaded_map
from landmark_kd.data.datasets.base import FaceRecord, rows_by_image
from landmark_kd.evaluation.exported_report import YAW_EDGES, Bins, edged, named_bins
from landmark_kd.imaging.crops import sample
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.head import head_pose

ROLL_EDGES = (5, 10, 20)
QUARTERS = ("lowest", "second", "third", "highest")
# Light is measured on the square around the landmarks' box, sampled at so many pixels a side, the
# same for a large and a small face.
LIGHT_PIXELS = 64


def conditions(faces: Sequence[FaceRecord], true: np.ndarray) -> dict[str, Bins]:
    """Sort faces into bins.

    Args:
        faces: N; their images are read.
        true: (N, 68, 2) hard-landmarks of the 300-W scheme, pixels.

    Returns:
        By `yaw` and `roll` (absolute degrees, `head_pose.head_pose`), by `luminance` and `contrast`
        (mean and standard deviation of the grey values 0 to 255 within the square around the
        landmarks, in quarters of these faces). Bins without a face are left out.
    """
    yaw, _, roll = np.abs(head_pose(true)).T
    luminance, contrast = light(faces, true).T
    return {
        "yaw": edged(yaw, YAW_EDGES, "°"),
        "roll": edged(roll, ROLL_EDGES, "°"),
        "luminance": quartered(luminance),
        "contrast": quartered(contrast),
    }


def light(faces: Sequence[FaceRecord], true: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation (N, 2) of each face's grey values, 0 to 255."""
    boxes = geometry.landmarks_box(true)

    def measured(rows: list[int]) -> dict[int, tuple[float, float]]:
        image = faces[rows[0]].image.read()
        return {row: _light(image, boxes[row]) for row in rows}

    found: dict[int, tuple[float, float]] = {}
    for of_image in threaded_map(measured, rows_by_image(faces)):
        found.update(of_image)
    return np.array([found[row] for row in range(len(faces))])


def quartered(values: np.ndarray) -> Bins:
    """Sort values (N,) into quarters of sizes as equal as possible, named with their range."""
    order = np.argsort(values, kind="stable")
    quarter = np.empty(len(values), dtype=int)
    quarter[order] = 4 * np.arange(len(values)) // len(values)
    names = []
    for number, name in enumerate(QUARTERS):
        inside = values[quarter == number]
        names.append(f"{name}, {inside.min():.0f} to {inside.max():.0f}" if len(inside) else name)
    return named_bins(names, quarter)


def _light(image: np.ndarray, box: np.ndarray) -> tuple[float, float]:
    crop = sample(image, geometry.square_crop(box, 0.0, LIGHT_PIXELS), LIGHT_PIXELS)
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    return float(grey.mean()), float(grey.std())
