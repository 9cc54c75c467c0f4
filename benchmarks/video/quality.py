"""How steady, how late and how wrong landmarks of a clip are, whose true ones are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.video import clips
from landmark_kd.inference.face import Face
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import IBUG_68

# Frames at the beginning that are not counted: what is at rest has come to rest after them.
SETTLING = clips.RATE
# Lags looked for, in frames.
LAGS = np.arange(-2, 8, 0.02)
# A face found is the one looked for where their boxes overlap this much.
SAME_FACE = 0.3
DECIMALS = 3

# What gives the faces of the next frame of a clip.
Update = Callable[[np.ndarray, float], Sequence[Face]]


def _found(update: Update, frame: tuple[float, np.ndarray, np.ndarray]) -> Face | None:
    """Return the face that was looked for."""
    time, image, true = frame
    faces = update(image, time)
    boxes = np.array([geometry.landmarks_box(face.landmarks) for face in faces]).reshape(-1, 4)
    overlaps = geometry.overlap(boxes, geometry.landmarks_box(true))
    if not len(overlaps) or overlaps.max() < SAME_FACE:
        return None
    return faces[int(overlaps.argmax())]


def found_landmarks(update: Update, frames: Sequence[Any]) -> np.ndarray:
    """Return the landmarks (N, K, 2) of frames, NaN where the face was not found."""
    rows = []
    for frame in frames:
        face = _found(update, frame)
        rows.append(np.full_like(frame[2], np.nan) if face is None else face.landmarks)
    return np.stack(rows)


def jitter(landmarks: np.ndarray) -> float:
    """Return the standard deviation over time, of a landmark's place, in % of the face's side."""
    return float(np.sqrt(np.nanvar(landmarks[SETTLING:], axis=0).sum(-1).mean()) / clips.FACE * 100)


def lag(landmarks: np.ndarray, frames: Sequence[Any], motion: clips.Motion) -> float:
    """Return by how many frames the face is where it was; fitted to the path, least squares."""
    times = np.array([time for time, _, _ in frames])[SETTLING:]
    place = landmarks.mean(axis=1)[SETTLING:, 0]
    kept = np.isfinite(place)
    misfits = []
    for late in LAGS:
        path = clips.FACE * np.array([motion(time - late / clips.RATE)[0] for time in times[kept]])
        misfits.append(np.var(place[kept] - path))
    return float(LAGS[int(np.argmin(misfits))])


def errors(update: Update, frames: Sequence[Any]) -> dict[str, float]:
    """Return the share of frames in which the face was found, NME of these, and its numbers."""
    left, right = IBUG_68.normalizer
    errors, ids = [], set()
    for frame in frames:
        face = _found(update, frame)
        if face is not None:
            true = frame[2]
            interocular = np.linalg.norm(true[left] - true[right])
            distances = np.linalg.norm(face.landmarks - true, axis=-1)
            errors.append(100 * distances.mean() / interocular)
            ids.add(getattr(face, "id", 0))
    return {
        "found_percent": 100 * len(errors) / len(frames),
        "nme": float(np.mean(errors)) if errors else float("nan"),
        "numbers": len(ids),
    }


def told(values: np.ndarray) -> dict[str, float]:
    """Return median and largest of one value a clip; clips without the face are left out."""
    values = values[np.isfinite(values)]
    found = {"clips": len(values), "median": np.median(values), "largest": values.max()}
    return {name: round(float(value), DECIMALS) for name, value in found.items()}
