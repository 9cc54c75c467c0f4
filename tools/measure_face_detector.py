"""Measures where the landmarks lie in what face detectors find, on 300-W train faces.

    python -m tools.measure_face_detector /where/300w/lies [--yunet FILE]

The tool prints the numbers that stand in `landmark_kd.imaging.face_detector`: the landmarks' box in
units of the Haar box (medians over all faces found) and percentiles of the detector's sums. With
YuNet's file it prints those of `landmark_kd.inference.face_detector` instead: LANDMARK_BOX and the
scores. It never reads test folders.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from landmark_kd.data.datasets.pts import read_pts
from landmark_kd.imaging import face_detector
from landmark_kd.imaging.face_detector import SAME_FACE, in_units_of
from landmark_kd.imaging.images import read_image
from landmark_kd.inference.face_detector import LONGER_SIDES, YuNetDetector, face_axes
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.geometry import overlap

TRAIN_FOLDERS = ("afw", "helen/trainset", "lfpw/trainset")
POINTS = 68
# YuNet is measured on every second image.
EVERY = 2


def image_of(points: Path) -> Path:
    """Return the image beside a .pts file."""
    return next(p for s in (".jpg", ".png") if (p := points.with_suffix(s)).is_file())


def train_files(root: Path) -> list[Path]:
    """Return all .pts files of 300-W's train folders."""
    return [path for folder in TRAIN_FOLDERS for path in sorted((root / folder).glob("*.pts"))]


def measure(root: Path) -> None:
    """Print, for Haar, the medians, their spread and the number of faces found."""
    relative, weights, others = [], [], 0
    files = train_files(root)
    for path in files:
        box = geometry.landmarks_box(read_pts(path, POINTS))
        found, sums = face_detector.haar_boxes(read_image(image_of(path)))
        overlaps = overlap(found, box)
        best = int(overlaps.argmax()) if len(found) else -1
        matched = best >= 0 and overlaps[best] >= SAME_FACE
        others += len(found) - matched
        if matched:
            relative.append(in_units_of(found[best], box))
            weights.append(sums[best])
    low, median, high = np.percentile(relative, [10, 50, 90], axis=0).round(4)
    print(f"{len(relative)} of {len(files)} faces found, {others} other boxes")
    print(f"landmark box in Haar boxes: median {median.tolist()}")
    print(f"  10 % {low.tolist()}\n  90 % {high.tolist()}")
    print(f"last-stage sum: 5, 50, 95 % {np.percentile(weights, [5, 50, 95]).round(2).tolist()}")


def measure_yunet(root: Path, detector: YuNetDetector) -> None:
    """Print the fit of the landmarks' box to the nose, what it leaves, and the scores."""
    boxes, noses, scores, others = [], [], [], 0
    files = train_files(root)[::EVERY]
    for path in files:
        true = read_pts(path, POINTS)
        box = geometry.landmarks_box(true)
        _, points, sure = detector.look(read_image(image_of(path)), LONGER_SIDES[0])
        middle, length, rolls, nose = face_axes(points)
        inside = np.flatnonzero(((middle > box[:2]) & (middle < box[2:])).all(axis=1))
        others += len(points) - len(inside)
        if len(inside):
            i = inside[sure[inside].argmax()]
            boxes.append(geometry.landmarks_box(geometry.turned(true - middle[i], -rolls[i])))
            boxes[-1] /= length[i]
            noses.append(nose[i])
            scores.append(sure[i])
    made = np.column_stack([np.ones(len(noses)), noses])
    fit = np.linalg.lstsq(made, np.array(boxes))[0]
    left = np.array(boxes) - made @ fit
    centres = [(b[:, :2] + b[:, 2:]) / 2 for b in (np.array(boxes), left)]
    print(f"{len(boxes)} of {len(files)} faces found, {others} other boxes")
    print(f"LANDMARK_BOX = {fit.round(4).tolist()}")
    before, after = (c.std(axis=0).round(3).tolist() for c in centres)
    print(f"  centre: standard deviation {after}, without the nose {before}")
    print(f"score: 1, 5, 50 % {np.percentile(scores, [1, 5, 50]).round(3).tolist()}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a face detector against landmarks.")
    parser.add_argument("root", type=Path, help="300-W in its official layout")
    parser.add_argument("--yunet", type=Path, help="file of YuNet, which is measured instead")
    arguments = parser.parse_args()
    if arguments.yunet is None:
        measure(arguments.root)
    else:
        measure_yunet(arguments.root, YuNetDetector(arguments.yunet))


if __name__ == "__main__":
    main()
