"""What is said of landmarks in clips, on small made ones of which it is known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from benchmarks.video import clips, quality
from benchmarks.video.table import table
from landmark_kd.inference.face import Face
from landmark_kd.inference.tracking import TrackedFace
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.head import load_prior

Frame = tuple[float, np.ndarray, np.ndarray]
# A frame of 640 x 480 pixels says no more than a small one where the image is not looked at.
NOTHING = np.zeros((2, 2, 3), np.uint8)


def head(centre: tuple[float, float] = (320.0, 240.0)) -> np.ndarray:
    """Landmarks (68, 2) whose box is FACE pixels long."""
    shape = load_prior().mean[:, :2]
    box = geometry.landmarks_box(shape)
    return shape * clips.FACE / (box[2:] - box[:2]).max() + centre


def clip(motion: clips.Motion, seconds: float) -> list[Frame]:
    """Frames without images."""
    times = np.arange(round(seconds * clips.RATE)) / clips.RATE
    return [(t, NOTHING, head() + clips.FACE * np.array(motion(t)[:2])) for t in times]


def spotted(scale: float) -> clips.Photo:
    """A photo with four spots, which its landmarks mark."""
    size = (round(300 * scale), round(400 * scale))
    corners = np.array([[120.0, 100], [280, 110], [130, 200], [270, 190]])
    points = (corners + 0.5) * scale - 0.5
    image = np.full((*size, 3), 20, np.uint8)
    for x, y in points:
        cv2.circle(image, (round(x), round(y)), round(6 * scale), (255, 255, 255), -1)
    return clips.Photo(image, points)


@pytest.mark.parametrize("motion", [clips.still, clips.line, clips.swing, clips.tour])
@pytest.mark.parametrize("scale", [1, 5])
def test_landmarks_of_a_clip_lie_on_what_they_mark(motion: clips.Motion, scale: int) -> None:
    for number, (_, image, points) in enumerate(clips.frames(spotted(scale), motion, 1.2)):
        assert image.shape == (clips.HEIGHT, clips.WIDTH, 3)
        if number % 7:
            continue
        for x, y in np.rint(points).astype(int):
            around = image[y - 12 : y + 13, x - 12 : x + 13].mean(axis=-1) > 128
            place = np.argwhere(around).mean(axis=0) - 12
            assert np.abs(place).max() < 1.0


def test_a_face_that_moves_goes_so_many_sides_a_second() -> None:
    points = [frame[2].mean(axis=0) for frame in clips.frames(spotted(1), clips.line, 0.6)]
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(steps, clips.SPEED * clips.FACE / clips.RATE)


def test_jitter_is_the_spread_over_time_without_the_first_second() -> None:
    rng = np.random.default_rng(0)
    steady = np.repeat(head()[None], 400, axis=0)
    steady[: quality.SETTLING] += 50
    noisy = steady + rng.normal(0, 0.8, steady.shape)
    assert quality.jitter(steady) == pytest.approx(0, abs=1e-9)
    expected = 100 * 0.8 * np.sqrt(2) / clips.FACE
    assert quality.jitter(noisy) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("late", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("motion", [clips.line, clips.swing])
def test_lag_is_by_how_many_frames_landmarks_are_late(motion: clips.Motion, late: float) -> None:
    frames = clip(motion, 3)
    behind = [clips.FACE * np.array(motion(t - late / clips.RATE)[:2]) for t, _, _ in frames]
    landmarks = head() + np.array(behind)[:, None]
    # Aside by always as much, and lost for some frames: neither is a lag.
    landmarks += [3.0, 0.0]
    landmarks[40:50] = np.nan
    assert quality.lag(landmarks, frames, motion) == pytest.approx(late, abs=0.03)


def test_errors_are_of_the_frames_in_which_the_face_was_found() -> None:
    frames = clip(clips.still, 1)
    true = head()
    eyes = np.linalg.norm(true[36] - true[45])

    def update(image: np.ndarray, time: float) -> Sequence[Face]:
        number = round(time * clips.RATE)
        box = np.zeros(4)
        neighbour = TrackedFace(box, head((100.0, 100.0)), 1.0, id=9)
        if number % 3 == 0:
            return [neighbour]
        moved = true + np.array([0.04 * eyes, 0.0])
        return [neighbour, TrackedFace(box, moved, 1.0, id=number // 15)]

    found = quality.errors(update, frames)
    assert found["found_percent"] == pytest.approx(200 / 3)
    assert found["nme"] == pytest.approx(4)
    assert found["numbers"] == 2
    landmarks = quality.found_landmarks(update, frames)
    assert np.isnan(landmarks[::3]).all()
    assert np.isfinite(landmarks[1::3]).all()


def test_a_clip_in_which_no_face_was_found_has_no_error() -> None:
    found = quality.errors(lambda *_: [], clip(clips.still, 0.2))
    assert (found["found_percent"], found["numbers"]) == (0, 0)
    assert np.isnan(found["nme"])


def test_clips_without_the_face_are_left_out() -> None:
    told = quality.told(np.array([0.5, np.nan, 0.1, 0.2]))
    assert told == {"clips": 3, "median": 0.2, "largest": 0.5}


def test_the_table_shows_what_was_measured() -> None:
    ways = ("each frame by itself", "followed", "followed and smoothed")
    spread = {"clips": 2, "median": 0.25, "largest": 0.5}
    about = {"machine": {"cpu": "a CPU", "threads": 1}, "face_detector": "Haar"}
    clocks = {"wall": 10.0, "cpu": 9.0}
    results = {
        "quality": {
            **about,
            "photos": 2,
            "jitter_percent_of_face": dict.fromkeys(ways, spread),
            "jitter_ratio": {"clips": 2, "median": 0.21, "largest": 0.4},
            "lag_frames": {
                name: {way: {"median": 0.75} for way in ways[1:]} for name in ("line", "swing")
            },
            "tours": {
                "clips": 1,
                "seconds": 10,
                **{way: {"nme": 3.456, "found_percent": 98.04, "numbers": 1.0} for way in ways},
            },
        },
        "times": {
            **about,
            "size": [640, 480],
            "milliseconds": {
                "network": {"wall": 4.0},
                "followed": {"wall": 6.0},
                "each": clocks,
            },
            "followed_to_network": {"wall": {"median": 1.5}},
        },
    }
    text = table(results)
    assert "| followed | 0.250 | 0.75 | 0.75 | 3.46 | 98.0 |" in text
    assert "| each frame by itself | 0.250 | 0 | 0 |" in text
    assert "6.0 ms when followed, 1.50 times the network alone (4.0 ms), and 10.0 ms" in text
