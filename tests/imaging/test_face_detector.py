from __future__ import annotations

import numpy as np
import pytest

from landmark_kd.imaging import face_detector
from landmark_kd.imaging.face_detector import FEWEST_FACES, haar_box, in_units_of, typical_box
from landmark_kd.landmarks.geometry import overlap

BOX = np.array([100.0, 120.0, 180.0, 200.0])


def test_the_detectors_box_comes_back_in_the_pixels_of_the_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bright square stands for the face; the detector returns its edges, and another box."""
    image = np.zeros((400, 500, 3), dtype=np.uint8)
    image[115:206, 95:186] = 255

    def bright_square(region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = (np.flatnonzero((region[..., 0] > 127).any(axis=axis)) for axis in (1, 0))
        found = [columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5]
        return np.array([[0.0, 0.0, 20.0, 20.0], found]), np.ones(2)

    monkeypatch.setattr(face_detector, "haar_boxes", bright_square)
    found = haar_box(image, BOX)
    assert found is not None
    np.testing.assert_allclose(found, [94.5, 114.5, 185.5, 205.5], atol=1.5)


def test_a_box_that_is_another_faces_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((400, 500, 3), dtype=np.uint8)
    far = np.array([[0.0, 0.0, 100.0, 100.0]])
    monkeypatch.setattr(face_detector, "haar_boxes", lambda region: (far, np.ones(1)))
    assert haar_box(image, BOX) is None
    monkeypatch.setattr(face_detector, "haar_boxes", lambda region: (far[:0], np.ones(0)))
    assert haar_box(image, BOX) is None


def test_overlap_is_intersection_over_union() -> None:
    boxes = np.array([BOX, BOX + np.array([40.0, 0, 40, 0]), BOX + 500])
    np.testing.assert_allclose(overlap(boxes, BOX), [1, 1 / 3, 0])


def test_a_box_in_units_of_the_detectors_is_put_back_by_haar() -> None:
    found = np.array([90.0, 100.0, 190.0, 200.0])
    relative = in_units_of(found, BOX)
    np.testing.assert_allclose(relative, [0.1, 0.2, 0.9, 1.0])
    np.testing.assert_allclose(face_detector.landmark_boxes(found[None], relative.tolist())[0], BOX)


def test_the_typical_box_is_the_median_and_takes_enough_faces() -> None:
    relative = [np.array([0.1, 0.2, 0.9, 1.0])] * (FEWEST_FACES - 1)
    assert typical_box(relative) is None
    assert typical_box([*relative, np.array([9.0, 9, 10, 10])]) == (0.1, 0.2, 0.9, 1.0)
