"""How long `prepare` takes, how much memory, and how both grow with the number of faces.

    python benchmarks/prepare.py 2500 5000 10000 --out reports/benchmarks/prepare.json

Makes WFLW-size sets in a temporary folder: photos of 1024 x 768 pixels as JPEG files of about
130 kB (WFLW's are 1024 wide), five faces on four of them, 98 landmarks a face, in the layout of
WFLW. Different names of the same 100 pictures are hard links: each is decoded anew, as real ones
are, but the disk is not what is measured. Each number of faces is prepared by a process of its
own, whose wall-clock time and largest memory are printed and written.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from landmark_kd.cost import cpu_name
from landmark_kd.errors import run_main
from landmark_kd.files import write_json
from landmark_kd.params import CropParams, DataParams
from landmark_kd.prepare import prepare
from landmark_kd.wflw import LIST, PICTURES

WIDTH, HEIGHT = 1024, 768
DISTINCT_PICTURES = 100
FACES_PER_PHOTO = 1.25
JPEG_QUALITY = 85
# Faces of WFLW are mostly 60 to 400 pixels wide.
SMALLEST_FACE, LARGEST_FACE = 60, 400
CROP = CropParams(size=112, teacher_size=None, margin=0.25, box="landmarks", context=1.5)
MEBIBYTE = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("faces", nargs="+", type=int, help="numbers of faces, one run each")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    runs = []
    for faces in arguments.faces:
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw"
            size = make_faces(raw / "wflw", faces)
            found = measure(raw, Path(folder) / "faces")
        runs.append({"faces": faces, "picture_bytes": size, **found})
        print(
            f"{faces} faces: {found['seconds']:.1f} s, {1000 * found['seconds'] / faces:.1f} ms a "
            f"face, {found['memory_mib']:.0f} MiB at most",
            flush=True,
        )
    machine = {"cpu": cpu_name(), "cores": os.cpu_count(), "python": platform.python_version()}
    settings = {"crop": CROP.model_dump(), "picture": [WIDTH, HEIGHT]}
    if arguments.out:
        write_json(arguments.out, {"machine": machine, "settings": settings, "runs": runs})


def make_faces(folder: Path, faces: int) -> float:
    """Write a set in WFLW's layout, one face of four for testing; return the mean file size."""
    rng = np.random.default_rng(0)
    pictures = [_picture(rng) for _ in range(DISTINCT_PICTURES)]
    originals = folder / "originals"
    originals.mkdir(parents=True)
    for number, content in enumerate(pictures):
        (originals / f"{number}.jpg").write_bytes(content)
    images = folder / PICTURES / "0--Parade"
    images.mkdir(parents=True)
    photos = max(1, round(faces / FACES_PER_PHOTO))
    for photo in range(photos):
        os.link(originals / f"{photo % DISTINCT_PICTURES}.jpg", images / f"0_Parade_{photo}.jpg")
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
    return float(np.mean([len(content) for content in pictures]))


def measure(raw: Path, out: Path) -> dict[str, Any]:
    """Prepare the set in a process of its own; return seconds and largest memory."""
    receive, send = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_prepare, args=(raw, out, send))
    process.start()
    send.close()
    try:
        seconds, memory = receive.recv()
    except EOFError:
        process.join()
        sys.exit("prepare failed, see above")
    process.join()
    return {"seconds": round(seconds, 2), "memory_mib": round(memory, 1)}


def _prepare(raw: Path, out: Path, send: Any) -> None:
    data = DataParams(name="wflw", path=None, on_bad="error")
    start = time.perf_counter()
    with redirect_stdout(StringIO()):
        prepare(data, 0.1, CROP, 1, raw=raw, out=out)
    seconds = time.perf_counter() - start
    # Linux counts kibibytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    send.send((seconds, peak / MEBIBYTE))


def _picture(rng: np.random.Generator) -> bytes:
    """A photo-like JPEG: noise at several scales, as much of it as gives a photo's file size."""
    image = np.full((HEIGHT, WIDTH, 3), 128.0, np.float32)
    for scale, strength in ((256, 60), (64, 30), (16, 16), (4, 8), (1, 4)):
        size = (HEIGHT // scale + 2, WIDTH // scale + 2, 3)
        coarse = rng.normal(0, strength, size).astype(np.float32)
        image += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode(".jpg", image.clip(0, 255).astype(np.uint8), quality)[1].tobytes()


if __name__ == "__main__":
    run_main(main)
