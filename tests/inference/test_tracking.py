"""Faces followed through frames: numbers kept, losses noticed, searches few."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.face import Face
from landmark_kd.inference.tracking import FaceTracker, TrackedFace
from landmark_kd.landmarks import geometry

IMAGE = np.zeros((480, 640, 3), np.uint8)
SIDE = 80
# A face of five points, corners and centre, in a square of side 1.
SHAPE = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]])


class Scene:
    """Stands in for the detector: knows where the faces are, and finds them near boxes given."""

    info = SimpleNamespace(box="landmarks")

    def __init__(self, *corners: tuple[float, float]) -> None:
        self.corners = dict(enumerate(corners))
        self.hidden: set[int] = set()
        self.searches = 0
        self.predicted = 0

    def _face(self, number: int, box: np.ndarray | None = None) -> Face:
        landmarks = np.array(self.corners[number]) + SIDE * SHAPE
        return _face(geometry.landmarks_box(landmarks) if box is None else box, landmarks, 1.0)

    def upright_boxes(self, faces: list[Face]) -> tuple[np.ndarray, np.ndarray]:
        boxes = [geometry.landmarks_box(face.landmarks) for face in faces]
        return np.array(boxes), np.array([face.roll for face in faces])

    def detect(
        self,
        image: np.ndarray,
        boxes: np.ndarray | None = None,
        rolls: np.ndarray | None = None,
        *,
        min_face: float | None = None,
        turn: bool = True,
        known: np.ndarray | None = None,
    ) -> list[Face]:
        shown = [number for number in self.corners if number not in self.hidden]
        if boxes is None:
            self.searches += 1
            found = [self._face(number) for number in shown]
            left_out = np.empty((0, 4)) if known is None else known
            return [f for f in found if (geometry.overlap(left_out, f.box) < 0.3).all()]
        faces = []
        for box in boxes:
            self.predicted += 1
            tight = np.array([self._face(number).box for number in shown]).reshape(-1, 4)
            overlaps = geometry.overlap(tight, box)
            if len(overlaps) and overlaps.max() > 0.2:
                faces.append(self._face(shown[int(overlaps.argmax())], box))
            else:
                place = box[:2] + (box[2:] - box[:2]) * SHAPE
                faces.append(_face(box, place, 0.1))
        return faces


def _face(box: np.ndarray, landmarks: np.ndarray, score: float) -> Face:
    return Face(box, landmarks, score)


def tracker(scene: Scene, **options: Any) -> FaceTracker:
    return FaceTracker(cast(LandmarkDetector, scene), **options)


def ids(faces: list[TrackedFace]) -> list[int]:
    return [face.id for face in faces]


def test_a_face_that_moves_keeps_its_number_and_is_searched_once() -> None:
    scene = Scene((100, 100))
    follow = tracker(scene, detect_every=1000, smoothing=None)
    for frame in range(60):
        scene.corners[0] = (100 + 5 * frame, 100 + 2 * frame)
        (face,) = follow.update(IMAGE, frame / 30)
        assert face.id == 0
        np.testing.assert_allclose(face.landmarks[0], scene.corners[0])
    assert scene.searches == 1


@pytest.mark.parametrize("steps", [[1.0] * 18, [1.0, 2.0] * 9])
def test_a_swift_face_is_expected_where_it_goes(steps: list[float]) -> None:
    """By 50 pixels a frame its boxes would no longer overlap enough; also where frames are late."""
    scene = Scene((10, 100))
    follow = tracker(scene, detect_every=1000)
    time, place, speed = 0.0, 10.0, 0.0
    for step in steps:
        time += step / 30
        speed = min(speed + 12, 60 if steps[1] == 1 else 30)
        place += speed * step
        scene.corners[0] = (place, 100)
        if place < 560:
            assert ids(follow.update(IMAGE, time)) == [0]
    assert scene.searches == 1


def test_faces_that_pass_each_other_keep_their_numbers() -> None:
    scene = Scene((100, 100), (400, 185))
    follow = tracker(scene, detect_every=7, smoothing=None)
    for frame in range(60):
        scene.corners = {0: (100 + 5 * frame, 100), 1: (400 - 5 * frame, 185)}
        faces = follow.update(IMAGE, frame / 30)
        assert ids(faces) == [0, 1]
        np.testing.assert_allclose(faces[0].landmarks[0], scene.corners[0])


def test_a_new_face_is_found_within_the_frames_asked_for() -> None:
    scene = Scene((100, 100), (400, 300))
    scene.hidden = {1}
    follow = tracker(scene, detect_every=10)
    for frame in range(5):
        assert ids(follow.update(IMAGE, frame / 30)) == [0]
    scene.hidden = set()
    for frame in range(5, 15):
        faces = follow.update(IMAGE, frame / 30)
    assert ids(faces) == [0, 1]


def test_a_face_whose_score_falls_is_no_longer_returned_and_known_again_within_a_second() -> None:
    scene = Scene((100, 100), (400, 300))
    follow = tracker(scene, detect_every=1000)
    assert ids(follow.update(IMAGE, 0.0)) == [0, 1]
    scene.hidden = {0}
    assert ids(follow.update(IMAGE, 0.1)) == [1]
    scene.hidden = set()
    scene.corners[0] = (130, 110)
    assert ids(follow.update(IMAGE, 0.9)) == [0, 1]


@pytest.mark.parametrize(("away", "place"), [(5.0, (100, 100)), (0.5, (400, 100))])
def test_a_face_that_comes_late_or_elsewhere_has_a_new_number(
    away: float, place: tuple[float, float]
) -> None:
    scene = Scene((100, 100))
    follow = tracker(scene)
    follow.update(IMAGE, 0.0)
    scene.hidden = {0}
    assert follow.update(IMAGE, 0.1) == []
    scene.hidden = set()
    scene.corners[0] = place
    assert ids(follow.update(IMAGE, 0.1 + away)) == [1]


def test_a_face_that_leaves_the_image_is_lost() -> None:
    scene = Scene((550, 100))
    follow = tracker(scene, detect_every=1000)
    for frame in range(20):
        scene.corners[0] = (550 + 5 * frame, 100)
        if scene.corners[0][0] > 640:
            scene.hidden = {0}
        faces = follow.update(IMAGE, frame / 30)
        inside = scene.corners[0][0] + SIDE / 2 < 640
        if inside:
            assert ids(faces) == [0]
    assert faces == []


def test_two_tracks_that_run_into_one_face_become_one() -> None:
    scene = Scene((100, 100), (170, 100))
    follow = tracker(scene, detect_every=1000)
    assert ids(follow.update(IMAGE, 0.0)) == [0, 1]
    scene.hidden = {1}
    scene.corners[0] = (130, 100)
    assert ids(follow.update(IMAGE, 0.1)) == [0]


def test_where_no_face_is_known_every_frame_is_searched() -> None:
    scene = Scene()
    follow = tracker(scene)
    for frame in range(5):
        assert follow.update(IMAGE, frame / 30) == []
    assert scene.searches == 5


def test_what_the_search_takes_for_a_face_and_the_network_does_not_is_none() -> None:
    class Doubtful(Scene):
        def detect(
            self, image: np.ndarray, boxes: np.ndarray | None = None, *_: Any, **__: Any
        ) -> list[Face]:
            faces = super().detect(image, boxes)
            score = 1.0 if boxes is None else 0.2
            return [_face(face.box, face.landmarks, score) for face in faces]

    assert tracker(Doubtful((100, 100))).update(IMAGE, 0.0) == []


def test_next_boxes_of_a_network_with_other_boxes_lie_as_the_detector_put_them() -> None:
    class Loose(Scene):
        info = SimpleNamespace(box="detector")
        given: np.ndarray

        def detect(
            self,
            image: np.ndarray,
            boxes: np.ndarray | None = None,
            *_: Any,
            known: np.ndarray | None = None,
            **__: Any,
        ) -> list[Face]:
            if boxes is not None:
                self.given = boxes
                return super().detect(image, boxes)
            faces = super().detect(image, known=known)
            return [_face(f.box + np.array([-8, -24, 8, 0]), f.landmarks, f.score) for f in faces]

    scene = Loose((100, 100))
    follow = tracker(scene)
    follow.update(IMAGE, 0.0)
    scene.corners[0] = (103, 100)
    follow.update(IMAGE, 0.1)
    follow.update(IMAGE, 0.2)
    np.testing.assert_allclose(scene.given, [[95, 76, 191, 180]])


def test_landmarks_are_smoothed_but_not_those_the_next_box_comes_from() -> None:
    scene = Scene((100, 100))
    follow = tracker(scene)
    follow.update(IMAGE, 0.0)
    scene.corners[0] = (103, 100)
    (face,) = follow.update(IMAGE, 1 / 30)
    assert 100 < face.landmarks[0, 0] < 103
    (face,) = follow.update(IMAGE, 2 / 30)
    np.testing.assert_allclose(face.box, [103, 100, 183, 180])


def test_a_tilt_is_passed_on_from_frame_to_frame() -> None:
    """The detector's own tests hold that it looks at a box as it is turned."""

    class Tilting(Scene):
        given: np.ndarray | None = None
        info = SimpleNamespace(box="landmarks")

        def upright_boxes(self, faces: list[Face]) -> tuple[np.ndarray, np.ndarray]:
            boxes, rolls = super().upright_boxes(faces)
            return boxes, rolls + 7

        def detect(
            self,
            image: np.ndarray,
            boxes: np.ndarray | None = None,
            rolls: np.ndarray | None = None,
            *,
            min_face: float | None = None,
            turn: bool = True,
            known: np.ndarray | None = None,
        ) -> list[Face]:
            self.given = rolls
            faces = super().detect(image, boxes, known=known)
            turned = [20.0] * len(faces) if rolls is None else rolls.tolist()
            return [replace(face, roll=roll) for face, roll in zip(faces, turned, strict=True)]

    scene = Tilting((100, 100))
    follow = tracker(scene)
    assert [follow.update(IMAGE, frame / 30)[0].roll for frame in range(4)] == [20, 27, 34, 41]


@pytest.mark.parametrize("time", [0.9, float("nan"), float("inf")])
def test_times_that_go_back_or_are_none_are_refused(time: float) -> None:
    follow = tracker(Scene())
    follow.update(IMAGE, 1.0)
    with pytest.raises(ValueError, match=r"not before the last frame's, 1\.0 s"):
        follow.update(IMAGE, time)


@pytest.mark.parametrize("wrong", [{"detect_every": 0}, {"lowest_score": 1.5}])
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        tracker(Scene(), **wrong)
