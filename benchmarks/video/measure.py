"""Measures what following and smoothing faces of a video is worth, and what it costs.

    python -m benchmarks.video.measure          # jitter, lag and errors
    python -m benchmarks.video.measure --times  # milliseconds a frame; nothing else may run

Clips are made of train photos of 300-W (HELEN), see `clips.py`; both commands write their part of
reports/end_to_end/video.json. The network was trained on these photos, so errors compare ways of
using it and say nothing of other faces.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from benchmarks.markdown_blocks import fill_blocks
from benchmarks.speed.timing import contest, quartiles, ratio
from benchmarks.video import clips, quality
from benchmarks.video.quality import DECIMALS, Update
from benchmarks.video.table import table
from landmark_kd.core.errors import UserError, run_main
from landmark_kd.core.files import read_json, write_json
from landmark_kd.core.progress import ProgressBar
from landmark_kd.evaluation.cost import cpu_name
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.smoothing import OneEuro
from landmark_kd.inference.tracking import FaceTracker
from landmark_kd.landmarks import geometry

RESULTS = Path("reports/end_to_end/video.json")
PAGE = Path("docs/predict.md")
# Photos of the short clips and of those of 10 s, and how long they are, in seconds.
SHORT_CLIPS, SHORT = 12, 3
TOURS, TOUR = 4, 10
ROUNDS = 7
WAYS = ("each frame by itself", "followed", "followed and smoothed")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", action="store_true", help="measure times, not errors")
    shared = os.environ.get("LANDMARK_KD_SHARED", "../shared")
    parser.add_argument(
        "--photos", type=Path, default=Path(shared, "data/300w/helen/trainset"), metavar="DIR"
    )
    parser.add_argument("--model", help="name or file of the network (default: accurate)")
    parsed = parser.parse_args(arguments)
    photos = clips.read_photos(parsed.photos, SHORT_CLIPS)
    if len(photos) < SHORT_CLIPS:
        raise UserError(
            f"{parsed.photos} has {len(photos)} photos with large faces, expected {SHORT_CLIPS}; "
            "point --photos to helen/trainset of 300-W."
        )
    detector = LandmarkDetector.load(parsed.model, threads=1)
    cv2.setNumThreads(1)
    found = measure_times(detector, photos[0]) if parsed.times else measure(detector, photos)
    known = read_json(RESULTS) if RESULTS.is_file() else {}
    # YuNet or Haar, as `LandmarkDetector.load` takes it.
    about = {
        "machine": _machine(),
        "network": detector.source,
        "face_detector": type(detector.face_detector).__name__,
    }
    results = {**known, ("times" if parsed.times else "quality"): {**about, **found}}
    write_json(RESULTS, results)
    if len(results) == 2:
        fill_blocks(PAGE, {"video": table(results)})


def measure(detector: LandmarkDetector, photos: Sequence[clips.Photo]) -> dict[str, Any]:
    """Return jitter at rest, lag in motion, and errors of clips of 10 s."""
    rest: list[list[float]] = []
    motions: dict[str, list[list[float]]] = {"line": [], "swing": []}
    tours: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with ProgressBar(total=3 * SHORT_CLIPS + TOURS, unit="clip", disable=None) as bar:
        for number, photo in enumerate(photos):
            frames = list(clips.frames(photo, clips.still, SHORT, number))
            found = (quality.found_landmarks(u, frames) for u in _ways(detector).values())
            rest.append([quality.jitter(landmarks) for landmarks in found])
            bar.update()
            for motion in (clips.line, clips.swing):
                frames = list(clips.frames(photo, motion, SHORT, number))
                followed = list(_ways(detector).values())[1:]
                motions[motion.__name__].append(
                    [
                        quality.lag(quality.found_landmarks(update, frames), frames, motion)
                        for update in followed
                    ]
                )
                bar.update()
        for number, photo in enumerate(photos[:TOURS]):
            frames = list(clips.frames(photo, clips.tour, TOUR, number))
            for way, update in _ways(detector).items():
                tours[way].append(quality.errors(update, frames))
            bar.update()
    jitter = np.array(rest)
    return {
        "photos": len(photos),
        "filter": vars(OneEuro()),
        "jitter_percent_of_face": dict(zip(WAYS, map(quality.told, jitter.T), strict=True)),
        "jitter_ratio": quality.told(jitter[:, 2] / jitter[:, 1]),
        "lag_frames": {
            name: dict(zip(WAYS[1:], map(quality.told, np.array(lags).T), strict=True))
            for name, lags in motions.items()
        },
        "tours": {
            "clips": TOURS,
            "seconds": TOUR,
            **{
                way: {
                    key: round(float(np.nanmean([row[key] for row in rows])), DECIMALS)
                    for key in rows[0]
                }
                for way, rows in tours.items()
            },
        },
    }


def measure_times(detector: LandmarkDetector, photo: clips.Photo) -> dict[str, Any]:
    """Return milliseconds a frame of a 10 s clip: the network alone, followed, each by itself."""
    frames = [(time, image) for time, image, _ in clips.frames(photo, clips.tour, TOUR)]
    box = geometry.landmarks_box(next(clips.frames(photo, clips.still, 1))[2])
    inputs, _ = detector.network_inputs(frames[0][1], box[None])

    def network() -> int:
        for _ in frames:
            detector.run_network(inputs)
        return len(frames)

    def follow() -> int:
        tracker = FaceTracker(detector)
        for time, image in frames:
            tracker.update(image, time)
        return len(frames)

    def search() -> int:
        some = frames[:: len(frames) // 10]
        for _, image in some:
            detector.detect(image)
        return len(some)

    rates = contest({"network": network, "followed": follow, "each": search}, ROUNDS)
    of_network = {
        clock: {key: round(1 / value, DECIMALS) for key, value in values.items()}
        for clock, values in ratio(rates, "followed", "network").items()
    }
    return {
        "size": [clips.WIDTH, clips.HEIGHT],
        "frames": len(frames),
        "rounds": ROUNDS,
        "milliseconds": {
            name: {
                clock: round(1000 / values["median"], DECIMALS)
                for clock, values in quartiles(of_one).items()
            }
            for name, of_one in rates.items()
        },
        "followed_to_network": of_network,
    }


def _ways(detector: LandmarkDetector) -> dict[str, Update]:
    plain, smooth = FaceTracker(detector, smoothing=None), FaceTracker(detector)
    updates: tuple[Update, ...] = (
        lambda image, time: detector.detect(image),
        plain.update,
        smooth.update,
    )
    return dict(zip(WAYS, updates, strict=True))


def _machine() -> dict[str, Any]:
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "threads": 1,
    }


if __name__ == "__main__":
    run_main(main)
