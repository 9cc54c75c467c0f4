"""Faces of a video, followed from frame to frame: each keeps its number, none is searched twice."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from landmark_kd.imaging.face_detector import SAME_FACE
from landmark_kd.inference.boxes import around, centre_half
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.face import Face
from landmark_kd.inference.smoothing import OneEuro, OneEuroFilter
from landmark_kd.landmarks import geometry

# Half of it is where `landmarks.uncertainty.trust` draws the line between a face and none.
LOWEST_SCORE = 0.5
# Frames: a second of ordinary video.
DETECT_EVERY = 30
# Seconds for which a face that was lost is looked for, and known again.
REMEMBERED = 1.0
# Two faces that are followed and whose boxes overlap this much (intersection / union) are one.
TWICE = 0.6
# A face that was lost is known again this far from where it was, in sides of its box.
NEAR = 1.0
# A face that moved by more than this between two frames, in sides of its box, is expected to go on.
# At 30 frames a second the shipped network follows faces at 9 sides a second so, at 3 without; what
# moves less is not expected to, since its jitter would add to the box's.
SWIFT = 0.05
# The box of one frame is at most this many times as large as the one before, or as small.
LARGEST_CHANGE = 1.5


@dataclass(frozen=True, eq=False)
class TrackedFace(Face):
    """A face of one frame, its landmarks smoothed.

    Attributes:
        id: number of the face, from 0; the same in all frames in which it was followed, and not
            given to another face.
    """

    id: int = field(kw_only=True)


@dataclass
class _Track:
    id: int
    face: Face
    # The box, counted from the centre of the landmarks' upright box, in units of that.
    box_in_landmarks: np.ndarray
    smooth: OneEuroFilter | None
    velocity: np.ndarray  # (2,) of the box's centre, a second
    lost_at: float | None = None


class FaceTracker:
    """Follows the faces of one video; made anew for each.

    In each frame landmarks are predicted in the box of the last frame's landmarks, moved on where
    the face is swift, which costs as much as the network alone. Faces are searched in the whole
    image where none is known, for a second after one was lost, and else every `detect_every`
    frames. A face is lost when its score falls below `lowest_score`, when it leaves the image, or
    where two tracks ran into one face.
    """

    def __init__(
        self,
        detector: LandmarkDetector,
        *,
        detect_every: int = DETECT_EVERY,
        lowest_score: float = LOWEST_SCORE,
        min_face: float | None = None,
        smoothing: OneEuro | None = OneEuro(),  # noqa: B008 (it is frozen)
    ) -> None:
        """Args as the class says.

        `min_face` is the height in pixels of the smallest face to look for, None leaves it to the
        face detector; `smoothing` None leaves landmarks as the network gives them.

        Raises:
            ValueError: `detect_every` is below 1 or `lowest_score` not in 0..1.
        """
        if detect_every < 1:
            raise ValueError(f"detect_every is {detect_every}, but must be 1 frame or more")
        if not 0 <= lowest_score <= 1:
            raise ValueError(f"lowest_score is {lowest_score}, but must be from 0 to 1")
        self._detector = detector
        self._detect_every = detect_every
        self._lowest_score = lowest_score
        self._min_face = min_face
        self._smoothing = smoothing
        self._tracks: list[_Track] = []
        self._lost: list[_Track] = []
        self._next_id = 0
        self._unsearched = 0
        self._time = -math.inf

    def update(self, image: np.ndarray, time: float) -> list[TrackedFace]:
        """Return the faces of the next frame, those known longest first.

        Args:
            image: (H, W, 3) uint8 BGR, or (H, W) grey; always of the same video.
            time: of the frame in seconds, from any beginning. Frames need not come regularly.

        Raises:
            ValueError: `time` is before the last frame's, or `image` not as said.
            UserError: the network cannot be run.
        """
        if not time >= self._time or math.isinf(time):
            raise ValueError(
                f"the frame's time is {time} s, but must be finite and not before the last "
                f"frame's, {self._time} s; make a new FaceTracker for another video"
            )
        step = time - self._time
        self._time = time
        self._lost = [track for track in self._lost if time - _lost_at(track) <= REMEMBERED]
        self._follow(image, time, step)
        self._unsearched += 1
        if not self._tracks or self._lost or self._unsearched >= self._detect_every:
            self._search(image)
            self._unsearched = 0
        return [self._result(track, time) for track in self._tracks]

    def _follow(self, image: np.ndarray, time: float, step: float) -> None:
        """Find each known face near where it was."""
        known, self._tracks = self._tracks, []
        if not known:
            return
        uprights, rolls = self._detector.upright_boxes([track.face for track in known])
        boxes = np.stack(
            [_next_box(known[i], uprights[i], rolls[i], step) for i in range(len(known))]
        )
        faces = self._detector.detect(image, boxes, rolls)
        for track, face in zip(known, faces, strict=True):
            before, now = (geometry.landmarks_box(f.landmarks) for f in (track.face, face))
            if face.score >= self._lowest_score and self._is_followed(before, now, image):
                if step > 0:
                    track.velocity = (_centre(now) - _centre(before)) / step
                track.face = face
                self._tracks.append(track)
            else:
                track.lost_at = time
                self._lost.append(track)

    def _is_followed(self, before: np.ndarray, now: np.ndarray, image: np.ndarray) -> bool:
        """Tell whether the boxes (4,) of two frames may be one face's that nobody else follows."""
        change = _side(now) / _side(before)
        x, y = _centre(now)
        height, width = image.shape[:2]
        return (
            1 / LARGEST_CHANGE < change < LARGEST_CHANGE
            and 0 <= x < width
            and 0 <= y < height
            and not self._at(self._tracks, now, TWICE)
        )

    def _search(self, image: np.ndarray) -> None:
        """Find faces in the whole image, those that are known already left out."""
        unknown = self._detector.detect(
            image, min_face=self._min_face, turn=False, known=_boxes(self._tracks)
        )
        if not unknown:
            return
        # Once more, as faces that are followed are: one measure of trust for all of them.
        boxes = np.stack([face.box for face in unknown])
        rolls = np.array([face.roll for face in unknown])
        for face in self._detector.detect(image, boxes, rolls):
            box = geometry.landmarks_box(face.landmarks)
            if face.score < self._lowest_score or self._at(self._tracks, box, SAME_FACE):
                continue
            smooth = None if self._smoothing is None else OneEuroFilter(self._smoothing)
            track = _Track(
                self._known_again(box), face, self._box_in_landmarks(face), smooth, np.zeros(2)
            )
            self._tracks.append(track)
        self._tracks.sort(key=lambda track: track.id)

    def _known_again(self, box: np.ndarray) -> int:
        """Return the number of the nearest lost face, or a new one."""
        distances = [_distance(track, box) for track in self._lost]
        if distances and min(distances) <= NEAR:
            return self._lost.pop(int(np.argmin(distances))).id
        self._next_id += 1
        return self._next_id - 1

    def _box_in_landmarks(self, face: Face) -> np.ndarray:
        """Return where next boxes lie in the upright boxes (4,) of landmarks, in units of these.

        A network that was trained on other boxes goes on in such ones, as they were found.
        """
        if self._detector.info.box == "landmarks":
            return np.array([-0.5, -0.5, 0.5, 0.5])
        (tight,), _ = self._detector.upright_boxes([face])
        away = geometry.turned(_centre(face.box) - _centre(tight), -np.radians(face.roll))
        box = around(away, centre_half(face.box)[1])
        return box / np.tile(tight[2:] - tight[:2], 2)

    def _result(self, track: _Track, time: float) -> TrackedFace:
        face = track.face
        if track.smooth is not None:
            side = _side(geometry.landmarks_box(face.landmarks))
            face = replace(face, landmarks=track.smooth(face.landmarks, time, side))
        values: dict[str, Any] = {f.name: getattr(face, f.name) for f in fields(face)}
        return TrackedFace(**values, id=track.id)

    @staticmethod
    def _at(tracks: list[_Track], box: np.ndarray, least: float) -> bool:
        """Tell whether one of the tracks is at a box (4,)."""
        return bool(tracks) and bool((geometry.overlap(_boxes(tracks), box) >= least).any())


def _boxes(tracks: list[_Track]) -> np.ndarray:
    """Return the boxes (M, 4) of the tracks' landmarks."""
    boxes = [geometry.landmarks_box(track.face.landmarks) for track in tracks]
    return np.array(boxes).reshape(-1, 4)


def _next_box(track: _Track, upright: np.ndarray, roll: float, step: float) -> np.ndarray:
    """Return the box (4,) to look at, `step` seconds after the last one.

    Args:
        upright: (4,) the last landmarks' box, turned by `roll` degrees about its centre.
    """
    box = track.box_in_landmarks * np.tile(upright[2:] - upright[:2], 2)
    centre = _centre(upright) + geometry.turned(_centre(box), np.radians(roll))
    ahead = track.velocity * step
    if SWIFT * _side(upright) < np.linalg.norm(ahead) < _side(upright):
        centre = centre + ahead
    return around(centre, centre_half(box)[1])


def _distance(track: _Track, box: np.ndarray) -> float:
    """Return how far a box (4,) is from where a face was, in sides of the face."""
    before = geometry.landmarks_box(track.face.landmarks)
    return float(np.linalg.norm(_centre(box) - _centre(before))) / _side(before)


def _lost_at(track: _Track) -> float:
    return -math.inf if track.lost_at is None else track.lost_at


def _centre(box: np.ndarray) -> np.ndarray:
    return centre_half(box)[0]


def _side(box: np.ndarray) -> float:
    return float(2 * centre_half(box)[1].max())
