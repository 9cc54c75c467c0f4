"""Compares networks with PFLD on turned heads, in video frames that none of them has learnt from.

    python -m benchmarks.pfld.turned_heads accurate fast models/landmarks.onnx

300-W's test faces look into the camera, so how a network does on turned heads cannot be chosen
there. The frames of YouTube Faces in ../shared can serve for choosing: they are in no test. Of
the people, those that `tools.match_annotations --frames` takes to learn from are left out. Frames
are sorted by the yaw that their landmarks show, and each person counts once in each bin, by the
frame with the median yaw there. Errors are in % of the box's longer side, without the jaw, whose
landmarks lie at different places of a turned head in different sets.

The landmarks were placed by another model, with habits of its own (2 % of the box from 300-W's): of
each network the median distance from them on heads of at most 10 degrees is taken off first, turned
with the head as `tools.match_annotations` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.pfld.compare import SHARED, beside_pfld
from benchmarks.pfld.inputs import add_reference_inputs
from benchmarks.pfld.tables import label
from benchmarks.pfld.tables import table as markdown_table
from landmark_kd.core.errors import run_main
from landmark_kd.evaluation.bootstrap import mean_intervals
from landmark_kd.evaluation.scores import interval_text
from landmark_kd.imaging.images import read_image
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.head import JAW, head_pose
from tools.match_annotations import learnt, median_offsets, read_table, without_offsets

# Degrees of yaw, either way, between bins.
EDGES = (10, 20, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="+", help="names of shipped networks, or ONNX files")
    add_reference_inputs(parser, SHARED)
    parser.add_argument(
        "--frames",
        type=Path,
        default=SHARED / "data" / "ytf",
        help="folder with landmarks.csv and images/ (default: %(default)s)",
    )
    arguments = parser.parse_args()
    models = {name: name for name in arguments.models}
    detectors = beside_pfld(models, arguments.pfld, threads=1)
    table, true = read_table(arguments.frames, "person")
    unknown = ~learnt(table["person"].to_numpy())
    table, true = table[unknown], true[unknown]
    images, people = table["image"].to_numpy(), table["person"].to_numpy()
    yaw = head_pose(true)[:, 0]
    bins = by_yaw(people, np.abs(yaw))
    chosen = [row for rows in bins.values() for row in rows]
    photos = [read_image(arguments.frames / "images" / images[row]) for row in chosen]
    faces = list(zip(photos, true[chosen], strict=True))
    errors = {
        name: habit_free_errors(
            np.stack([_landmarks(detector, *face) for face in faces]),
            true[chosen],
            yaw[chosen],
        )
        for name, detector in detectors.items()
    }
    rows, start = [], 0
    for of_bin, frames in bins.items():
        here = slice(start, start := start + len(frames))
        found = mean_intervals({name: of_network[here] for name, of_network in errors.items()})
        cells = [interval_text(vars(interval)) for interval in found.values()]
        rows.append([of_bin, str(len(frames)), *cells])
    print(markdown_table(["yaw either way", "people", *map(label, detectors)], rows))


def by_yaw(people: np.ndarray, yaw: np.ndarray) -> dict[str, list[int]]:
    """Return the frames of each bin of yaw, one a person: that with the median yaw of its bin.

    Args:
        people: (N,) names.
        yaw: (N,) degrees, not negative.
    """
    bins = np.digitize(yaw, EDGES)
    names = [f"{a} to {b}°" for a, b in zip((0, *EDGES), EDGES, strict=False)]
    found: dict[str, list[int]] = {}
    for number, name in enumerate([*names, f"beyond {EDGES[-1]}°"]):
        inside = pd.Series(yaw[bins == number], index=np.flatnonzero(bins == number))
        of_people = inside.groupby(people[inside.index.to_numpy()])
        chosen = [int(group.sort_values().index[len(group) // 2]) for _, group in of_people]
        if chosen:
            found[name] = chosen
    return found


def habit_free_errors(found: np.ndarray, true: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Return the mean distance (N,) of all landmarks but the jaw's, in % of the box's longer side.

    Args:
        found, true: (N, 68, 2) pixels; of `true`, the habits on frontal heads are taken off.
        yaw: (N,) degrees.
    """
    frontal = np.abs(yaw) < EDGES[0]
    offsets = median_offsets(true[frontal], found[frontal])
    apart = found - without_offsets(true, offsets, np.deg2rad(yaw))
    sides = np.ptp(true, axis=1).max(axis=1)
    inner: np.ndarray = np.delete(np.linalg.norm(apart, axis=2), JAW, axis=1).mean(axis=1)
    return 100 * inner / sides


def _landmarks(detector: LandmarkDetector, image: np.ndarray, true: np.ndarray) -> np.ndarray:
    (face,) = detector.detect(image, geometry.landmarks_box(true)[None])
    return face.landmarks


if __name__ == "__main__":
    run_main(main)
