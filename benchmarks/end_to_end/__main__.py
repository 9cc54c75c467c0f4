"""Measures face detector and landmarks together, on photos as a user has them.

    python -m benchmarks.end_to_end reports/end_to_end/photos.json --faces ../shared/data \\
        --yunet ../shared/peers/face_detection_yunet_2023mar.onnx

Each part (`--parts`, `--detectors`) renews its own numbers in the JSON file and leaves the others:

- photos: all faces of the photos of WFLW, its 98 landmarks turned into 68;
- tilts: Common of 300-W, whole images, upright and turned;
- given_boxes: the same, in the landmarks' own boxes;
- times: milliseconds a photo of WFLW in one thread, the detectors taking turns. Run it on a machine
  that does nothing else;
- batches: milliseconds an image with YuNet, in batches of 1, 8 and 32 images, in one thread and in
  as many as onnxruntime takes.

What is measured here has no part in any choice of the detector's. `--fill` writes the tables into
docs/results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from benchmarks.end_to_end.dlib_detector import DlibDetector, installed
from benchmarks.end_to_end.photos import (
    Outcome,
    Photo,
    batch_times,
    outcome,
    regions,
    rotated,
    summary,
    times,
)
from benchmarks.end_to_end.tables import results_blocks
from benchmarks.markdown_blocks import fill_blocks
from benchmarks.pfld.inputs import shared_folder
from landmark_kd.core.errors import UserError, run_main
from landmark_kd.core.files import write_json
from landmark_kd.data.datasets.base import BadFaces, FaceRecord
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.data.datasets.wflw import WFLW
from landmark_kd.evaluation.cost import cpu_name
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import IBUG_68, WFLW_98, convert

PROJECT = Path(__file__).resolve().parents[2]
SHARED = shared_folder(PROJECT)
PARTS = ("photos", "tilts", "given_boxes", "times", "batches")
BATCHES = (1, 8, 32)
DETECTORS = ("yunet", "haar", "dlib")
# Degrees. Haar and dlib are slow on what they do not find: a few.
ANGLES = {"yunet": tuple(range(0, 360, 15)), "haar": (0, 30, 90), "dlib": (0, 30, 90)}
# Of the faces every fourth is turned; upright all are taken, and the fourth for comparison.
EVERY = 4


def main() -> None:
    arguments = _parser().parse_args()
    if "dlib" in (arguments.detectors or ()) and not installed():
        raise UserError("dlib is not installed; `pip install dlib-bin`, or leave it out.")
    cv2.setNumThreads(1)
    detectors = {
        "yunet": LandmarkDetector.load(
            arguments.model, threads=1, face_detector="yunet", face_detector_model=arguments.yunet
        ),
        "haar": LandmarkDetector.load(arguments.model, threads=1, face_detector="haar"),
    }
    if installed():
        # `load` knows the detectors that users have; this one is for comparison alone.
        detectors["dlib"] = LandmarkDetector.load(arguments.model, threads=1, face_detector="haar")
        detectors["dlib"]._faces = DlibDetector()
    chosen = {name: detectors[name] for name in arguments.detectors or detectors}
    measure = {
        "photos": lambda: _photos(chosen, arguments.faces / "wflw"),
        "tilts": lambda: _tilts(chosen, arguments.faces / "300w"),
        "given_boxes": lambda: _given_boxes(detectors["yunet"], arguments.faces / "300w"),
        "times": lambda: _times(detectors, arguments.faces / "wflw", arguments.timed),
        "batches": lambda: _batches(detectors["yunet"], arguments),
    }
    for part in arguments.parts:
        _renew(arguments.out, {part: measure[part](), "machine": _machine(detectors["yunet"])})
    if arguments.fill:
        results = json.loads(arguments.out.read_text(encoding="utf-8"))
        fill_blocks(PROJECT / "docs" / "results.md", results_blocks(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="JSON file that is written or renewed")
    parser.add_argument(
        "--faces",
        type=Path,
        default=SHARED / "data",
        help="folder of 300w and wflw (default: %(default)s)",
    )
    parser.add_argument("--model", help="name or file of the network (default: accurate)")
    parser.add_argument("--yunet", type=Path, help="YuNet's file (default: the user's cache)")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--detectors",
        nargs="*",
        choices=DETECTORS,
        help="for photos and tilts (default: all, dlib where installed); times always has all",
    )
    parser.add_argument("--timed", type=int, default=175, help="photos timed (default: 175)")
    parser.add_argument("--fill", action="store_true", help="fill the tables of docs/results.md")
    return parser


def _renew(out: Path, part: Mapping[str, Any]) -> None:
    known = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    write_json(out, known | {name: known.get(name, {}) | found for name, found in part.items()})


def _photos(detectors: Mapping[str, LandmarkDetector], folder: Path) -> dict[str, Any]:
    # Both lists of the sample hold test faces; the network has learnt from none of WFLW's.
    photos = list(_by_photo(WFLW.read(folder, BadFaces("skip"))))
    return {
        name: _shown(
            name,
            summary([_outcome(detector, photo()) for photo in photos], regions(detector)),
        )
        for name, detector in detectors.items()
    }


def _tilts(detectors: Mapping[str, LandmarkDetector], folder: Path) -> dict[str, Any]:
    photos = _common(folder)
    found: dict[str, Any] = {}
    for name, detector in detectors.items():
        multiples = regions(detector)
        upright = [_outcome(detector, photo()) for photo in photos]
        angles = {}
        for angle in ANGLES[name]:
            turned = upright[::EVERY]
            if angle:
                turned = [_outcome(detector, rotated(p(), angle)) for p in photos[::EVERY]]
            angles[str(angle)] = _shown(f"{name} {angle}", summary(turned, multiples))
        found[name] = {"upright": summary(upright, multiples), "angles": angles}
    return found


def _given_boxes(detector: LandmarkDetector, folder: Path) -> dict[str, Any]:
    outcomes = [_outcome(detector, photo(), given=True) for photo in _common(folder)]
    return _shown("boxes given", summary(outcomes, regions(detector)))


def _common(folder: Path) -> list[_Reader]:
    _, dataset = recognised(folder, "300w")
    records = dataset.read(folder, BadFaces("skip"))
    return list(_by_photo(r for r in records if r.part.subset == "common"))


def _times(detectors: Mapping[str, LandmarkDetector], folder: Path, count: int) -> dict[str, Any]:
    images = _some(folder, count)
    found = times(detectors, images)
    return {"images": len(images), "load": os.getloadavg()[0], "detectors": found}


def _batches(one_thread: LandmarkDetector, arguments: argparse.Namespace) -> dict[str, Any]:
    images = _some(arguments.faces / "wflw", max(BATCHES))
    detectors = {
        "one": one_thread,
        "default": LandmarkDetector.load(
            arguments.model, face_detector="yunet", face_detector_model=arguments.yunet
        ),
    }
    found = batch_times(detectors, images, BATCHES)
    return {"images": len(images), "load": os.getloadavg()[0], "threads": found}


def _some(folder: Path, count: int) -> list[np.ndarray]:
    """Return so many photos of WFLW, in memory: reading a file is not timed."""
    photos = list(_by_photo(WFLW.read(folder, BadFaces("skip"))))
    return [photo().image for photo in photos[:: max(1, len(photos) // count)][:count]]


def _outcome(detector: LandmarkDetector, photo: Photo, *, given: bool = False) -> Outcome:
    boxes = geometry.landmarks_box(photo.landmarks) if given else None
    return outcome(detector.detect(photo.image, boxes), photo.landmarks)


class _Reader:
    """Reads a photo when it is called, so that only one is in memory."""

    def __init__(self, records: list[FaceRecord]) -> None:
        self._records = records

    def __call__(self) -> Photo:
        points = [
            r.landmarks
            if len(r.landmarks) == IBUG_68.points
            else convert(r.landmarks, WFLW_98, IBUG_68)
            for r in self._records
        ]
        return Photo(self._records[0].image.read(), np.stack(points))


def _by_photo(records: Iterable[FaceRecord]) -> Iterator[_Reader]:
    of_photo: dict[str, list[FaceRecord]] = {}
    for record in records:
        of_photo.setdefault(str(record.image), []).append(record)
    return map(_Reader, of_photo.values())


def _machine(detector: LandmarkDetector) -> dict[str, Any]:
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "model": detector.source,
    }


def _shown(name: str, found: dict[str, Any]) -> dict[str, Any]:
    print(name, json.dumps(found), flush=True)
    return found


if __name__ == "__main__":
    run_main(main)
