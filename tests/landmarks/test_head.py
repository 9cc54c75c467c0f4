"""Poses estimated from landmarks, against heads whose pose is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from landmark_kd.data.datasets.base import BadFaces
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.data.synthetic.shape import rotation_matrix, sample_head
from landmark_kd.landmarks.head import head_pose, load_prior
from landmark_kd.landmarks.scheme import IBUG_68, convert


def mirrored(landmarks: np.ndarray) -> np.ndarray:
    return landmarks[:, IBUG_68.flip] * [-1, 1]


@pytest.mark.parametrize("angles", [(0, 0, 0), (35, 0, 0), (-50, 10, 20), (15, -20, -160)])
def test_the_mean_head_gives_its_pose_back(angles: tuple[float, float, float]) -> None:
    turned = load_prior().mean @ rotation_matrix(*angles).T
    landmarks = 37.0 * turned[:, :2] + [400, 300]
    np.testing.assert_allclose(head_pose(landmarks[None])[0], angles, atol=1e-6)


def test_other_heads_are_a_few_degrees_off() -> None:
    rng = np.random.default_rng(0)
    heads = [sample_head(rng, 160) for _ in range(300)]
    known = np.array([[head.yaw, head.pitch, head.roll] for head in heads])
    off = np.abs(head_pose(np.stack([head.landmarks for head in heads])) - known)
    # As docs/model_card.md says: yaw 2°, roll 1°.
    assert (off.mean(axis=0) < [2.5, 5, 1.5]).all()
    assert (np.percentile(off, 95, axis=0) < [6, 11, 4]).all()


def test_a_mirrored_face_looks_the_other_way() -> None:
    rng = np.random.default_rng(1)
    landmarks = np.stack([sample_head(rng, 160).landmarks for _ in range(20)])
    pose, mirror = head_pose(landmarks), head_pose(mirrored(landmarks))
    np.testing.assert_allclose(mirror, pose * [-1, 1, -1], atol=1e-3)


def test_landmarks_of_another_scheme_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(N, 68, 2\)"):
        head_pose(np.zeros((3, 98, 2)))


def test_faces_that_are_marked_for_their_pose_are_turned_more(shared: Path) -> None:
    folder = shared / "data" / "wflw"
    _, dataset = recognised(folder)
    faces = [f for f in dataset.read(folder, BadFaces("error")) if f.subsets]
    landmarks = convert(np.stack([f.landmarks for f in faces]), dataset.scheme, IBUG_68)
    yaw = np.abs(head_pose(landmarks)[:, 0])
    marked = np.array(["pose" in face.subsets for face in faces])
    assert marked.sum() >= 10
    assert yaw[marked].min() > 25
    assert np.median(yaw[~marked]) < 20
