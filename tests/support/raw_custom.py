"""Tiny custom data sets on disk, in each format, for tests that read them.

The scheme has five points: eyes 0 and 1, nose 2, mouth corners 3 and 4.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from tests.support.raw_faces import write_pts

FIVE = np.array([[20.0, 20], [60, 20], [40, 35], [25, 50], [55, 50]])
FIVE_PAIRS = [[0, 1], [3, 4]]
FIVE_NAMES = ["left_eye", "right_eye", "nose", "left_mouth", "right_mouth"]

CONFIG: dict[str, Any] = {
    "name": "mine",
    "annotations": "landmarks.csv",
    "images": "images",
    "first_pixel": 0,
    "points": 5,
    "names": FIVE_NAMES,
    "flip_pairs": FIVE_PAIRS,
    "normalizer": [0, 1],
    "normalizer_name": "eyes",
    "pupils": [[0], [1]],
    "contours": [{"points": [3, 4], "closed": False}],
    "split": {"column": None, "test": 0.2, "seed": 0},
    "licence": "Mine, for anything.",
}


def write_config(folder: Path, **changes: Any) -> Path:
    """Write landmark-kd.yaml with some of CONFIG's values replaced; return its path."""
    path = folder / "landmark-kd.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, **changes}), encoding="utf-8")
    return path


def faces(count: int) -> np.ndarray:
    """Return different faces (count, 5, 2) of the scheme, with two decimals."""
    noise = np.random.default_rng(0).normal(0, 1, (count, 5, 2))
    return np.round(FIVE + noise, 2)


def write_images(folder: Path, names: Iterable[str]) -> None:
    """Write a small grey image for each name."""
    written, content = cv2.imencode(".png", np.full((80, 80, 3), 128, dtype=np.uint8))
    assert written
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.tobytes())


def table_lines(people: Sequence[str], column: str = "person") -> list[str]:
    """Return the lines of a table with an image for each face, p000.png and so on."""
    header = ["image", column, *(f"{axis}{i}" for i in range(5) for axis in "xy")]
    lines = [",".join(header)]
    for i, (person, face) in enumerate(zip(people, faces(len(people)), strict=True)):
        lines.append(",".join([f"p{i:03}.png", person, *(f"{v:.2f}" for v in face.ravel())]))
    return lines


def write_table(folder: Path, lines: Sequence[str], **changes: Any) -> Path:
    """Write landmarks.csv, its images in images/, and landmark-kd.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "landmarks.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_images(folder / "images", {line.partition(",")[0] for line in lines[1:]})
    write_config(folder, **changes)
    return folder


def coco_content(people: Sequence[str]) -> dict[str, Any]:
    """Return a COCO file's content with an image for each face, all points visible."""
    keypoints = [[v for x, y in face.tolist() for v in (x, y, 2)] for face in faces(len(people))]
    return {
        "images": [
            {"id": i, "file_name": f"p{i:03}.png", "person": person}
            for i, person in enumerate(people)
        ],
        "annotations": [
            {
                "id": 100 + i,
                "image_id": i,
                "category_id": 1,
                "keypoints": points,
                "bbox": [15.0, 10.0, 50.0, 60.0],
                "iscrowd": 0,
            }
            for i, points in enumerate(keypoints)
        ],
        "categories": [
            {"id": 1, "name": "face", "keypoints": FIVE_NAMES, "skeleton": [[1, 3], [3, 2], [4, 5]]}
        ],
    }


def write_coco(folder: Path, content: Any, images: int, **changes: Any) -> Path:
    """Write faces.json, its images in images/, and landmark-kd.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faces.json").write_text(json.dumps(content), encoding="utf-8")
    write_images(folder / "images", (f"p{i:03}.png" for i in range(images)))
    write_config(folder, annotations="faces.json", **changes)
    return folder


def write_pts_tree(folder: Path, people: Sequence[str], **changes: Any) -> Path:
    """Write image and .pts file of each face, in a folder for each person, and landmark-kd.yaml."""
    names = [f"{person}/p{i:03}.png" for i, person in enumerate(people)]
    write_images(folder / "images", names)
    for name, face in zip(names, faces(len(people)), strict=True):
        write_pts((folder / "images" / name).with_suffix(".pts"), face)
    write_config(folder, **{"annotations": "pts", "first_pixel": 1, **changes})
    return folder
