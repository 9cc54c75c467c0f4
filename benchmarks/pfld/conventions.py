"""How PFLD's ONNX file has to be read: its NME on 300-W's Common in each way that was tried.

    python -m benchmarks.pfld.conventions

The file says neither how its crop is made nor where its numbers from 0 to 1 count from. The script
prints a table, writes pfld_conventions.json and fills the table in README.md, both in
reports/references.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from benchmarks.markdown_blocks import fill_blocks
from benchmarks.pfld.adapter import MARGIN, SIZE, pfld_as_ours
from benchmarks.pfld.inputs import add_reference_inputs, shared_folder
from benchmarks.pfld.scores import DECIMALS, THRESHOLD
from benchmarks.pfld.tables import table
from landmark_kd.core.errors import run_main
from landmark_kd.core.files import write_json
from landmark_kd.data.datasets.base import BadFaces
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.evaluation.scores import rounded
from landmark_kd.imaging.crops import sample
from landmark_kd.landmarks import geometry, metrics
from landmark_kd.landmarks.scheme import IBUG_68

PROJECT = Path(__file__).resolve().parents[2]
SHARED = shared_folder(PROJECT)
REPORT = PROJECT / "reports" / "references"
BATCH = 32

# From an image and a landmarks' box to the crop (SIZE, SIZE, 3) and its map (2, 3).
Crop = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Reading:
    """One way to use the file.

    Attributes:
        crop: how the crop is made.
        factor, offset: an output p lies at p * factor + offset in pixels of the crop.
        shift: pixels of the image that are added to the points.
        rgb: whether the channels are fed in the order RGB instead of BGR.
        whole: whether the points are rounded to whole pixels of the image.
    """

    crop: Crop
    factor: float = SIZE
    offset: float = -0.5
    shift: float = 0.0
    rgb: bool = False
    whole: bool = False


def crop_by_project(
    image: np.ndarray, box: np.ndarray, margin: float = MARGIN, moved: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Crop as `LandmarkDetector` does: areas averaged, edge pixels repeated."""
    to_crop = geometry.square_crop(box + moved, margin, SIZE)
    return sample(image, to_crop, SIZE), to_crop


def crop_by_warp(
    image: np.ndarray, box: np.ndarray, border: int = cv2.BORDER_REPLICATE
) -> tuple[np.ndarray, np.ndarray]:
    """Crop by bilinear sampling alone."""
    to_crop = geometry.square_crop(box, MARGIN, SIZE)
    return cv2.warpAffine(image, to_crop, (SIZE, SIZE), borderMode=border), to_crop


def crop_as_the_demo(
    image: np.ndarray,
    box: np.ndarray,
    side_of: Callable[[int, int], int] = max,
    factor: float = 1 + MARGIN,
) -> tuple[np.ndarray, np.ndarray]:
    """Crop in whole pixels, zeros beyond the image, then resize by cv2.resize.

    So does the demo of github.com/cunjian/pytorch_face_landmark, a public PFLD of this input; it
    takes the shorter side of a face detector's box times 1.2.
    """
    x0, y0, x1, y1 = (int(v) for v in box)
    width, height = x1 - x0 + 1, y1 - y0 + 1
    side = int(side_of(width, height) * factor)
    left, top = x0 + width // 2 - side // 2, y0 + height // 2 - side // 2
    around = cv2.copyMakeBorder(image, side, side, side, side, cv2.BORDER_CONSTANT, value=0)
    square = around[top + side : top + 2 * side, left + side : left + 2 * side]
    scale = SIZE / side
    offset = (0.5 - np.array([left, top])) * scale - 0.5
    return cv2.resize(square, (SIZE, SIZE)), np.column_stack([np.eye(2) * scale, offset])


DEMO = "whole-pixel box, zeros beyond the image, cv2.resize"
READINGS = {
    "**taken: crop x 1.1, `p · 112 - 0.5`**": Reading(crop_by_project),
    "`p · 112`": Reading(crop_by_project, offset=0.0),
    "`p · 111`": Reading(crop_by_project, factor=SIZE - 1, offset=0.0),
    "bilinear sampling without averaging areas": Reading(crop_by_warp),
    "the same, zeros beyond the image": Reading(partial(crop_by_warp, border=cv2.BORDER_CONSTANT)),
    "channels in the order RGB": Reading(crop_by_project, rgb=True),
    "points rounded to whole pixels": Reading(crop_by_project, whole=True),
    "box counted from 1": Reading(partial(crop_by_project, moved=1.0)),
    "crop x 1.0": Reading(partial(crop_by_project, margin=0.0)),
    "crop x 1.05": Reading(partial(crop_by_project, margin=0.05)),
    "crop x 1.12": Reading(partial(crop_by_project, margin=0.12)),
    "crop x 1.15": Reading(partial(crop_by_project, margin=0.15)),
    "crop x 1.2": Reading(partial(crop_by_project, margin=0.2)),
    "crop x 1.25": Reading(partial(crop_by_project, margin=0.25)),
    DEMO: Reading(crop_as_the_demo),
    f"{DEMO}, `p · side + left` (half a pixel of the image more)": Reading(
        crop_as_the_demo, shift=0.5
    ),
    "the demo's own: the same with the shorter side x 1.2": Reading(
        partial(crop_as_the_demo, side_of=min, factor=1.2), shift=0.5
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_reference_inputs(parser, SHARED)
    arguments = parser.parse_args()
    pfld_as_ours(arguments.pfld)  # says so where it is missing or another network
    _, dataset = recognised(arguments.faces, "300w")
    records = list(dataset.read(arguments.faces, BadFaces("skip")))
    faces = [record for record in records if record.part.subset == "common"]
    images = [face.image.read() for face in faces]
    true = np.stack([face.landmarks for face in faces])
    session = onnxruntime.InferenceSession(arguments.pfld, providers=["CPUExecutionProvider"])
    results = {name: measure(r, session, images, true) for name, r in READINGS.items()}
    filled = markdown(results, len(faces))
    print(filled)
    write_json(REPORT / "pfld_conventions.json", {"n": len(faces), "readings": results})
    fill_blocks(REPORT / "README.md", {"pfld": filled})


def measure(
    reading: Reading, session: Any, images: list[np.ndarray], true: np.ndarray
) -> dict[str, float]:
    """Return NME, FR8, AUC8 and the mean offset of all points (percent of the eye distance)."""
    boxes = geometry.landmarks_box(true)
    made = [reading.crop(image, box) for image, box in zip(images, boxes, strict=True)]
    crops = np.stack([crop for crop, _ in made]).astype(np.float32) / 255
    if reading.rgb:
        crops = crops[..., ::-1]
    inputs = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
    (name,) = [value.name for value in session.get_inputs()]
    outputs = [
        session.run(None, {name: inputs[start : start + BATCH]})[0]
        for start in range(0, len(inputs), BATCH)
    ]
    in_crop = np.concatenate(outputs).reshape(true.shape) * reading.factor + reading.offset
    to_image = geometry.invert(np.stack([to_crop for _, to_crop in made]))
    pred = geometry.apply(to_image, in_crop.astype(np.float64)) + reading.shift
    if reading.whole:
        pred = np.rint(pred)
    distance = metrics.normalizing_distance(true, IBUG_68)
    errors = metrics.nme(pred, true, distance)
    offset_x, offset_y = (100 * (pred - true) / distance[:, None, None]).mean(axis=(0, 1))
    found = {
        "nme": errors.mean(),
        f"fr{THRESHOLD}": metrics.failure_rate(errors, THRESHOLD),
        f"auc{THRESHOLD}": metrics.auc(errors, THRESHOLD),
        "offset_x": offset_x,
        "offset_y": offset_y,
    }
    return rounded(found, DECIMALS)


def markdown(results: dict[str, dict[str, float]], faces: int) -> str:
    """Return the table of all readings, measured on so many faces, as Markdown."""
    rows = [
        [
            name,
            f"{found['nme']:.3f}",
            f"{found[f'fr{THRESHOLD}']:.2f}",
            f"{found[f'auc{THRESHOLD}']:.2f}",
            f"{found['offset_x']:+.2f}, {found['offset_y']:+.2f}",
        ]
        for name, found in results.items()
    ]
    heads = ["reading: what differs from the one taken", "NME", f"FR@{THRESHOLD}"]
    heads += [f"AUC@{THRESHOLD}", "mean offset x, y (% of the eye distance)"]
    return f"{table(heads, rows)}\n\n300-W Common, n = {faces}."


if __name__ == "__main__":
    run_main(main)
