"""The embedded data set: drawn faces whose 68 iBUG landmarks are exact.

Shapes come from a statistical model of real faces, pose from a 3D camera; every feature is
painted along its landmarks. `shape` samples heads; `head`, `features`, `hair` and
`occluders` paint them; `photo` makes images of them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.core.progress import ProgressBar
from landmark_kd.data.synthetic import features, occluders
from landmark_kd.data.synthetic import hair as hairdo
from landmark_kd.data.synthetic import head as body
from landmark_kd.data.synthetic.canvas import SUPERSAMPLING, Canvas
from landmark_kd.data.synthetic.photo import draw_background, light_on_head, photograph
from landmark_kd.data.synthetic.shape import sample_head

SPLITS = ("train", "test")
JPEG_QUALITY = 95
GLASSES_SHARE = 0.22
OCCLUDER_SHARE = 0.18


def render_face(rng: np.random.Generator, size: int = 192) -> tuple[np.ndarray, np.ndarray]:
    """Draw one face.

    Args:
        rng: the only source of chance.
        size: width and height of the image, pixels.

    Returns:
        image (size, size, 3) uint8 BGR, and landmarks (68, 2) float64 in pixels, 0-based, pixel
        centres at integers, x right, y down, all inside the image. A landmark that something
        hides is where it would be seen.
    """
    head = sample_head(rng, size)
    look = body.sample_look(rng)
    hair = hairdo.sample_hair(rng, head, look, size * SUPERSAMPLING)
    canvas = Canvas(draw_background(rng, size))
    background = canvas.image.copy()

    hairdo.draw_hair_behind(canvas, head, look, hair, rng)
    body.draw_neck(canvas, head, look, rng)
    hairdo.draw_hair_around(canvas, head, look, hair, rng)
    if hair.kind != "veil":
        body.draw_ears(canvas, head, look)
    outline = body.face_outline(head, body.forehead_line(head, hair.height, hair.squareness))
    face = body.draw_skin(canvas, head, look, outline, rng)
    body.draw_wrinkles(canvas, head, look, face)
    features.draw_nose(canvas, head, look, face, rng)
    features.draw_beard(canvas, head, look, face, rng)
    features.draw_mouth(canvas, head, look, face, rng)
    features.draw_eyes(canvas, head, look, face, rng)
    features.draw_brows(canvas, head, look, rng)
    hairdo.draw_hair_front(canvas, head, hair, face, rng)

    strength, shine = rng.uniform(0.25, 0.85), rng.uniform(0, 45)
    factor, highlight = light_on_head(head, look.light, strength, shine, face.shape[0])
    person = cv2.absdiff(canvas.image, background).max(axis=2) > 0
    canvas.shade(np.where(person, factor, np.float32(1)), highlight * (face / np.float32(255)))

    if rng.random() < GLASSES_SHARE:
        occluders.draw_glasses(canvas, head, face, rng)
    if rng.random() < OCCLUDER_SHARE:
        occluders.draw_occluder(canvas, head, look, rng)
    return photograph(rng, canvas.finished()), head.landmarks


def write_dataset(
    folder: Path, *, train: int, test: int, size: int, seed: int, workers: int
) -> None:
    """Write `train` and `test` faces as `folder/<split>/face_00000.jpg` and `.pts`, and so on.

    A face depends on the seed, its split and its number only, not on `workers` or on how many
    faces there are. Points files count from 1, as iBUG's do. `folder` is written in place.

    Args:
        folder: made if it is not there.
        train: faces in `folder/train`.
        test: faces in `folder/test`.
        size: width and height of the images, pixels.
        seed: not negative.
        workers: processes; 1 or less draws in this one.

    Raises:
        UserError: one of the processes was killed.
    """
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
    jobs = [(k, i) for k, count in enumerate((train, test)) for i in range(count)]
    write = partial(_write_face, folder, size, seed)
    if workers <= 1:
        _watch(map(write, jobs), len(jobs))
        return
    # Spawned, not forked: a fork copies locks that other threads (torch's, OpenCV's) may hold.
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, spawn, _start_worker) as pool:
            _watch(pool.map(write, jobs, chunksize=16), len(jobs))
    except BrokenProcessPool:
        raise UserError(
            f"one of the {workers} processes that draw the synthetic faces ended, most often since "
            "the memory ran out; end other programs, or lower synthetic.resolution, and run the "
            "same command again."
        ) from None


def _start_worker() -> None:
    # One thread a process: the processes share out the cores already.
    cv2.setNumThreads(1)


def _watch(work: Iterable[None], total: int) -> None:
    for _ in ProgressBar(work, total=total, desc="drawing faces", unit="face", disable=None):
        pass


def _write_face(folder: Path, size: int, seed: int, job: tuple[int, int]) -> None:
    split, number = job
    image, landmarks = render_face(np.random.default_rng([seed, split, number]), size)
    stem = folder / SPLITS[split] / f"face_{number:05d}"
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    # Written by Python, not by OpenCV, which says nothing of a full disk.
    stem.with_suffix(".jpg").write_bytes(content.tobytes())
    points = "\n".join(f"{x:.4f} {y:.4f}" for x, y in landmarks + 1)
    text = f"version: 1\nn_points: {len(landmarks)}\n{{\n{points}\n}}\n"
    stem.with_suffix(".pts").write_text(text, encoding="ascii")
