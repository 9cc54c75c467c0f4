"""Compares the shipped students with PFLD: the same faces, the same boxes, one process.

    python -m benchmarks.pfld.compare
    python -m benchmarks.pfld.compare --model models/landmarks.onnx --out /tmp/mine

The script measures all networks on the test faces of 300-W (in the landmarks' boxes, also of images
turned up to 45 degrees, in boxes that are moved and scaled at random, and in those of OpenCV's
detector) and on WFLW's faces, whose 98 points are turned into 68; it sorts the faces by pose and
light. It prints the tables and writes results.json, ced.json, ced.png and images of the worst faces
of the first student (worst_*.png: images of people, for looking at and not for passing on) to the
folder --out. For the shipped students, without --model, that is reports/references, and the tables
in README.md, docs/results.md and reports/references/README.md are filled, too.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd

from benchmarks.end_to_end.photos import Photo, rotated
from benchmarks.markdown_blocks import fill_blocks
from benchmarks.pfld.adapter import pfld_as_ours
from benchmarks.pfld.conditions import conditions
from benchmarks.pfld.inputs import add_reference_inputs, shared_folder
from benchmarks.pfld.onnx_cost import onnx_cost
from benchmarks.pfld.scores import DECIMALS, ced_points, scores, times
from benchmarks.pfld.tables import REFERENCE, readme_blocks, report_blocks, results_blocks
from benchmarks.pfld.worst_faces import draw_worst, worst_rows
from landmark_kd.core.boxes import BoxName
from landmark_kd.core.errors import UserError, run_main
from landmark_kd.core.files import write_json
from landmark_kd.data.datasets.base import Dataset, Split
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.data.datasets.wflw import IMAGES, LIST, WFLW
from landmark_kd.evaluation.cost import cpu_name
from landmark_kd.evaluation.exported import BoxJitter, OnnxEvaluation, evaluate_onnx
from landmark_kd.evaluation.exported_report import protocol, scores_table
from landmark_kd.evaluation.scores import rounded
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.shipped import DEFAULT, names_file, shipped_model, shipped_names
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.head import head_pose
from landmark_kd.landmarks.metrics import nme, normalizing_distance
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.visualization.plots import draw_ced

PROJECT = Path(__file__).resolve().parents[2]
SHARED = shared_folder(PROJECT)
REPORT = PROJECT / "reports" / "references"

# (shift, scale) of `jitter_boxes`; errors are means over the seeds.
LOOSENESS = ((0.05, 0.1), (0.1, 0.2))
JITTER_SEEDS = (0, 1, 2)
# Degrees that images are turned by, either way, and every how manieth face is.
TILTS = (0, 15, 30, 45)
TILT_STEP = 4
FACES_TIMED = 200
# The name of a network that is a file.
STUDENT = "student"
OFFICIAL_TEST_FACES = WFLW.published_counts("test")["all"]

Evaluations = dict[str, OnnxEvaluation]


def main() -> None:
    arguments = _parser().parse_args()
    model = arguments.model
    out = arguments.out or (REPORT if model is None else None)
    threads = arguments.threads
    detectors = beside_pfld(students(model), arguments.pfld, threads=threads)
    files = {name: _content(of_name) for name, of_name in students(model).items()}
    files[REFERENCE] = arguments.pfld.read_bytes()
    _, common = recognised(arguments.faces, "300w")
    with one_test_list(arguments.wflw) as wflw:
        evaluations = {
            "300w": evaluate_all(detectors, common, arguments.faces),
            "wflw": evaluate_all(detectors, WFLW, wflw),
        }
        results = {
            "machine": _machine(threads),
            "networks": {
                name: _network(detector, files[name]) for name, detector in detectors.items()
            },
            "times": _times(detectors, evaluations["300w"], arguments.rounds),
            "sets": {name: _set(of_set) for name, of_set in evaluations.items()},
            "tilts": _tilts(detectors, evaluations["300w"]),
            "boxes": _boxes(detectors, common, arguments.faces),
        }
        curves = ced_points(_errors(evaluations["300w"]))
        for text in report_blocks(results, curves).values():
            print(text, end="\n\n", flush=True)
        if out is not None:
            _write(out, results, curves, evaluations)
    if model is None and out == REPORT:
        fill_blocks(REPORT / "README.md", report_blocks(results, curves))
        fill_blocks(PROJECT / "README.md", readme_blocks(results))
        fill_blocks(PROJECT / "docs" / "results.md", results_blocks(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--model", help="one shipped network alone, or an ONNX file (default: all shipped ones)"
    )
    add_reference_inputs(parser, SHARED)
    parser.add_argument(
        "--wflw",
        type=Path,
        default=SHARED / "data" / "wflw",
        help="folder of WFLW (default: %(default)s)",
    )
    parser.add_argument("--threads", type=_count, default=1, help="of each network (default: 1)")
    parser.add_argument("--rounds", type=_count, default=3, help="of timing (default: 3)")
    parser.add_argument("--out", type=Path, help="folder for results (default: reports/references)")
    return parser


def beside_pfld(
    models: Mapping[str, str], pfld: Path, *, threads: int
) -> dict[str, LandmarkDetector]:
    """Open networks, by their names, and PFLD's file, which comes last everywhere.

    Raises:
        UserError: one of them cannot be opened.
    """
    reference = pfld_as_ours(pfld)
    detectors = {name: LandmarkDetector.load(of, threads=threads) for name, of in models.items()}
    detectors[REFERENCE] = LandmarkDetector.from_bytes(reference, "PFLD", threads=threads)
    return detectors


def students(model: str | None) -> dict[str, str]:
    """Return what to load of each student, by its name: DEFAULT first, then the other shipped ones.

    A file's network is called STUDENT.
    """
    if model is not None:
        return {STUDENT if names_file(model) else model: model}
    return {name: name for name in sorted(shipped_names(), key=lambda name: name != DEFAULT)}


def _content(model: str) -> bytes:
    return Path(model).read_bytes() if names_file(model) else shipped_model(model)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


@contextmanager
def one_test_list(folder: Path) -> Iterator[Path]:
    """Yield a folder of WFLW whose test list has the faces of both lists.

    Both lists of the sample in ../shared hold test faces of WFLW: neither network has learnt from
    them. The official test list is taken as it is.
    """
    lists = {split: folder / LIST.format(split=split) for split in ("train", "test")}
    WFLW.check(folder)
    lines = {s: [x for x in f.read_bytes().split(b"\n") if x.strip()] for s, f in lists.items()}
    if len(lines["test"]) == OFFICIAL_TEST_FACES:
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        together = Path(name) / folder.name
        content = {"train": lines["train"], "test": [*lines["test"], *lines["train"]]}
        for split, of_split in content.items():
            file = together / LIST.format(split=split)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"\n".join(of_split) + b"\n")
        (together / IMAGES).symlink_to((folder / IMAGES).resolve())
        yield together


def evaluate_all(
    detectors: Mapping[str, LandmarkDetector],
    dataset: Dataset,
    folder: Path,
    *,
    split: Split = "test",
    box: BoxName = "landmarks",
    jitter: BoxJitter | None = None,
) -> Evaluations:
    """Evaluate networks on the same faces, all in one order.

    Raises:
        UserError: the faces changed in between.
    """
    found = {
        name: evaluate_onnx(
            detector, dataset, folder, split=split, box=box, jitter=jitter or BoxJitter()
        )
        for name, detector in detectors.items()
    }
    names = [[face.name for face in evaluation.faces] for evaluation in found.values()]
    if any(of_network != names[0] for of_network in names):
        raise UserError(f"{folder} changed while it was read; run the same command again.")
    return found


def _errors(evaluations: Evaluations) -> dict[str, np.ndarray]:
    return {name: evaluation.errors for name, evaluation in evaluations.items()}


def _machine(threads: int) -> dict[str, Any]:
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "threads": threads,
    }


def _network(detector: LandmarkDetector, content: bytes) -> dict[str, Any]:
    info = detector.info
    return {
        "source": detector.source,
        "sha256": hashlib.sha256(content).hexdigest(),
        "backbone": info.backbone,
        "trained_on": info.dataset,
        "licence": info.licence,
        "input_size": info.input_size,
        "margin": info.margin,
        "box": info.box,
        **vars(onnx_cost(content)),
    }


def _times(
    detectors: Mapping[str, LandmarkDetector], evaluations: Evaluations, rounds: int
) -> dict[str, Any]:
    evaluation = evaluations[REFERENCE]
    count = min(FACES_TIMED, len(evaluation.faces))
    rows = np.linspace(0, len(evaluation.faces) - 1, count).round().astype(int)
    boxes = geometry.landmarks_box(evaluation.true)
    faces = [(evaluation.faces[row].image.read(), boxes[row]) for row in rows]
    return {"faces": count, "rounds": rounds, **times(detectors, faces, rounds)}


def _set(evaluations: Evaluations) -> dict[str, Any]:
    """Return the scores of a data set: by subset, by pose and light, and its worst faces."""
    student = next(iter(evaluations.values()))
    errors = _errors(evaluations)

    def of(rows: np.ndarray) -> dict[str, Any]:
        return scores({name: of_network[rows] for name, of_network in errors.items()})

    published = student.dataset.published_counts("test")
    by_condition = conditions(student.faces, student.true)
    worst = worst_rows(student)
    pose = head_pose(student.true[worst])
    return {
        "protocol": protocol(student),
        "subsets": {
            name: {**of(rows), "n_published": published.get(name)}
            for name, rows in student.dataset.subsets(student.faces).items()
        },
        "conditions": {
            name: {of_bin: of(rows) for of_bin, rows in bins.items()}
            for name, bins in by_condition.items()
        },
        "worst": [
            {
                "face": student.faces[row].photo,
                "subsets": list(student.faces[row].subsets),
                **rounded({name: e[row] for name, e in errors.items()}, DECIMALS),
                "yaw": round(float(yaw)),
                "roll": round(float(roll)),
            }
            for row, (yaw, _, roll) in zip(worst, pose, strict=True)
        ],
    }


def _tilts(
    detectors: Mapping[str, LandmarkDetector], evaluations: Evaluations
) -> dict[str, dict[str, Any]]:
    """Return the scores of every so many faces of images that are turned, by the angle either way.

    Boxes are those of the turned landmarks; nothing tells the networks how a head is turned.
    """
    evaluation = evaluations[REFERENCE]
    records, landmarks = evaluation.faces[::TILT_STEP], evaluation.true[::TILT_STEP]
    photos = [
        Photo(face.image.read(), true[None]) for face, true in zip(records, landmarks, strict=True)
    ]
    found = {}
    for angle in TILTS:
        turned = [rotated(p, way) for way in sorted({angle, -angle}) for p in photos]
        errors = {
            name: np.array([_error(detector, photo) for photo in turned])
            for name, detector in detectors.items()
        }
        found[str(angle)] = scores(errors)
    return found


def _error(detector: LandmarkDetector, photo: Photo) -> float:
    """Return the NME (percent) of the one face of a photo, its box given."""
    boxes = geometry.landmarks_box(photo.landmarks)
    (face,) = detector.detect(photo.image, boxes)
    distance = normalizing_distance(photo.landmarks, IBUG_68)
    return float(nme(face.landmarks[None], photo.landmarks, distance)[0])


def _boxes(
    detectors: Mapping[str, LandmarkDetector], dataset: Dataset, folder: Path
) -> dict[str, Any]:
    """Return the scores in loose boxes: moved and scaled at random, and a face detector's."""
    jittered = []
    for shift, scale in LOOSENESS:
        of_seeds = [
            _errors(evaluate_all(detectors, dataset, folder, jitter=BoxJitter(shift, scale, seed)))
            for seed in JITTER_SEEDS
        ]
        means = {name: np.mean([e[name] for e in of_seeds], axis=0) for name in detectors}
        jittered.append({"shift": shift, "scale": scale, **scores(means)})
    found = evaluate_all(detectors, dataset, folder, box="detector")
    return {
        "jittered": jittered,
        "seeds": list(JITTER_SEEDS),
        "detector": {name: scores_table(evaluation) for name, evaluation in found.items()},
    }


def _write(
    out: Path,
    results: dict[str, Any],
    curves: dict[str, list[float]],
    evaluations: dict[str, Evaluations],
) -> None:
    write_json(out / "results.json", results)
    write_json(out / "ced.json", curves)
    faces = len(evaluations["300w"][REFERENCE].faces)
    first = next(iter(results["networks"]))
    drawn = pd.DataFrame(curves)[["error", first, REFERENCE]].rename(columns={first: "shipped"})
    draw_ced(out / "ced.png", drawn, f"300-W, {faces} test faces")
    for name, of_set in evaluations.items():
        draw_worst(out / f"worst_{name}.png", of_set[first], of_set[REFERENCE])


if __name__ == "__main__":
    run_main(main)
