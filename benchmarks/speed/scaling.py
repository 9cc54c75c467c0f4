"""Measures how the pipeline's time and memory grow with the number of faces.

    python -m benchmarks.speed.scaling 1000 10000 --out reports/benchmarks/growth.json

For each number of faces, in a copy of the repository in a temporary folder: a set of WFLW's size
and layout is made (photos of 1024 x 768 pixels as JPEG files of about 130 kB, WFLW's are 1024 wide;
five faces on four of them; 98 landmarks a face; three faces of four for training, as in WFLW) and
the whole pipeline is run once with tiny networks. Then, each in a process of its own:

- the stage `prepare`;
- the stage `evaluate`, with networks as params.yaml has them, of random weights;
- `dvc repro` and `dvc status` with nothing to do.

The photos are hard links to 100 images: each is decoded anew, as real ones are, but the disk is not
measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.speed.fixtures import random_network
from landmark_kd.config import paths
from landmark_kd.config.params import Params, load_params
from landmark_kd.config.paths import TEACHERS
from landmark_kd.core.errors import run_main
from landmark_kd.core.files import read_json, write_json
from landmark_kd.data.datasets.wflw import IMAGES, LIST
from landmark_kd.evaluation.cost import cpu_name
from landmark_kd.evaluation.evaluate import NETWORKS
from landmark_kd.landmarks.scheme import WFLW_98
from landmark_kd.models.network import save_network
from tests.support.pipeline_copy import Copy, copy_repository

WIDTH, HEIGHT = 1024, 768
DISTINCT_IMAGES = 100
FACES_PER_PHOTO = 1.25
JPEG_QUALITY = 85
# Faces of WFLW are mostly 60 to 400 pixels wide.
SMALLEST_FACE, LARGEST_FACE = 60, 400
# Networks of the run that makes all that is evaluated, in seconds.
TINY = {
    "backbone": "test_efficientnet",
    "head": "pool",
    "epochs": 1,
    "batch_size": 64,
    "warmup_epochs": 0,
}
# Runs with nothing to do; the one of median time is told.
IDLE_RUNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("faces", nargs="+", type=int, help="numbers of faces, one run each")
    parser.add_argument("--size", type=int, default=112, help="side of the crop")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    params = load_params()
    runs = []
    for faces in arguments.faces:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(params, faces, arguments.size, Path(folder))
        runs.append({"faces": faces, **found})
        for name, cost in found.items():
            print(f"{faces} faces, {name}: {cost}", flush=True)
    results = {
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "settings": {
            "crop": arguments.size,
            "image": [WIDTH, HEIGHT],
            "student": params.student.backbone,
            "teacher": params.teacher.backbone,
        },
        "runs": runs,
    }
    if arguments.out:
        write_json(arguments.out, results)


def measure(params: Params, faces: int, size: int, folder: Path) -> dict[str, Any]:
    """Return what each command costs with so many faces."""
    raw = folder / "raw"
    make_faces(raw, faces)
    copy = copy_repository(folder / "copy")
    copy.set_params(
        {
            "data": {"name": "wflw", "path": str(raw)},
            "crop": {"resolution": size, "context": params.crop.context},
            "teacher": TINY,
            "student": TINY,
            "evaluate": params.evaluate.model_dump(),
        }
    )
    copy.run("dvc", "repro", "--quiet")
    copy.commit("tiny networks")
    found = {"prepare": cost_of(copy, "python", "-m", "stages.prepare")}
    for name in NETWORKS:
        section = params.teacher if name in TEACHERS else params.student
        net = random_network(section, size, WFLW_98.points)
        save_network(net, copy.folder / paths.MODELS / name)
    found["evaluate"] = cost_of(copy, "python", "-m", "stages.evaluate")
    # Networks and reports as the pipeline left them; DVC then notes the new times of their files.
    copy.run("dvc", "checkout", "--quiet", "--force")
    copy.run("git", "checkout", "--quiet", "reports")
    copy.run("dvc", "repro", "--quiet")
    for command in (("dvc", "status"), ("dvc", "repro")):
        idle = [cost_of(copy, *command) for _ in range(IDLE_RUNS)]
        found[" ".join(command)] = sorted(idle, key=lambda cost: cost["seconds"])[IDLE_RUNS // 2]
    return found


def cost_of(copy: Copy, *command: str) -> dict[str, float]:
    """Run a command in the copy; return what `process_cost` writes of it."""
    out = copy.folder.parent / "cost.json"
    copy.run("python", "-m", "benchmarks.speed.process_cost", str(out), *command)
    return read_json(out)


def make_faces(folder: Path, faces: int) -> None:
    """Write a set in WFLW's layout, one face of four for testing."""
    rng = np.random.default_rng(0)
    contents = [_image(rng) for _ in range(DISTINCT_IMAGES)]
    originals = folder.parent / "originals"
    originals.mkdir()
    for number, content in enumerate(contents):
        (originals / f"{number}.jpg").write_bytes(content)
    images = folder / IMAGES / "0--Parade"
    images.mkdir(parents=True)
    photos = max(1, round(faces / FACES_PER_PHOTO))
    for photo in range(photos):
        os.link(originals / f"{photo % DISTINCT_IMAGES}.jpg", images / f"0_Parade_{photo}.jpg")
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for face in range(faces):
        size = np.exp(rng.uniform(np.log(SMALLEST_FACE), np.log(LARGEST_FACE)))
        corner = rng.uniform(0, [WIDTH - size, HEIGHT - size])
        landmarks = corner + rng.uniform(0, size, (98, 2))
        box = [*landmarks.min(axis=0).astype(int), *landmarks.max(axis=0).astype(int)]
        words = [f"{v:.6f}" for v in landmarks.ravel()] + [str(v) for v in box]
        words += [str(v) for v in rng.integers(0, 2, 6)]
        # As in WFLW, the faces of one photo do not stand together.
        words.append(f"0--Parade/0_Parade_{face % photos}.jpg")
        lines["test" if face % 4 == 3 else "train"].append(" ".join(words))
    for split, of_split in lines.items():
        path = folder / LIST.format(split=split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(of_split) + "\n", encoding="utf-8")


def _image(rng: np.random.Generator) -> bytes:
    """Return a photo-like JPEG: noise at several scales, as strong as gives a photo's file size."""
    image = np.full((HEIGHT, WIDTH, 3), 128.0, np.float32)
    for scale, strength in ((256, 60), (64, 30), (16, 16), (4, 8), (1, 4)):
        size = (HEIGHT // scale + 2, WIDTH // scale + 2, 3)
        coarse = rng.normal(0, strength, size).astype(np.float32)
        image += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode(".jpg", image.clip(0, 255).astype(np.uint8), quality)[1].tobytes()


if __name__ == "__main__":
    run_main(main)
