"""Measures where the landmarks lie in a box of OpenCV's Haar detector, on 300-W train faces.

    python -m tools.measure_face_detector /where/300w/lies

The tool prints the numbers that stand in `landmark_kd.imaging.face_detector`: the landmarks' box in
units of the Haar box (medians over all faces found) and percentiles of the detector's sums. It
never reads test folders.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from landmark_kd.data.datasets.pts import read_pts
from landmark_kd.imaging import face_detector
from landmark_kd.imaging.face_detector import SAME_FACE, in_haar
from landmark_kd.imaging.images import read_image
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.geometry import overlap

TRAIN_FOLDERS = ("afw", "helen/trainset", "lfpw/trainset")
POINTS = 68


def image_of(points: Path) -> Path:
    """Return the image beside a .pts file."""
    return next(p for s in (".jpg", ".png") if (p := points.with_suffix(s)).is_file())


def measure(root: Path) -> None:
    """Print the medians, their spread and the number of faces found."""
    relative, weights, others = [], [], 0
    files = [path for folder in TRAIN_FOLDERS for path in sorted((root / folder).glob("*.pts"))]
    for path in files:
        box = geometry.landmarks_box(read_pts(path, POINTS))
        found, sums = face_detector.haar_boxes(read_image(image_of(path)))
        overlaps = overlap(found, box)
        best = int(overlaps.argmax()) if len(found) else -1
        matched = best >= 0 and overlaps[best] >= SAME_FACE
        others += len(found) - matched
        if matched:
            relative.append(in_haar(box, found[best]))
            weights.append(sums[best])
    low, median, high = np.percentile(relative, [10, 50, 90], axis=0).round(4)
    print(f"{len(relative)} of {len(files)} faces found, {others} other boxes")
    print(f"landmark box in Haar boxes: median {median.tolist()}")
    print(f"  10 % {low.tolist()}\n  90 % {high.tolist()}")
    print(f"last-stage sum: 5, 50, 95 % {np.percentile(weights, [5, 50, 95]).round(2).tolist()}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the Haar detector against landmarks.")
    parser.add_argument("root", type=Path, help="300-W in its official layout")
    measure(parser.parse_args().root)


if __name__ == "__main__":
    main()
