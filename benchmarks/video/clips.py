"""Clips of a face in a photo that moves on a known path, with the noise of a camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from landmark_kd.data.datasets.pts import read_pts
from landmark_kd.imaging.images import read_image
from landmark_kd.landmarks import geometry

RATE = 30
WIDTH, HEIGHT = 640, 480
# Pixels: longer side of the landmarks' box.
FACE = 160
# Of the grey values, and of the JPEG that each frame goes through: a webcam in room light.
NOISE = 4.0
QUALITY = 85
# Sides of the face a second: a head that turns to somebody or leans over.
SPEED = 1.0

# Shift (x, y) in sides of the face, scale and angle in degrees, at a time in seconds.
Motion = Callable[[float], tuple[float, float, float, float]]


def still(time: float) -> tuple[float, float, float, float]:
    """Stay where it is."""
    return 0, 0, 1, 0


def line(time: float) -> tuple[float, float, float, float]:
    """Go to and fro at SPEED, turning at once."""
    return 0.5 - abs(time * SPEED % 2 - 1), 0, 1, 0


def swing(time: float) -> tuple[float, float, float, float]:
    """Swing to and fro once in two seconds; SPEED is its highest."""
    return SPEED / np.pi * np.sin(np.pi * time), 0, 1, 0


def tour(time: float) -> tuple[float, float, float, float]:
    """Move, come nearer, and tilt by up to 30 degrees, all in 10 s."""
    turn = 2 * np.pi * time / 10
    return (
        0.6 * np.sin(2 * turn),
        0.25 * np.sin(3 * turn),
        1 + 0.3 * np.sin(turn),
        30 * np.sin(turn),
    )


@dataclass(frozen=True)
class Photo:
    """A photo (H, W, 3) uint8 BGR and the hard-landmarks (K, 2) of one face in it."""

    image: np.ndarray
    landmarks: np.ndarray


def read_photos(folder: Path, count: int) -> list[Photo]:
    """Read photos of a folder of 300-W, spread evenly over it, whose face is FACE or larger."""
    files = sorted(folder.glob("*.pts"))
    photos: list[Photo] = []
    for file in files[:: max(1, len(files) // (2 * count))]:
        landmarks = read_pts(file, 68)
        box = geometry.landmarks_box(landmarks)
        if (box[2:] - box[:2]).max() >= FACE and len(photos) < count:
            photos.append(Photo(read_image(file.with_suffix(".jpg")), landmarks))
    return photos


def frames(
    photo: Photo, motion: Motion, seconds: float, seed: int = 0
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield time in seconds, image (480, 640, 3) uint8 BGR and true landmarks (K, 2) of frames.

    The face lies in the middle when it does not move; beyond the photo its edge is repeated.
    """
    rng = np.random.default_rng(seed)
    box = geometry.landmarks_box(photo.landmarks)
    centre, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max()
    shrunk = photo.image
    shrink = np.column_stack([np.eye(2), np.zeros(2)])
    # Down to twice the size needed by averages of pixels, the rest bilinear.
    if side > 2 * FACE:
        factor = 2 * FACE / side
        shrunk = cv2.resize(photo.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        size = np.array(photo.image.shape[1::-1])
        real = np.array(shrunk.shape[1::-1]) / size
        shrink = np.column_stack([np.diag(real), 0.5 * real - 0.5])
    for number in range(round(seconds * RATE)):
        time = number / RATE
        x, y, scale, angle = motion(time)
        turn, size_now = np.deg2rad(angle), FACE / side * scale
        linear = size_now * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        to = np.array([WIDTH / 2, HEIGHT / 2]) + FACE * np.array([x, y])
        matrix = np.column_stack([linear, to - linear @ centre])
        image = cv2.warpAffine(
            shrunk,
            geometry.compose(matrix, geometry.invert(shrink)),
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        noisy = image + NOISE * rng.standard_normal(image.shape, dtype=np.float32)
        code = cv2.imencode(
            ".jpg", noisy.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        )[1]
        decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
        assert decoded is not None
        yield time, decoded, geometry.apply(matrix, photo.landmarks)
