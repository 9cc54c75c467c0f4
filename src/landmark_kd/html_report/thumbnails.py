"""Small images of faces and their landmarks as text, as many as a page has room for."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.missing import present

# Sides in pixels, the largest first; the largest at which all faces have room is taken.
SIDES = (224, 192, 160, 144, 128, 112, 96)
# What is shown at the head of the page has room to be large.
LARGEST = 256
JPEG_QUALITY = 72
# Faces that are encoded to learn how large an image is.
SAMPLED = 24
# A coordinate is written as two letters of base64: 12 bits for the image and as much of its
# surroundings, a landmark further off lies at the edge.
STEPS = 64**2
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# From -SPREAD to 1 + SPREAD of the image's side.
SPREAD = 0.5
# Quotes, commas, keys of one face in JSON.
PUNCTUATION = 24


@dataclass(frozen=True)
class Window:
    """What of each face's stored image is shown: the crop and half of the border around it.

    Attributes:
        begin, end: stored pixels.
        to_window: (N, 2, 3) from pixels of the original images to shares of the window's side.
    """

    begin: int
    end: int
    to_window: np.ndarray

    @classmethod
    def of(cls, faces: Faces) -> Window:
        around = faces.info.border // 2
        begin = faces.info.border - around
        end = faces.info.stored_size - begin
        side = end - begin
        to_window = geometry.invert(faces.crop_to_image)
        # Pixel centres are at integers, the window's edge half a pixel before the first.
        to_window[:, :, 2] += around + 0.5
        return cls(begin, end, to_window / side)

    @property
    def side(self) -> int:
        return self.end - self.begin


def encode_images(faces: Faces, rows: Sequence[int], side: int) -> Iterator[str]:
    """Yield each face's image as base64 of a JPEG of side x side pixels, or less if it has less."""
    window = Window.of(faces)
    shown = slice(window.begin, window.end)
    for row in rows:
        image = np.asarray(faces.images[row, shown, shown])
        if side < window.side:
            image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
        assert done  # of a uint8 image it always is
        yield base64.b64encode(jpeg.tobytes()).decode()


def encode_points(points: np.ndarray) -> str:
    """Write points (K, 2), shares of the window's side, as 4 letters each, `....` if missing."""
    share = (points + SPREAD) / (1 + 2 * SPREAD)
    there = present(share)
    number = np.rint(np.where(there[:, None], share, 0).clip(0, 1) * (STEPS - 1)).astype(int)
    letters = np.array(list(LETTERS))
    pairs = np.stack([letters[number // 64], letters[number % 64]], axis=-1).reshape(-1, 4)
    return "".join(
        "".join(four) if known else "...." for four, known in zip(pairs, there, strict=True)
    )


def spread_order(errors: np.ndarray, first: Sequence[int]) -> list[int]:
    """Return all rows (N), `first` ahead, the others so that any beginning spreads over the errors.

    Errors that are NaN come last among equals. The order is that of van der Corput's sequence on
    the faces' ranks: the middle, the quarters, the eighths …
    """
    by_error = np.argsort(errors, kind="stable")
    bits = max(1, int(np.ceil(np.log2(max(2, len(errors))))))
    reverse = [int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits)]
    spread = [int(by_error[number]) for number in reverse if number < len(errors)]
    return list(dict.fromkeys([*map(int, first), *spread]))


def shown_faces(
    faces: Faces,
    points: Mapping[str, np.ndarray],
    order: Sequence[int],
    large: int,
    room: int,
) -> dict[int, dict[str, Any]]:
    """Encode as many faces as there is room for.

    Args:
        points: (N, K, 2) of each network, pixels of the original images.
        order: rows, the most wanted first.
        large: so many of the first are encoded larger.
        room: bytes that JSON of the result may take.

    Returns:
        {row: {image: base64 of a JPEG, hard: points, and the points of each network}}; see
        `encode_points`.
    """
    window = Window.of(faces)
    sets = {"hard": faces.landmarks, **points}
    of_points = sum(4 * len(faces.landmarks[0]) + PUNCTUATION for _ in sets) + PUNCTUATION
    side = _side(faces, order, room, of_points)
    found: dict[int, dict[str, Any]] = {}
    sides = [LARGEST if place < large else side for place in range(len(order))]
    for row, of_face in zip(order, sides, strict=True):
        (image,) = encode_images(faces, [row], of_face)
        room -= len(image) + of_points
        if room < 0:
            break
        in_window = {
            name: geometry.apply(window.to_window[row], of[row]) for name, of in sets.items()
        }
        found[row] = {"image": image} | {n: encode_points(p) for n, p in in_window.items()}
    return found


def _side(faces: Faces, order: Sequence[int], room: int, of_points: int) -> int:
    """Return the largest of SIDES at which all faces have room, the smallest if none is."""
    step = max(1, len(order) // SAMPLED)
    sample = list(order[::step])[:SAMPLED]
    for side in SIDES:
        mean = np.mean([len(image) for image in encode_images(faces, sample, side)])
        if (1.05 * mean + of_points) * len(order) < room:
            return side
    return SIDES[-1]
