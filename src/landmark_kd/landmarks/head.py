"""How a head is turned, from its 68 landmarks: for sorting faces, not for measuring angles.

The mean head of the synthetic faces (shape_prior.npz, symmetric, 68 points in space) is laid on
the landmarks by scaled orthographic projection, the least-squares affine map brought to
the nearest scaled rotation (the POS step of DeMenthon & Davis, "Model-Based Object Pose in 25
Lines of Code", IJCV 15, 1995). The jaw is left out: on a turned head it is marked where the cheek
ends in the image, which is another place of the skin. A person's own nose or brows, an open
mouth and the camera's perspective move the angles by some degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

JAW = slice(0, 17)


def head_pose(landmarks: np.ndarray) -> np.ndarray:
    """Estimate yaw, pitch and roll of heads.

    Args:
        landmarks: (N, 68, 2) of the 300-W scheme, pixels; those of the jaw may be missing.

    Returns:
        (N, 3) degrees, signs as in `data.synthetic.shape.Head`: the nose of a positive yaw points
        right in the image, of a positive pitch up; a positive roll turns the head clockwise.
        Pitch is relative to the mean head of 300-W's train faces.

    Raises:
        ValueError: landmarks of another shape.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    if landmarks.ndim != 3 or landmarks.shape[1:] != (68, 2):
        raise ValueError(f"landmarks must be (N, 68, 2), but are {landmarks.shape}")
    head = np.delete(load_prior().mean, JAW, axis=0)
    shown = np.delete(landmarks, JAW, axis=1)
    head = head - head.mean(axis=0)
    shown = shown - shown.mean(axis=1, keepdims=True)
    _, rotations = cameras(shown, head)
    return np.degrees(_angles(rotations))


def cameras(shapes: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a scaled-orthographic camera to each shape.

    Args:
        shapes: (N, K, 2) centred shapes.
        head: (K, 3) centred points.

    Returns:
        scales (N,) and rotations (N, 3, 3) with shape ~ scale * (head @ rotation.T)[:, :2].
    """
    affine = shapes.transpose(0, 2, 1) @ np.linalg.pinv(head).T
    u, singular, vt = np.linalg.svd(affine, full_matrices=False)
    rows = u @ vt
    third = np.cross(rows[:, 0], rows[:, 1])
    return singular.mean(axis=1), np.concatenate([rows, third[:, None]], axis=1)


def _angles(rotation: np.ndarray) -> np.ndarray:
    """Take rotations (N, 3, 3) apart as `rotation_matrix` of data/synthetic puts them together."""
    yaw = np.arctan2(-rotation[:, 2, 0], rotation[:, 2, 2])
    pitch = np.arcsin(np.clip(rotation[:, 2, 1], -1, 1))
    roll = np.arctan2(-rotation[:, 0, 1], rotation[:, 1, 1])
    return np.stack([yaw, pitch, roll], axis=1)


@dataclass(frozen=True)
class ShapePrior:
    """Statistics of the training shapes of AFW, HELEN and LFPW (tools/build_shape_prior.py).

    Attributes:
        mean: (68, 3) symmetric mean head, head coordinates.
        modes: (M, 68, 2) unit-length deformations in the plane of the face.
        variances: (M,) variance of each mode's coefficient.
    """

    mean: np.ndarray
    modes: np.ndarray
    variances: np.ndarray


@cache
def load_prior() -> ShapePrior:
    """Read the prior that ships with the package."""
    path = resources.files("landmark_kd.landmarks") / "shape_prior.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return ShapePrior(*(data[key].astype(np.float64) for key in ("mean", "modes", "variances")))
