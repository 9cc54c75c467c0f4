"""Derives the small face-shape prior of the synthetic data set from real 68-point shapes.

    python -m tools.build_shape_prior SHAPES_68.npz src/landmark_kd/landmarks/shape_prior.npz

SHAPES_68.npz holds `name` (N,) and `pts` (N, 68, 2); only AFW and the two 300-W trainsets are
read, so that no test shape reaches the synthetic images. The tool keeps statistics and no shape of
a person: a mean in 3D, modes of deformation and their variances.

Photos mix pose and identity, and the first modes of a 2D model of 300-W are yaw and pitch. The
renderer sets the pose itself, so the tool separates the two:

1. Structure from motion (Tomasi & Kanade 1992, scaled orthography): every shape and its mirror
   image is one view of the same rigid, symmetric head. Cameras and the head's 68 points in 3D
   are found in turn by generalised Procrustes analysis. The depth of each point is thus the
   data's own, including the way the annotated jaw line slides along the cheek of a turned head.
2. What the rigid head leaves over in the views that are near frontal is turned back into the
   plane of the face; its PCA gives identity and expression, symmetric and antisymmetric modes
   apart, because each shape is there with its mirror image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from landmark_kd.landmarks.head import cameras
from landmark_kd.landmarks.scheme import SCHEMES

TRAIN_FOLDERS = ("AFW68/", "HELEN68/trainset/", "LFPW68/trainset/")
OUTER_EYE_CORNERS = SCHEMES[68].normalizer
ITERATIONS = 60  # depths are then within 0.02 units of where they settle
NEAR_FRONTAL_DEGREES = 20.0
KEPT_VARIANCE = 0.95


def mirrored(shapes: np.ndarray) -> np.ndarray:
    """Mirror (..., 68, D) shapes left to right: x changes sign, points change places."""
    result = shapes[..., SCHEMES[68].flip, :].copy()
    result[..., 0] *= -1
    return result


def rigid_head(shapes: np.ndarray) -> np.ndarray:
    """Find the (68, 3) symmetric head whose views the (N, 68, 2) centred shapes are.

    Units: distance of the outer eye corners; x right, y down, z towards the viewer; facing the
    viewer as the average shape does.
    """
    flat = shapes.mean(axis=0)
    # Any convex face will do to start with; it decides only which way z points.
    head = np.column_stack([flat, -(flat[:, 0] ** 2) / np.ptp(flat[:, 0])])
    for _ in range(ITERATIONS):
        head = head - head.mean(axis=0)
        scale, rotation = cameras(shapes, head)
        rows = rotation[:, :2]
        # Views of unit scale: a large image does not count more than a small one.
        normal = np.tensordot(rows, rows, axes=([0, 1], [0, 1]))
        head = np.tensordot(shapes / scale[:, None, None], rows, axes=([0, 2], [0, 1]))
        head = np.linalg.solve(normal, head.T).T
        head = 0.5 * (head + mirrored(head))
        right, left = OUTER_EYE_CORNERS
        head /= np.linalg.norm(head[left] - head[right])
    _, rotation = cameras(shapes, head - head.mean(axis=0))
    u, _, vt = np.linalg.svd(rotation.mean(axis=0))
    return np.asarray((head - head.mean(axis=0)) @ (u @ vt).T)


def face_plane_residuals(shapes: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Return what near-frontal shapes add to the rigid head, (M, 68, 2) in the face's plane."""
    scale, rotation = cameras(shapes, head)
    # The angle between the face's own axis and the line of sight.
    turned = np.degrees(np.arccos(np.clip(rotation[:, 2, 2], -1.0, 1.0)))
    near = turned < NEAR_FRONTAL_DEGREES
    views = head @ rotation[near, :2].transpose(0, 2, 1)
    residual = shapes[near] / scale[near, None, None] - views
    in_plane = np.linalg.inv(rotation[near, :2, :2])
    return residual @ in_plane.transpose(0, 2, 1)


def build(source: Path, output: Path) -> None:
    """Write `mean` (68, 3), `modes` (M, 68, 2) and `variances` (M,) to `output`, float32."""
    with np.load(source, allow_pickle=False) as data:
        train = np.array([str(name).startswith(TRAIN_FOLDERS) for name in data["name"]])
        shapes = data["pts"][train].astype(np.float64)
    shapes -= shapes.mean(axis=1, keepdims=True)
    shapes /= np.linalg.norm(shapes, axis=(1, 2))[:, None, None]
    shapes = np.concatenate([shapes, mirrored(shapes)])

    head = rigid_head(shapes)
    residuals = face_plane_residuals(shapes, head)
    pca = PCA(KEPT_VARIANCE, svd_solver="full").fit(residuals.reshape(len(residuals), -1))
    # A mode's sign is free, and ties between mirrored points would leave it to rounding.
    ramp = np.arange(pca.components_.shape[1]) - pca.components_.shape[1] / 2
    modes = pca.components_ * np.sign(pca.components_ @ ramp)[:, None]
    mean = head.copy()
    mean[:, :2] += pca.mean_.reshape(68, 2)
    np.savez_compressed(
        output,
        mean=mean.astype(np.float32),
        modes=modes.reshape(-1, 68, 2).astype(np.float32),
        variances=pca.explained_variance_.astype(np.float32),
    )
    print(
        f"{train.sum()} train shapes, {len(residuals) // 2} of them near frontal, "
        f"{pca.n_components_} modes -> {output}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Derive the synthetic faces' shape prior.")
    parser.add_argument("source", type=Path, help="npz with name (N,) and pts (N, 68, 2)")
    parser.add_argument("output", type=Path, help="npz to write")
    arguments = parser.parse_args()
    build(arguments.source, arguments.output)


if __name__ == "__main__":
    main()
