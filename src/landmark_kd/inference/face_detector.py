"""Finds the faces of an image: YuNet, or OpenCV's Haar detector where its file cannot be had.

YuNet (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector") finds faces of any tilt and
gives five points of each. The points lean towards an upright face, so a face that may be tilted can
be looked at closer, in a small crop turned eight ways: the best of these tells the tilt. The file
is fetched once from its publisher, OpenCV's model zoo (MIT licence). Haar comes with OpenCV; it
finds upright faces that look more or less at the camera.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from landmark_kd.core.errors import UserError, is_out_of_memory
from landmark_kd.imaging import face_detector as haar
from landmark_kd.imaging.crops import sample
from landmark_kd.inference.boxes import around, centre_half
from landmark_kd.inference.yunet import YuNet
from landmark_kd.inference.yunet_file import FILE, fetched
from landmark_kd.landmarks import geometry

NAMES = ("auto", "yunet", "haar")
# The file of YuNet, or yunet or haar: what `auto` is to be.
VARIABLE = "LANDMARK_KD_FACE_DETECTOR"

# The image is looked at with its longer side reduced to this, by steps, until faces are found: most
# photos need the first alone. On every second 300-W train image (1006) the first found all faces.
LONGER_SIDES = (640, 1280, 2560)
# YuNet finds faces from about this many pixels on.
SMALLEST_SEEN = 12
# A face that scores at least this, and whose points lie no more tilted, is upright: on every eighth
# 300-W train image that is so of 95 % of the upright faces and of fewer than 1 in 100 of those
# turned by 60 degrees or more (`python -m tools.measure_face_search`, for the next ones, too).
SURE_SCORE = 0.91
SURE_ROLL = np.radians(10)
# The closer look: square crops of the face's box, so many times as wide and of so many pixels,
# turned by steps of 45 degrees. On 300-W train images the best turn is within 50 degrees of the
# true one on 99.6 % of the faces and more, at any angle; 4 turns are not enough.
TURNS = np.arange(8) * np.pi / 4
CLOSER = 1.8
CLOSER_PIXELS = 96
# Where no turn scores as high, as of small and blurred faces, an upright face is taken for one
# upside down only if that scores by UPRIGHT more: most people stand upright. On 126 train faces,
# small and blurred ones too, it mends no turn of an upright face and spoils up to 2 of those turned
# by 90 or 180 degrees.
CLEAR_SCORE = 0.85
UPRIGHT = 0.08
# The box of the landmarks, brows to chin, x0, y0, x1, y1 around the mean of the five points along
# the face's own axes, in units of the length of their axis: for a nose in that mean, and for each
# unit that the nose lies to the right and below of it, as it does in turned and nodding heads.
# Least squares over the 1006 faces, by `python -m tools.measure_face_detector`. The centre is 0.08
# units off (standard deviation; 0.27 without a word from the nose), the box 2.3 wide.
LANDMARK_BOX = np.array(
    [
        [-1.139, -0.9825, 1.2253, 1.4343],
        [-1.8846, 0.0234, -1.9475, 0.0188],
        [-0.1312, 0.6319, -0.5366, -1.8014],
    ]
)


class FoundFaces(NamedTuple):
    """Faces of an image.

    Attributes:
        boxes: (M, 4) float x0, y0, x1, y1 around the landmarks to expect, of the face as it is when
            it is turned upright about the box's centre; pixels of the image.
        rolls: (M,) float, radians by which the heads are tilted, clockwise as one sees them.
        scores: (M,) float, 0 to 1.
        seen: (M, 4) float, the detector's own boxes, upright in the image.
        upright: (M,) bool, whether the detector is sure of the tilt.
    """

    boxes: np.ndarray
    rolls: np.ndarray
    scores: np.ndarray
    seen: np.ndarray
    upright: np.ndarray

    def at(self, rows: np.ndarray) -> FoundFaces:
        """Return some of the faces: their rows, or a bool for each."""
        return FoundFaces(*(values[rows] for values in self))


class FaceDetector(Protocol):
    """What `LandmarkDetector` asks where the faces are."""

    name: str

    def find(self, image: np.ndarray, min_face: float | None = None) -> FoundFaces:
        """Find the faces of an image (H, W, 3) uint8 BGR, the highest score first.

        Args:
            min_face: height of the smallest face to find in pixels; None leaves it to the detector.
        """

    def look_closer(self, image: np.ndarray, found: FoundFaces) -> FoundFaces:
        """Return the same faces with boxes and rolls of a closer look, as far as it tells more."""


class HaarDetector:
    """OpenCV's Haar detector: slow, upright faces only, but always there."""

    name = "haar"

    def find(self, image: np.ndarray, min_face: float | None = None) -> FoundFaces:
        boxes, scores = haar.find_faces(image)
        found = FoundFaces(boxes, np.zeros(len(boxes)), scores, boxes, np.ones(len(boxes), bool))
        return _large(found, min_face)

    def look_closer(self, image: np.ndarray, found: FoundFaces) -> FoundFaces:
        return found  # a face that it finds is upright


class YuNetDetector:
    """YuNet: fast, faces of any tilt.

    Args:
        path: of its ONNX file.
        threads: CPU threads; None leaves their number to onnxruntime.

    Raises:
        UserError: it is not there, or no YuNet.
    """

    name = "yunet"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.threads = threads
        self._open()

    def _open(self) -> None:
        path = self.path
        if not path.is_file():
            state = "is a folder" if path.is_dir() else "is not there"
            raise UserError(f"the face detector {path} {state}; give the file of YuNet, {FILE}.")
        try:
            self._net = YuNet(path, self.threads)
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            if is_out_of_memory(error):
                raise
            raise UserError(
                f"{path} is no YuNet that onnxruntime can run; give {FILE} of OpenCV's model zoo."
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        # onnxruntime's session cannot be copied; the copy opens the file again.
        return {"path": self.path, "threads": self.threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self.threads = state["path"], state["threads"]
        self._open()

    def find(self, image: np.ndarray, min_face: float | None = None) -> FoundFaces:
        for longer in self._sides(image, min_face):
            seen, points, scores = self.look(image, longer)
            if len(points):
                break
        boxes, rolls = _landmark_boxes(points)
        upright = (scores >= SURE_SCORE) & (np.abs(rolls) <= SURE_ROLL)
        return _large(FoundFaces(boxes, rolls, scores, seen, upright), min_face)

    def look(self, image: np.ndarray, longer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what YuNet says of an image whose longer side is made so many pixels long.

        Returns:
            Boxes (M, 4), five points (M, 5, 2), both in pixels of the image as it was, and scores
            (M,), the highest first.
        """
        height, width = image.shape[:2]
        zoom = longer / max(height, width)
        # A narrow image keeps a pixel.
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        if min(size) < SMALLEST_SEEN:  # a strip that holds no face, in which YuNet may find some
            return np.empty((0, 4)), np.empty((0, 5, 2)), np.empty(0)
        small = image
        if size != (width, height):
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        (found,) = self._net.find(small[None])
        corners = found[:, :4].reshape(-1, 2, 2)
        corners = np.stack([corners[:, 0], corners.sum(axis=1)], axis=1)
        # Pixel centres are at integers.
        scale = np.array([width / size[0], height / size[1]])
        boxes, points = (
            (p + 0.5) * scale - 0.5 for p in (corners, found[:, 4:14].reshape(-1, 5, 2))
        )
        return boxes.reshape(-1, 4), points, found[:, 14].clip(0, 1)

    def _sides(self, image: np.ndarray, min_face: float | None) -> list[int]:
        """Return lengths to reduce the longer side to, tried until faces are found."""
        longer = max(image.shape[:2])
        if min_face is not None:
            needed = longer * SMALLEST_SEEN / max(min_face, 1)
            return [round(min(max(needed, LONGER_SIDES[0]), longer, LONGER_SIDES[-1]))]
        reduced = [side for side in LONGER_SIDES if side < longer]
        return [*reduced, min(longer, LONGER_SIDES[-1])] if reduced else [longer]

    def look_closer(self, image: np.ndarray, found: FoundFaces) -> FoundFaces:
        if not len(found.seen):
            return found
        of_face, points, scores = self.look_at_turns(image, found.seen)
        turned_boxes, turned_rolls = _landmark_boxes(points)
        boxes, rolls = found.boxes.copy(), found.rolls.copy()
        for i in range(len(boxes)):
            rows = np.flatnonzero(of_face == i)
            if len(rows):
                best = rows[likeliest(turned_rolls[rows], scores[rows])]
                boxes[i], rolls[i] = turned_boxes[best], turned_rolls[best]
        return found._replace(boxes=boxes, rolls=rolls)

    def look_at_turns(
        self, image: np.ndarray, seen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Look at faces in small crops that are turned by TURNS.

        Args:
            image: (H, W, 3) uint8 BGR.
            seen: (F, 4) the detector's own boxes, one at least.

        Returns:
            For each crop that shows a face in its middle, in the order of the faces: the face's
            number (M,), its five points (M, 5, 2) in pixels of the image, and scores (M,).
        """
        to_crop, crops = zip(*(_turned_crops(image, box) for box in seen), strict=True)
        faces = self._net.find(np.concatenate(crops))
        of_crop, points, scores = _in_middle(np.concatenate(to_crop), faces)
        return of_crop // len(TURNS), points, scores


def _turned_crops(image: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a face out of an image, turned by TURNS.

    Returns:
        The maps (8, 2, 3) to each crop, and the crops (8, CLOSER_PIXELS, CLOSER_PIXELS, 3).
    """
    centre, half = centre_half(seen)
    square = around(centre, np.full(2, np.sqrt(half.prod())))
    to_crop = [geometry.square_crop(square, CLOSER - 1, CLOSER_PIXELS, turn) for turn in TURNS]
    crops = np.empty((len(TURNS), CLOSER_PIXELS, CLOSER_PIXELS, 3), np.uint8)
    for first in range(2):
        crop = sample(image, to_crop[first], CLOSER_PIXELS)
        # Every other turn is a quarter, which moves whole pixels.
        for quarters, row in enumerate(range(first, len(TURNS), 2)):
            crops[row] = np.rot90(crop, quarters)
    return np.array(to_crop), crops


def _in_middle(
    to_crop: np.ndarray, faces: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the faces in the middle of crops, which are those meant; not all crops show one.

    Args:
        to_crop: (C, 2, 3).
        faces: what the network found in each crop, (n, 15), the highest score first.

    Returns:
        The numbers of the crops (M,) that show one, its points (M, 5, 2) in the image, and its
        scores (M,).
    """
    of_crop = np.repeat(np.arange(len(faces)), [len(found) for found in faces])
    found = np.concatenate(faces)
    points = found[:, 4:14].reshape(-1, 5, 2)
    away = np.abs(points.mean(axis=1) - CLOSER_PIXELS / 2).max(axis=1)
    inside = np.flatnonzero(away < CLOSER_PIXELS / 4)
    crops, first = np.unique(of_crop[inside], return_index=True)
    rows = inside[first]
    in_image = geometry.apply(geometry.invert(to_crop[crops]), points[rows])
    return crops, in_image, found[rows, 14]


def likeliest(rolls: np.ndarray, scores: np.ndarray, upright: float = UPRIGHT) -> int:
    """Return which of a face's turns (M,) is taken.

    Where none scores high, one upside down counts `upright` less than an upright one.
    """
    if scores.max() < CLEAR_SCORE:
        scores = scores - upright * (1 - np.cos(rolls)) / 2
    return int(scores.argmax())


def make_detector(
    name: str = "auto", file: str | Path | None = None, threads: int | None = None
) -> FaceDetector:
    """Return a face detector.

    Args:
        name: of NAMES. auto is what the environment variable LANDMARK_KD_FACE_DETECTOR says, else
            YuNet; where its file is not there and cannot be fetched it is Haar, and a warning says
            so.
        file: of YuNet; None looks for it in the user's cache and fetches it there.
        threads: CPU threads of YuNet; None leaves their number to onnxruntime.

    Raises:
        ValueError: there is no such detector.
        UserError: the file is not there, no YuNet, or cannot be fetched; or one is given for Haar.
    """
    if name not in NAMES:
        raise ValueError(f"face_detector is {name!r}; it must be one of {', '.join(NAMES)}")
    if file is None and name != "haar":
        told = os.environ.get(VARIABLE, "")
        if told in NAMES:
            name = told if name == "auto" else name
        elif told:
            file = told
    if name == "haar":
        if file is not None:
            raise UserError(
                f"the face detector is to be Haar, which has no file, but {file} is given as that "
                "of YuNet; leave the file out, or take yunet."
            )
        return HaarDetector()
    if file is not None:
        return YuNetDetector(Path(file), threads)
    try:
        return YuNetDetector(fetched(), threads)
    except UserError as error:
        if name == "yunet":
            raise
        warnings.warn(
            f"faces are looked for with OpenCV's Haar detector, which misses tilted and turned "
            f"ones: {error}",
            stacklevel=2,
        )
        return HaarDetector()


def face_axes(
    points: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return how faces lie, of their five points (M, 5, 2).

    The points are right and left eye, tip of the nose, right and left corner of the mouth.

    Returns:
        Their means (M, 2), lengths (M, 1) of the faces' axis, rolls (M,), and the noses (M, 2) in
        units of these lengths from the mean, along the face's own axes.
    """
    right_eye, left_eye, nose, right_mouth, left_mouth = np.moveaxis(points, 1, 0)
    across = (left_eye - right_eye + left_mouth - right_mouth) / 2
    down = (right_mouth + left_mouth - right_eye - left_eye) / 2
    # A turned head shortens the one and a nodding one the other.
    axis = (across + np.stack([down[:, 1], -down[:, 0]], axis=1)) / 2
    length = np.linalg.norm(axis, axis=1)[:, None]
    rolls = np.arctan2(axis[:, 1], axis[:, 0])
    middle = points.mean(axis=1)
    return middle, length, rolls, geometry.turned(nose - middle, -rolls) / length


def _landmark_boxes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return upright boxes (M, 4) of landmarks, and rolls (M,), of five points (M, 5, 2)."""
    middle, length, rolls, nose = face_axes(points)
    box = length * (np.concatenate([np.ones_like(length), nose], axis=1) @ LANDMARK_BOX)
    offset, half = centre_half(box)
    return around(middle + geometry.turned(offset, rolls), half.clip(min=1e-6)), rolls


def _large(found: FoundFaces, min_face: float | None) -> FoundFaces:
    """Return the faces that are at least `min_face` pixels high."""
    if min_face is None:
        return found
    return found.at(found.boxes[:, 3] - found.boxes[:, 1] >= min_face)
