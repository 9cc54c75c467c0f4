"""Faces that no face can be: without size, in other units than pixels, with a point far off.

The bounds are set by real faces: 300-W (3837), WFLW's test faces (1966), COFW in its 29 points
(1852), video frames (YTF, 4232) and AFLW2000-3D (1631), 13 518 in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import LandmarkScheme

if TYPE_CHECKING:
    from landmark_kd.data.datasets.base import FaceRecord

# Longer side of the landmarks' box, in pixels; the smallest of the real faces has 33.
SMALLEST_FACE = 8.0
# The normaliser's distance as a share of that side; the least is 0.034, of a head in profile
# (AFLW2000-3D), and 0.178 elsewhere.
SMALLEST_NORMALIZER = 0.01
# A point's median distance to the others, in median distances between two points. The largest is
# 2.84, of a chin (COFW); any choice of 4 to 51 of the 68 points has less.
FARTHEST_POINT = 3.5
# Share of the landmarks' box that a box must cover: OpenCV's Haar boxes, which end above the chin,
# cover 0.91 of the typical one (LANDMARK_BOX in imaging/face_detector.py).
LEAST_COVERED = 0.25
# Shares of width and height, whether they count from a corner, 0 to 1, or the middle, -1 to 1,
# with points a little outside of the image.
LARGEST_SHARE = 1.5
# What tools write for a point that is not there, 0 0 or -1 -1, as 0-based pixels; files may count
# from 1. No real face has a landmark there.
STAND_INS = (0.0, -1.0, -2.0)


def check_plausible(record: FaceRecord, scheme: LandmarkScheme) -> None:
    """Check that landmarks and box can be those of a face, whatever its image.

    Raises:
        UserError: the face has no size, is in shares of its image, a point lies far off or where
            missing ones are put, the normaliser's points are as good as one, or the box does not
            meet the landmarks.
    """
    whose = f"the landmarks of {record.name} in {record.image}"
    if record.where:
        whose = f"{record.where}: {whose}"
    points = record.landmarks[np.isfinite(record.landmarks).all(axis=1)]
    if len(points) < 2:
        raise UserError(f"{whose} are {len(points)}, all others being missing; a face needs two.")
    x0, y0, x1, y1 = geometry.landmarks_box(points).tolist()
    size = max(x1 - x0, y1 - y0)
    _check_size(whose, points, size)
    _check_points(whose, record, scheme)
    first, second = record.landmarks[list(scheme.normalizer)]
    apart = float(np.linalg.norm(first - second))
    if apart < SMALLEST_NORMALIZER * size:
        raise UserError(
            f"{whose} have both {scheme.normalizer_name} in one place: points "
            f"{scheme.normalizer[0]} and {scheme.normalizer[1]} are {apart:.3g} pixels apart, less "
            f"than {100 * SMALLEST_NORMALIZER:g} % of the face's {size:.4g}, and errors are "
            "measured in that distance; correct them."
        )
    if record.box is not None:
        _check_box(whose, record.box, np.array([x0, y0, x1, y1]))


def _check_size(whose: str, points: np.ndarray, size: float) -> None:
    if size >= SMALLEST_FACE:
        return
    low, high = points.min(), points.max()
    lie = f"{whose} lie within {size:.3g} pixels"
    if low >= -LARGEST_SHARE and high <= LARGEST_SHARE and size > 0:
        raise UserError(
            f"{lie}, all coordinates from {low:.3g} to {high:.3g}: they look like shares of the "
            "image's width and height, not pixels; multiply x by the width and y by the height."
        )
    raise UserError(
        f"{lie}, from x {points[:, 0].min():.6g}, y {points[:, 1].min():.6g}; a face needs "
        f"{SMALLEST_FACE:g}, or its crop shows nothing; correct or remove it."
    )


def _check_points(whose: str, record: FaceRecord, scheme: LandmarkScheme) -> None:
    """Refuse points that lie far off the others or where tools put missing ones."""
    landmarks = record.landmarks
    suspect = np.flatnonzero(stand_ins(landmarks))
    if len(suspect):
        raise UserError(
            f"{_named(whose, record, scheme, suspect)}, which stands for missing points in many "
            "files; if so, declare it in landmark-kd.yaml, as in `missing: "
            f"{_values(record, suspect[0])}`, or else correct the face."
        )
    away = distances_from_others(landmarks)
    far = np.flatnonzero(away > FARTHEST_POINT)
    if len(far):
        far = far[np.argsort(-away[far], kind="stable")]
        raise UserError(
            f"{_named(whose, record, scheme, far)}, {away[far[0]]:.3g} times as far from the "
            f"other points as points are from each other; no real face has more than "
            f"{FARTHEST_POINT:g}; correct the face, or say in landmark-kd.yaml (missing) which "
            "coordinates stand for missing points."
        )


def stand_ins(landmarks: np.ndarray) -> np.ndarray:
    """Return which landmarks (K, 2) lie where tools put missing ones, (K,) bool."""
    suspect = np.isin(landmarks[:, 0], STAND_INS) & (landmarks[:, 0] == landmarks[:, 1])
    others = landmarks[np.isfinite(landmarks).all(axis=1) & ~suspect]
    if len(others):
        # In a corner of the box of the others it may be a point that was cut off at the image's.
        suspect &= (landmarks < others.min(axis=0)).all(axis=1)
    return suspect


def distances_from_others(landmarks: np.ndarray) -> np.ndarray:
    """Return how far each point (K, 2) lies from the others, in median distances of two points.

    By medians, so that points far off, if fewer than half, change little for the rest.

    Returns:
        (K,) float64; 0 for missing points, and for all where fewer than four are there, of
        which none can be told to be the odd one.
    """
    found = np.zeros(len(landmarks))
    present = np.flatnonzero(np.isfinite(landmarks).all(axis=1))
    if len(present) < 4:
        return found
    points = landmarks[present]
    with np.errstate(over="ignore"):  # numbers beyond any image, which are refused by that
        apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    unit = np.median(apart[np.triu_indices(len(points), 1)])
    to_others = apart[~np.eye(len(points), dtype=bool)].reshape(len(points), -1)
    if 0 < unit < np.inf:
        found[present] = np.median(to_others, axis=1) / unit
    return found


def _check_box(whose: str, box: np.ndarray, around: np.ndarray) -> None:
    """Refuse a box (4,) that covers too little of the landmarks' box (4,)."""
    shared = np.minimum(box[2:], around[2:]) - np.maximum(box[:2], around[:2])
    extent = np.maximum(around[2:] - around[:2], np.finfo(float).tiny)
    covered = float((shared.clip(min=0) / extent).prod())
    if covered < LEAST_COVERED:
        raise UserError(
            f"{whose} and the data set's box do not fit together: the box from "
            f"{_corners(box)} covers {100 * covered:.0f} % of the landmarks' from "
            f"{_corners(around)}, and {100 * LEAST_COVERED:g} % is the least; correct one of the "
            "two."
        )


def _corners(box: np.ndarray) -> str:
    return "({:.5g}, {:.5g}) to ({:.5g}, {:.5g})".format(*box.tolist())


def _named(whose: str, record: FaceRecord, scheme: LandmarkScheme, rows: np.ndarray) -> str:
    several = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    lie = "lie" if several else "lies"
    row = int(rows[0])
    return f"{whose}: point {row} ({scheme.names[row]}){several} {lie} at {_values(record, row)}"


def _values(record: FaceRecord, row: int) -> str:
    """Return a point's coordinates as its file has them."""
    x, y = (record.landmarks[row] + record.first_pixel).tolist()
    return f"[{x:.10g}, {y:.10g}]"
