"""Which detections count as which faces, and what is said of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.end_to_end import __main__ as end_to_end
from benchmarks.end_to_end.dlib_detector import DlibDetector, installed
from benchmarks.end_to_end.matching import MISSED, matched
from benchmarks.end_to_end.photos import (
    ROUNDS,
    Photo,
    batch_times,
    outcome,
    rotated,
    summary,
)
from landmark_kd.core.errors import run_main
from landmark_kd.imaging import face_detector
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.face import Face
from landmark_kd.landmarks.head import load_prior
from landmark_kd.landmarks.scheme import IBUG_68
from tests.support.exported_model import exported_model

FIRST, SECOND = (100.0, 100.0), (300.0, 100.0)


def head(centre: tuple[float, float], size: float = 60.0) -> np.ndarray:
    return size * load_prior().mean[:, :2] + centre


def face(points: np.ndarray, sigma: float | None = None) -> Face:
    spread = None if sigma is None else np.full(len(points), sigma)
    return Face(np.zeros(4), points, 1.0, spread)


def test_each_face_gets_the_detection_that_overlaps_it_most() -> None:
    found = np.stack([head(SECOND), head((105, 100)), head(FIRST)])
    assert matched(found, np.stack([head(FIRST), head(SECOND)])).tolist() == [2, 0]


def test_a_detection_finds_one_face_at_most() -> None:
    found = head(FIRST)[None]
    near = np.stack([head((110, 100)), head(FIRST)])
    assert matched(found, near).tolist() == [MISSED, 0]


def test_a_detection_beside_a_face_or_of_another_size_does_not_find_it() -> None:
    true = head(FIRST)[None]
    assert matched(head((100 + 100, 100))[None], true).tolist() == [MISSED]
    assert matched(head(FIRST, size=20.0)[None], true).tolist() == [MISSED]
    assert matched(np.empty((0, 68, 2)), true).tolist() == [MISSED]


def test_a_face_not_found_is_a_failure_and_has_no_part_in_the_nme() -> None:
    true = np.stack([head(FIRST), head(SECOND)])
    first, second = IBUG_68.normalizer
    eyes = np.linalg.norm(true[0, first] - true[0, second])
    moved = true[0] + [0.05 * eyes, 0.0]
    stray = head((600.0, 600.0))
    found = summary([outcome([face(moved), face(stray)], true)], {})
    assert found["found"] == 50.0
    assert found["nme"] == pytest.approx(5.0)
    assert found["fr10"] == 50.0
    assert (found["false"], found["images_with_false"]) == (1, 1)
    assert found["coverage"] == {}


def test_an_image_without_any_detection_has_only_failures() -> None:
    found = summary([outcome([], head(FIRST)[None])], {0.9: 2.0})
    assert (found["found"], found["nme"], found["fr10"]) == (0.0, None, 100.0)
    assert (found["false"], found["coverage"]) == (0, {})


def test_coverage_is_the_share_of_landmarks_within_so_many_sigma() -> None:
    true = head(FIRST)
    pred = true.copy()
    pred[:17] += [0.0, 3.0]  # a quarter of the 68
    found = summary([outcome([face(pred, sigma=1.5)], true[None])], {0.5: 1.0, 0.9: 2.5})
    assert found["coverage"] == {"0.5": 75.0, "0.9": 100.0}


def test_batches_are_timed_in_each_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = LandmarkDetector.load(exported_model(tmp_path), face_detector="haar", threads=1)
    boxes = np.array([[20.0, 20.0, 80.0, 90.0]])
    monkeypatch.setattr(face_detector, "find_faces", lambda image: (boxes, np.ones(1)))
    sizes: list[int] = []
    detect = detector.detect_batch

    def counted(images: Sequence[np.ndarray]) -> list[list[Face]]:
        sizes.append(len(images))
        return detect(images)

    monkeypatch.setattr(detector, "detect_batch", counted)
    found = batch_times({"one": detector}, [np.zeros((90, 100, 3), np.uint8)] * 5, (1, 2))
    assert set(found["one"]) == {"1", "2"}
    assert all(ms > 0 for of_size in found["one"].values() for ms in of_size.values())
    assert sorted(sizes[1:]) == sorted([1] * 5 * ROUNDS + [2, 2, 1] * ROUNDS)


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, 180, 270])
def test_landmarks_of_a_rotated_photo_stay_on_what_they_mark(degrees: int) -> None:
    image = np.zeros((61, 100, 3), np.uint8)
    points = np.array([[20.0, 10.0], [99.0, 0.0], [0.0, 60.0], [50.0, 30.0]])
    for x, y in points.astype(int):
        image[y, x] = 255
    photo = rotated(Photo(image, points[None]), degrees)
    height, width = photo.image.shape[:2]
    assert (photo.landmarks > -0.51).all()
    assert (photo.landmarks < np.array([width, height]) - 0.49).all()
    for x, y in np.rint(photo.landmarks[0]).astype(int):
        seen = photo.image[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        assert seen.max() > 60
    if degrees == 90:
        # Clockwise: what was at the left bottom is at the left top.
        np.testing.assert_array_equal(photo.image, np.rot90(image, -1))


def test_dlibs_rectangles_and_margins_are_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a module in dlib's place, which is no requirement."""
    seen: list[np.ndarray] = []

    class Rectangle(NamedTuple):
        corners: tuple[int, int, int, int]

        def left(self) -> int:
            return self.corners[0]

        def top(self) -> int:
            return self.corners[1]

        def right(self) -> int:
            return self.corners[2]

        def bottom(self) -> int:
            return self.corners[3]

    class Frontal:
        def run(
            self, image: np.ndarray, *_: float
        ) -> tuple[list[Rectangle], list[float], list[int]]:
            seen.append(image)
            return [Rectangle((1, 2, 31, 42)), Rectangle((5, 6, 25, 26))], [2.5, 0.25], [0, 0]

    fake = SimpleNamespace(get_frontal_face_detector=Frontal)
    monkeypatch.setitem(sys.modules, "dlib", fake)
    detector = DlibDetector()
    image = np.zeros((50, 60, 3), np.uint8)
    image[..., 0] = 200  # blue
    found = detector.find(image)
    np.testing.assert_array_equal(found.boxes, [[1, 2, 31, 42], [5, 6, 25, 26]])
    np.testing.assert_array_equal(found.scores, [1, 0.25])
    assert found.upright.all()
    assert seen[0][0, 0].tolist() == [0, 0, 200], "dlib sees RGB"
    assert detector.look_closer(image, found) is found


@pytest.mark.skipif(installed(), reason="dlib is installed")
def test_dlib_where_it_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["end_to_end", str(tmp_path / "out.json"), "--detectors", "dlib"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        run_main(end_to_end.main)
    assert end.value.code == 1
    assert capsys.readouterr().err == (
        "error: dlib is not installed; `pip install dlib-bin`, or leave it out.\n"
    )
    assert not (tmp_path / "out.json").exists()
