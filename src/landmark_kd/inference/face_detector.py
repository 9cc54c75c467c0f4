"""Finds the faces of an image: YuNet, or OpenCV's Haar detector where its file cannot be had.

YuNet (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector") finds faces of any tilt and
gives five points of each. The points lean towards an upright face, so a face that may be tilted is
looked at once more in a small crop, turned eight ways: the best of these tells the tilt. The file
is fetched once from its publisher, OpenCV's model zoo (MIT licence). Haar comes with OpenCV; it
finds upright faces that look more or less at the camera.
"""

from __future__ import annotations

import os
import threading
import warnings
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from landmark_kd.core.errors import UserError, is_out_of_memory
from landmark_kd.imaging import face_detector as haar
from landmark_kd.imaging.crops import sample
from landmark_kd.landmarks import geometry

NAMES = ("auto", "yunet", "haar")
# The file of YuNet, or yunet or haar: what `auto` is to be.
VARIABLE = "LANDMARK_KD_FACE_DETECTOR"

URL = (
    "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
    "face_detection_yunet_2023mar.onnx"
)
FILE = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
# Seconds to connect and to wait for more; who is offline is to know soon.
TIMEOUT = (3, 30)

# The image is looked at with its longer side reduced to this, by steps, until faces are found: most
# photos need the first alone. On every second 300-W train image (1006) the first found all faces.
LONGER_SIDES = (640, 1280, 2560)
# YuNet finds faces from about this many pixels on.
SMALLEST_SEEN = 12
# Of the 1006 faces 99 in 100 have more than 0.866.
LEAST_SCORE = 0.6
OVERLAP = 0.3
# A face that scores at least this, and whose points lie no more tilted, is upright: on every eighth
# 300-W train image that is so of 95 % of the upright faces and of fewer than 1 in 100 of those
# turned by 60 degrees or more. All others get a second look: square crops of their box, so many
# times as wide and of so many pixels, turned by steps of 45 degrees. The best turn is within 50
# degrees of the true one on 99.6 % of the faces and more, at any angle; 4 turns are not enough.
SURE_SCORE = 0.91
SURE_ROLL = np.radians(10)
TURNS = np.arange(8) * np.pi / 4
SECOND_LOOK = 1.8
SECOND_LOOK_PIXELS = 96
MOST_FACES = 5000
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
    """Faces of an image, the highest score first.

    Attributes:
        boxes: (M, 4) float x0, y0, x1, y1 around the landmarks to expect, of the face as it is when
            it is turned upright about the box's centre; pixels of the image.
        rolls: (M,) float, radians by which the heads are tilted, clockwise as one sees them.
        scores: (M,) float, 0 to 1.
    """

    boxes: np.ndarray
    rolls: np.ndarray
    scores: np.ndarray


class FaceDetector(Protocol):
    """What `LandmarkDetector` asks where the faces are."""

    name: str

    def find(self, image: np.ndarray, min_face: float | None = None) -> FoundFaces:
        """Find the faces of an image (H, W, 3) uint8 BGR.

        Args:
            min_face: height of the smallest face to find in pixels; None leaves it to the detector.
        """


class HaarDetector:
    """OpenCV's Haar detector: slow, upright faces only, but always there."""

    name = "haar"

    def find(self, image: np.ndarray, min_face: float | None = None) -> FoundFaces:
        boxes, scores = haar.find_faces(image)
        if min_face is not None:
            large = (boxes[:, 3] - boxes[:, 1]) >= min_face
            boxes, scores = boxes[large], scores[large]
        return FoundFaces(boxes, np.zeros(len(boxes)), scores)


class YuNetDetector:
    """YuNet by OpenCV: fast, faces of any tilt.

    Args:
        path: of its ONNX file.

    Raises:
        UserError: it is not there, or no YuNet.
    """

    name = "yunet"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._own = threading.local()
        if not path.is_file():
            raise UserError(f"the face detector {path} is not there; give the file of YuNet.")
        try:
            # The smallest image that it takes.
            self._run(np.zeros((32, 32, 3), np.uint8))
        except cv2.error as error:
            if is_out_of_memory(error):
                raise
            raise UserError(
                f"{path} is no YuNet that OpenCV can run; give {FILE} of OpenCV's model zoo."
            ) from None

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.path = state["path"]
        self._own = threading.local()

    def find(self, image: np.ndarray, min_face: float | None = None) -> FoundFaces:
        for longer in self._sides(image, min_face):
            seen, points, scores = self.look(image, longer)
            if len(points):
                break
        boxes, rolls = _landmark_boxes(points)
        for i in np.flatnonzero((scores < SURE_SCORE) | (np.abs(rolls) > SURE_ROLL)):
            points[i] = self._second_look(image, seen[i], points[i])
        boxes, rolls = _landmark_boxes(points)
        if min_face is not None:
            large = (boxes[:, 3] - boxes[:, 1]) >= min_face
            boxes, rolls, scores = boxes[large], rolls[large], scores[large]
        order = np.argsort(-scores, kind="stable")
        return FoundFaces(boxes[order], rolls[order], scores[order])

    def look(self, image: np.ndarray, longer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what YuNet says of an image whose longer side is made so many pixels long.

        Returns:
            Boxes (M, 4), five points (M, 5, 2), both in pixels of the image as it was, and scores
            (M,).
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
        found = self._run(small)
        corners = found[:, :4].reshape(-1, 2, 2).astype(np.float64)
        corners[:, 1] += corners[:, 0]
        points = found[:, 4:14].reshape(-1, 5, 2).astype(np.float64)
        # Pixel centres are at integers.
        scale = np.array([width / size[0], height / size[1]])
        boxes, points = ((p + 0.5) * scale - 0.5 for p in (corners, points))
        return boxes.reshape(-1, 4), points, found[:, 14].clip(0, 1).astype(np.float64)

    def _sides(self, image: np.ndarray, min_face: float | None) -> list[int]:
        """Return lengths to reduce the longer side to, tried until faces are found."""
        longer = max(image.shape[:2])
        if min_face is not None:
            needed = longer * SMALLEST_SEEN / max(min_face, 1)
            return [round(min(max(needed, LONGER_SIDES[0]), longer, LONGER_SIDES[-1]))]
        reduced = [side for side in LONGER_SIDES if side < longer]
        return [*reduced, min(longer, LONGER_SIDES[-1])] if reduced else [longer]

    def _second_look(self, image: np.ndarray, box: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the five points (5, 2) of a face, as they are seen where it is most upright."""
        best = 0.0
        side = np.sqrt(np.prod(box[2:] - box[:2]))
        centre = (box[:2] + box[2:]) / 2
        square = np.concatenate([centre - side / 2, centre + side / 2])
        for turn in TURNS:
            to_crop = geometry.square_crop(square, SECOND_LOOK - 1, SECOND_LOOK_PIXELS, turn)
            found = self._run(sample(image, to_crop, SECOND_LOOK_PIXELS))
            # Of the faces in the crop the one in its middle is meant.
            middle = np.abs(found[:, 4:14].reshape(-1, 5, 2).mean(axis=1) - SECOND_LOOK_PIXELS / 2)
            found = found[middle.max(axis=1) < SECOND_LOOK_PIXELS / 4]
            if len(found) and found[:, 14].max() > best:
                row = found[found[:, 14].argmax()]
                best = row[14]
                points = geometry.apply(geometry.invert(to_crop), row[4:14].reshape(5, 2))
        return points

    def _run(self, image: np.ndarray) -> np.ndarray:
        # It keeps what it works on within itself: one for each thread.
        if not hasattr(self._own, "net"):
            self._own.net = cv2.FaceDetectorYN.create(
                str(self.path), "", (32, 32), LEAST_SCORE, OVERLAP, MOST_FACES
            )
        # Less than its coarsest map is filled up, which it cannot do.
        height, width = image.shape[:2]
        below, right = max(0, 32 - height), max(0, 32 - width)
        if below or right:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        self._own.net.setInputSize((image.shape[1], image.shape[0]))
        _, found = self._own.net.detect(image)
        if found is None:
            return np.empty((0, 15), np.float32)
        # On images a few pixels high it may give boxes that are none.
        return found[np.isfinite(found).all(axis=1) & (found[:, 2:4] > 0).all(axis=1)]


def make_detector(name: str = "auto", file: str | Path | None = None) -> FaceDetector:
    """Return a face detector.

    Args:
        name: of NAMES. auto is what the environment variable LANDMARK_KD_FACE_DETECTOR says, else
            YuNet; where its file is not there and cannot be fetched it is Haar, and a warning says
            so.
        file: of YuNet; None looks for it in the user's cache and fetches it there.

    Raises:
        ValueError: there is no such detector.
        UserError: the file is not there, no YuNet, or cannot be fetched.
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
        return HaarDetector()
    if file is not None:
        return YuNetDetector(Path(file))
    try:
        return YuNetDetector(fetched())
    except UserError as error:
        if name == "yunet":
            raise
        warnings.warn(
            f"faces are looked for with OpenCV's Haar detector, which misses tilted and turned "
            f"ones: {error}",
            stacklevel=2,
        )
        return HaarDetector()


def fetched(url: str = URL) -> Path:
    """Return YuNet's file in the user's cache, fetched from its publisher if it is not there.

    Raises:
        UserError: it cannot be fetched, or is another one than it should be.
    """
    import pooch  # with all that it needs it takes longer to import than a face takes to find

    folder = pooch.os_cache("landmark-kd")
    cache = pooch.create(
        folder,
        base_url="",
        registry={FILE: f"sha256:{SHA256}"},
        urls={FILE: url},
        retry_if_failed=1,
    )
    bring = (
        f"download {url} yourself and give it with --detector-model FILE, or put it into {folder}"
    )
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        return Path(cache.fetch(FILE, downloader=pooch.HTTPDownloader(timeout=TIMEOUT)))
    except ValueError:  # pooch's word for another checksum
        raise UserError(
            f"what {url} gave is not the file of YuNet that is expected (its SHA-256 differs); "
            f"{bring}."
        ) from None
    except Exception as error:  # requests' and the system's exceptions have no base of their own
        if is_out_of_memory(error):
            raise
        raise UserError(
            f"the file of the face detector YuNet could not be fetched ({type(error).__name__}); "
            f"{bring}."
        ) from None
    finally:
        logger.setLevel(level)


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
    offset = (box[:, :2] + box[:, 2:]) / 2
    half = (box[:, 2:] - box[:, :2]).clip(min=1e-6) / 2
    centre = middle + geometry.turned(offset, rolls)
    return np.concatenate([centre - half, centre + half], axis=1), rolls
