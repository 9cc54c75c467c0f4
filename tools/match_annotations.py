"""Brings the landmarks of another set of 68 nearer to the habits of a detector's own set.

    python -m tools.match_annotations ../shared/data/aflw2000 out/aflw2000 --mask 0-16
    python -m tools.match_annotations ../shared/data/ytf out/ytf --mask 0-16 --frames 4

Two sets place the same landmark differently: one puts the inner ends of the brows further apart,
another follows the hidden cheek of a turned head. Learnt together without more, each spoils the
other. So the median distance of the set's landmarks from those that a detector finds, measured on
its frontal faces along and across the face, is taken off all faces, and landmarks that are not the
same points are masked. What is written is a custom set, for `data.extra`; crops come from the boxes
of the landmarks as they were.

The folder holds landmarks.csv (image, yaw in degrees, x0, y0, …, x67, y67; pixels from 0) and
images/. Without a yaw, it is what the landmarks show. Video frames have a column person, and with
--frames N so many of every second person are taken, from the frame that is turned furthest to one
side to that on the other; the other people are left for measuring. Only faces of --frontal degrees
of yaw or less are measured, where a detector trained on frontal faces can be trusted. Across the
face the distance shrinks with the cosine of the yaw.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from landmark_kd.core.errors import UserError, run_main
from landmark_kd.core.files import replaced_folder
from landmark_kd.data.datasets.custom.config import CONFIG_NAME
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.head import head_pose
from landmark_kd.landmarks.scheme import IBUG_68

# Of the 68 landmarks: both eyes and the mouth, which say how the face is turned in the image.
EYES, MOUTH = slice(36, 48), slice(48, 68)
# Of the table, in the landmarks' order.
COLUMNS = [f"{axis}{i}" for i in range(IBUG_68.points) for axis in "xy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path, help="folder with landmarks.csv and images/")
    parser.add_argument("out", type=Path, help="folder for the custom set")
    parser.add_argument("--model", default=None, help="detector (default: the shipped one)")
    parser.add_argument("--frontal", type=float, default=20, help="yaw in degrees")
    parser.add_argument("--mask", default=None, help="landmarks to leave out, as in 0-16")
    parser.add_argument("--frames", type=int, default=None, help="of every second person")
    parser.add_argument("--licence", default="for research only", help="of the set")
    arguments = parser.parse_args()
    if arguments.frames is not None and arguments.frames < 1:
        raise UserError(f"--frames is {arguments.frames}; give 1 or more frames of each person.")
    table, landmarks = read_table(arguments.source, *(["person"] if arguments.frames else []))
    yaw = table["yaw"].to_numpy() if "yaw" in table else head_pose(landmarks)[:, 0]
    if arguments.frames:
        rows = frames_to_learn(table["person"].to_numpy(), yaw, arguments.frames)
        table, landmarks, yaw = table.iloc[rows].reset_index(drop=True), landmarks[rows], yaw[rows]
    images = arguments.source / "images"
    frontal = np.flatnonzero(np.abs(yaw) <= arguments.frontal)
    detector = LandmarkDetector.load(arguments.model)
    found = np.stack([_found(detector, images / table["image"][i], landmarks[i]) for i in frontal])
    offsets = median_offsets(landmarks[frontal], found)
    matched = without_offsets(landmarks, offsets, np.deg2rad(yaw))
    if arguments.mask:
        first, last = (int(number) for number in arguments.mask.split("-"))
        matched[:, first : last + 1] = np.nan
    boxes = np.stack([geometry.landmarks_box(face) for face in landmarks])
    with replaced_folder(arguments.out) as folder:
        _write(folder, table["image"], matched, boxes)
        _describe(folder / CONFIG_NAME, arguments.out.name, arguments.licence)
        for name in table["image"]:
            copy = folder / "images" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(images / name, copy)
    away = np.linalg.norm(offsets, axis=1)
    print(
        f"{arguments.out}: {len(landmarks)} faces; offsets of {len(frontal)} frontal ones, "
        f"{100 * away.mean():.1f} % of the box's side in the mean, {100 * away.max():.1f} % at "
        f"landmark {away.argmax()}"
    )


def read_table(folder: Path, *columns: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Read a folder's landmarks.csv, which has image, x0, y0, …, x67, y67 and these columns.

    Returns:
        table: as it is.
        landmarks: (N, 68, 2) of it, pixels.

    Raises:
        UserError: the table is missing, or one of its columns.
    """
    file = folder / "landmarks.csv"
    if not file.is_file():
        raise UserError(f"{file} is missing; give the folder that holds it and images/.")
    table = pd.read_csv(file)
    needed = ["image", *columns]
    absent = [name for name in (*needed, *COLUMNS) if name not in table]
    if absent:
        raise UserError(
            f"{file} has no column {absent[0]}; it needs {', '.join(needed)}, x0, y0, …."
        )
    return table, table[COLUMNS].to_numpy(np.float64).reshape(-1, IBUG_68.points, 2)


def learnt(people: np.ndarray) -> np.ndarray:
    """Return which frames (N,) are of the people to learn from, every second one by name.

    Args:
        people: (N,) names.
    """
    return np.isin(people, np.unique(people)[::2])


def frames_to_learn(people: np.ndarray, yaw: np.ndarray, count: int) -> np.ndarray:
    """Return the rows of `count` frames of each person to learn from, all yaws between them.

    Args:
        people: (N,) names.
        yaw: (N,) degrees.
    """
    chosen = []
    for person in np.unique(people[learnt(people)]):
        rows = np.flatnonzero(people == person)
        rows = rows[np.argsort(yaw[rows], kind="stable")]
        chosen.append(rows[np.unique(np.linspace(0, len(rows) - 1, count).round().astype(int))])
    return np.concatenate(chosen)


def median_offsets(landmarks: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return how far landmarks (N, 68, 2) lie from those found, the median (68, 2) over the faces.

    In shares of the longer side of the landmarks' box, across and along the upright face.
    """
    turn, side = _pose(landmarks)
    upright = np.einsum("nij,nkj->nki", turn, landmarks - found) / side[:, None, None]
    return np.median(upright, axis=0)


def without_offsets(landmarks: np.ndarray, offsets: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Return landmarks (N, 68, 2) less the offsets of `median_offsets`.

    Args:
        yaw: (N,) radians.
    """
    turn, side = _pose(landmarks)
    shrunk = np.stack([np.cos(yaw), np.ones_like(yaw)], axis=1)[:, None] * offsets
    return landmarks - np.einsum("nji,nkj->nki", turn, shrunk) * side[:, None, None]


def _pose(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rotations (N, 2, 2) that turn the faces upright, and the sides (N,) of their boxes."""
    x, y = (landmarks[:, MOUTH].mean(axis=1) - landmarks[:, EYES].mean(axis=1)).T
    length = np.hypot(x, y)
    cos, sin = y / length, x / length
    turn = np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)
    return turn, np.ptp(landmarks, axis=1).max(axis=1)


def _found(detector: LandmarkDetector, path: Path, landmarks: np.ndarray) -> np.ndarray:
    image = cv2.imread(str(path))
    if image is None:
        raise UserError(f"{path} is missing or not an image.")
    return detector.detect(image, boxes=geometry.landmarks_box(landmarks)[None])[0].landmarks


def _write(folder: Path, images: pd.Series, landmarks: np.ndarray, boxes: np.ndarray) -> None:
    flat = pd.DataFrame(landmarks.reshape(len(landmarks), -1).round(2), columns=COLUMNS)
    sides = boxes[:, 2:] - boxes[:, :2]
    names = ["box_x", "box_y", "box_width", "box_height"]
    box = pd.DataFrame(np.concatenate([boxes[:, :2], sides], axis=1).round(2), columns=names)
    pd.concat([images, box, flat], axis=1).to_csv(folder / "landmarks.csv", index=False)


def _describe(path: Path, name: str, licence: str) -> None:
    scheme = IBUG_68
    content = {
        "name": f"{name}-matched",
        "annotations": "landmarks.csv",
        "images": "images",
        "missing": "empty",
        "first_pixel": 0,
        "points": scheme.points,
        "flip_pairs": [[i, int(j)] for i, j in enumerate(scheme.flip) if i < j],
        "normalizer": list(scheme.normalizer),
        "normalizer_name": scheme.normalizer_name,
        "contours": [],
        # No custom set is without test faces; those of an extra set are not used.
        "split": {"column": None, "test": 0.01, "seed": 0},
        "licence": licence,
    }
    YAML().dump(content, path)


if __name__ == "__main__":
    run_main(main)
