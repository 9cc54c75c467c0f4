"""Faces as small images and letters."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from landmark_kd.faces.prepared import Faces
from landmark_kd.html_report.thumbnails import (
    LETTERS,
    Window,
    encode_images,
    encode_points,
    shown_faces,
    spread_order,
)
from landmark_kd.landmarks import geometry
from tests.support.prepared_faces import prepared_faces


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return prepared_faces(tmp_path_factory.mktemp("faces") / "test", 8, crop_size=96)


def picture(text: str) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return image


def decoded(text: str) -> np.ndarray:
    """Read letters as faces.js does."""
    points = []
    for i in range(0, len(text), 4):
        if text[i] == ".":
            points.append((np.nan, np.nan))
            continue
        a, b, c, d = (LETTERS.index(letter) for letter in text[i : i + 4])
        points.append(((a * 64 + b) / 4095 * 2 - 0.5, (c * 64 + d) / 4095 * 2 - 0.5))
    return np.array(points)


def test_points_come_back_and_those_far_off_lie_at_the_edge() -> None:
    points = np.array([[0.0, 1.0], [0.1234, 0.9876], [np.nan, np.nan], [-9.0, 40.0]])
    found = decoded(encode_points(points))
    assert found[:2] == pytest.approx(points[:2], abs=3e-4)
    assert np.isnan(found[2]).all()
    assert found[3].tolist() == [-0.5, 1.5]


def test_landmarks_lie_on_the_dots_of_the_shown_image(faces: Faces) -> None:
    window = Window.of(faces)
    side = window.side
    for row, text in enumerate(encode_images(faces, range(len(faces)), side)):
        image = picture(text)
        assert image.shape == (side, side)
        points = geometry.apply(window.to_window[row], faces.landmarks[row]) * side
        inside = points[((points > 1) & (points < side - 1)).all(axis=1)]
        x, y = inside.astype(int).T
        assert image[y, x].mean() < 0.7 * image.mean()


def test_any_beginning_of_the_order_spreads_over_the_errors() -> None:
    errors = np.random.default_rng(0).permutation(1000).astype(float)
    order = spread_order(errors, [5, 3])
    assert order[:2] == [5, 3]
    assert sorted(order) == list(range(1000))
    for count in (10, 50, 333):
        quantiles = np.quantile(errors[order[:count]], [0.25, 0.5, 0.75])
        assert quantiles == pytest.approx([250, 500, 750], abs=120)


def test_no_more_faces_are_shown_than_there_is_room_for(faces: Faces) -> None:
    points = {"kd": faces.landmarks}
    everything = shown_faces(faces, points, range(8), 2, 10**6)
    assert len(everything) == 8
    size = sum(len(text) for entry in everything.values() for text in entry.values())
    some = shown_faces(faces, points, range(8), 2, size // 2)
    assert 0 < len(some) < 8
    assert sum(len(text) for entry in some.values() for text in entry.values()) < size // 2
    assert shown_faces(faces, points, range(8), 2, 0) == {}


def test_images_are_never_enlarged(faces: Faces) -> None:
    (text,) = encode_images(faces, [0], 1000)
    assert picture(text).shape[0] == Window.of(faces).side
