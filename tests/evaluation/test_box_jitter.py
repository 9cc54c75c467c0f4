"""Faces in jittered boxes: what is seen moves, what is measured in the image does not."""

from __future__ import annotations

import numpy as np
import pytest

from landmark_kd.config.params import BoxJitterParams
from landmark_kd.evaluation.box_jitter import jitter_boxes, jittered_faces
from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks import geometry
from tests.support.prepared_faces import MARGIN, prepared_faces

JITTER = BoxJitterParams(shift=0.1, scale=0.1)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return prepared_faces(tmp_path_factory.mktemp("faces") / "faces", 8, crop_size=96)


def test_without_jitter_the_faces_are_the_same(faces: Faces) -> None:
    assert jittered_faces(faces, BoxJitterParams(shift=0, scale=0), seed=1) is faces


def test_the_boxes_are_those_of_jitter_boxes(faces: Faces) -> None:
    seen = jittered_faces(faces, JITTER, seed=3)
    # The outer edges of a crop without jitter, in the image, are the box's with its margin.
    size = faces.info.crop_size
    edges = np.array([[-0.5, -0.5], [size - 0.5, size - 0.5]])
    was = geometry.apply(faces.crop_to_image, edges[None]).reshape(-1, 4)
    now = geometry.apply(seen.crop_to_image, edges[None]).reshape(-1, 4)
    shrink = (was[:, 2:] - was[:, :2]) * (1 - 1 / (1 + MARGIN)) / 2
    boxes = was + np.hstack([shrink, -shrink])
    moved = jitter_boxes(boxes, JITTER.shift, JITTER.scale, 3)
    grow = (moved[:, 2:] - moved[:, :2]) * MARGIN / 2
    np.testing.assert_allclose(now, moved + np.hstack([-grow, grow]), atol=1e-6)
    assert np.abs(now - was).max() > 3


def test_a_landmarks_dot_is_seen_where_the_jittered_crop_says(faces: Faces) -> None:
    """The prepared faces have a dark dot at each landmark on a plain ground."""
    seen = jittered_faces(faces, JITTER, seed=3)
    assert seen.landmarks is faces.landmarks
    size = faces.info.crop_size
    for face in range(len(seen)):
        image = seen.crops(np.array([face]))[0].astype(float).mean(axis=2)
        points = geometry.from_network(seen.crop_landmarks()[face], size)
        inside = points[((points > 2) & (points < size - 3)).all(axis=1)].round().astype(int)
        on_dots = np.mean([image[y, x] for x, y in inside])
        assert on_dots < 0.4 * np.median(image), face
        # The old crop's places are off the dots.
        old = geometry.from_network(faces.crop_landmarks()[face], size).round().astype(int)
        assert np.mean([image[y, x] for x, y in old.clip(0, size - 1)]) > 1.3 * on_dots


def test_the_seed_decides(faces: Faces) -> None:
    first, second, other = (jittered_faces(faces, JITTER, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images, second.images)
    assert (first.images != other.images).any()
