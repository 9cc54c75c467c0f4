"""Measures how near training comes to what the network alone takes, and what feeds it.

    python -m benchmarks.speed.throughput --out reports/benchmarks/throughput.json

In one process, round after round and in an order drawn anew each round: a few bare steps (forward,
backward, optimiser) on one fixed batch, as many steps of the baseline student and of the KD student
as the pipeline trains them (loading, augmentation, losses, clipping, moving average), and one step
of KD with online teachers. Each ratio is of the blocks of one round, by wall clock and by the
process's CPU time; the median and the quartiles over the rounds are written. Before that the script
measures the memory over many steps, after it what makes the bare step faster or slower, and the
loader alone by crop size and number of processes. Validation and checkpoints, once an epoch, are
not counted.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from benchmarks.speed.fixtures import noise_faces, random_network
from benchmarks.speed.timing import Rates, contest, quartiles, ratio, spread, told
from benchmarks.speed.training_step import BareStep, measure_variants
from landmark_kd.config.params import KDParams, Params, load_params
from landmark_kd.config.paths import TEACHERS
from landmark_kd.core.errors import run_main
from landmark_kd.core.files import read_json, write_json
from landmark_kd.distillation.task import kd_task
from landmark_kd.evaluation.cost import cpu_name
from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.models.network import save_network
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.learner import Learner
from landmark_kd.training.loader import Batch, ShuffledBatches, train_loader
from landmark_kd.training.processes import training_processes
from landmark_kd.training.tasks import Task, regression_task

# Faces a second that a fast GPU is assumed to learn from.
TARGET_RATE = 2000
# The memory check takes a small network, whose steps do all that a large one's do.
SMALL = {"backbone": "test_efficientnet", "batch_size": 8}
SMALL_SIZE, SMALL_FACES = 32, 200
MEBIBYTE = 2**20
# Memory comes first, since a process that has had much of it would show no growth.
PARTS = ("memory", "training", "variants", "loader")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--parts", choices=PARTS, default=PARTS, nargs="+", help="what to measure")
    parser.add_argument("--faces", type=int, default=800, help="faces to load from")
    parser.add_argument("--size", type=int, default=112, help="side of the crop")
    parser.add_argument("--steps", type=int, default=4, help="steps of a block")
    parser.add_argument("--rounds", type=int, default=24, help="blocks of each contestant")
    parser.add_argument("--workers", type=int, default=[0, 1], nargs="+", help="loader processes")
    parser.add_argument("--loader-sizes", type=int, default=[64, 112, 224], nargs="+")
    parser.add_argument("--memory-steps", type=int, default=10_000)
    parser.add_argument("--out", type=Path, help="JSON file, whose other parts stay")
    arguments = parser.parse_args()
    params = load_params()
    out: Path | None = arguments.out
    results: dict[str, Any] = read_json(out) if out and out.exists() else {}
    settings = {name: value for name, value in vars(arguments).items() if name != "out"}
    for part in [part for part in PARTS if part in arguments.parts]:
        with training_processes(params.base) as fabric, tempfile.TemporaryDirectory() as folder:
            found = _measure(part, params, fabric, Path(folder), arguments)
        results[part] = {
            "machine": {
                "cpu": cpu_name(),
                "cores": os.cpu_count(),
                "threads": params.base.threads,
                "torch": torch.__version__,
            },
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "settings": settings | {"networks": _networks(params)},
            "found": found,
        }
    if out:
        write_json(out, results)


def _measure(
    part: str, params: Params, fabric: Fabric, folder: Path, settings: argparse.Namespace
) -> dict[str, Any]:
    """Measure one of PARTS and print each result as soon as it is there."""
    found: dict[str, Any] = {}

    def note(name: str, result: dict[str, Any]) -> None:
        found[name] = result
        print(f"{part}, {name}: {told(result)}", flush=True)

    rounds, steps = settings.rounds, settings.steps
    if part == "memory":
        note("kd", measure_memory(params, fabric, settings.memory_steps))
    elif part == "variants":
        variants = measure_variants(params, settings.size, fabric, max(2, rounds // 2), steps)
        for name, result in variants.items():
            note(name, result)
    elif part == "training":
        faces = noise_faces(settings.faces, settings.size, folder)
        for workers in settings.workers:
            result = measure_training(params, faces, fabric, workers, rounds=rounds, steps=steps)
            note(f"workers_{workers}", result)
    else:
        for size in settings.loader_sizes:
            faces = noise_faces(settings.faces, size, folder)
            for workers in sorted({*settings.workers, os.cpu_count() or 1}):
                note(f"{size}_px_workers_{workers}", measure_loader(params, faces, workers, rounds))
    return found


def _networks(params: Params) -> dict[str, Any]:
    sections = {"student": params.student, "teacher": params.teacher}
    keys = ("backbone", "head", "batch_size")
    return {name: {key: getattr(of, key) for key in keys} for name, of in sections.items()}


def measure_training(
    params: Params, faces: Faces, fabric: Fabric, workers: int, *, rounds: int, steps: int
) -> dict[str, Any]:
    """Return rates (faces a second) of bare steps and of training, and their ratios.

    A block of training is the last steps of an epoch, its loader's beginning included. Loader
    processes work during the blocks of their own training alone; their CPU time is not counted.
    """
    size = faces.info.crop_size
    with tempfile.TemporaryDirectory() as folder:
        tasks = _tasks(params, faces, Path(folder))
        contestants: dict[str, Callable[[], int]] = {
            name: _training(
                params,
                faces,
                task,
                fabric,
                workers=workers,
                steps=1 if name == "online" else steps,
            )
            for name, task in tasks.items()
        }
        bare = BareStep(params, size, fabric)
        rates: Rates = contest(contestants | {"bare": lambda: bare(steps)}, rounds)
    return {
        "faces_per_second": {name: quartiles(found) for name, found in rates.items()},
        "kd_to_bare": ratio(rates, "kd", "bare"),
        "kd_epoch_to_baseline_epoch": ratio(rates, "baseline", "kd"),
        "online_epoch_to_baseline_epoch": ratio(rates, "baseline", "online"),
    }


def measure_loader(params: Params, faces: Faces, workers: int, rounds: int) -> dict[str, Any]:
    """Return the rate of the loader alone over whole epochs, and its share of TARGET_RATE.

    The first epoch, in which processes are started, is told apart; they stay for all others.
    """
    loader, _ = _loader(params, faces, np.stack([faces.crop_landmarks()] * 3, axis=1), workers)
    rates, seconds = [], []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        loaded = sum(len(batch.rows) for batch in loader)
        seconds.append(time.perf_counter() - start)
        rates.append(loaded / seconds[-1])
    values = np.array(rates[1:])
    return {
        "faces_per_second": spread(values),
        "share_of_target_per_core": spread(values / TARGET_RATE / max(1, workers)),
        "seconds_to_start": round(seconds[0] - float(np.median(seconds[1:])), 3),
    }


def measure_memory(params: Params, fabric: Fabric, steps: int) -> dict[str, float]:
    """Return this process's memory (MiB) over many steps of KD with a small network."""
    params = params.model_copy(update={"student": params.student.model_copy(update=SMALL)})
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        faces = noise_faces(SMALL_FACES, SMALL_SIZE, Path(folder))
        task = _tasks(params, faces, Path(folder), online=False)["kd"]
        an_epoch = SMALL_FACES // params.student.batch_size
        epoch = _training(params, faces, task, fabric, workers=0, steps=an_epoch)
        epochs = max(10, steps // an_epoch)
        memory = []
        for _ in range(epochs):
            epoch()
            memory.append(process.memory_info().rss / MEBIBYTE)
    return {
        "steps": epochs * an_epoch,
        "after_a_tenth_mib": round(memory[epochs // 10 - 1], 1),
        "after_half_mib": round(memory[epochs // 2 - 1], 1),
        "at_the_end_mib": round(memory[-1], 1),
    }


def _tasks(params: Params, faces: Faces, folder: Path, *, online: bool = True) -> dict[str, Task]:
    """Return the contestants' tasks; teachers are random, their cached predictions close."""
    hard = faces.crop_landmarks()
    for number, teacher in enumerate(TEACHERS, start=1):
        np.save(folder / f"{teacher}.npy", hard + number / 100)
    tasks = {
        "baseline": regression_task(hard, params.student.loss),
        "kd": _kd_task(params.kd, faces, folder),
    }
    if online:
        for teacher in TEACHERS:
            net = random_network(params.teacher, faces.info.crop_size, IBUG_68.points)
            save_network(net, folder / teacher)
        kd = params.kd.model_copy(update={"teacher_predictions": "online"})
        tasks["online"] = _kd_task(kd, faces, folder)
    return tasks


def _kd_task(kd: KDParams, faces: Faces, folder: Path) -> Task:
    nobody = replace(faces, landmarks=faces.landmarks[:0])
    return kd_task(kd, faces, nobody, keep=1.0, predictions=folder, models=folder)[1]


def _training(
    params: Params, faces: Faces, task: Task, fabric: Fabric, *, workers: int, steps: int
) -> Callable[[], int]:
    """Return a function that takes the last steps of an epoch and returns the faces learnt from."""
    loader, sampler = _loader(params, faces, task.targets, workers)
    net = random_network(params.student, faces.info.crop_size, IBUG_68.points)
    learner = Learner(
        fabric,
        task.objective(net, fabric.device),
        params.student,
        steps_per_epoch=sampler.steps,
    )

    def block() -> int:
        sampler.epoch += 1
        sampler.first_step = sampler.steps - steps
        for batch in loader:
            learner.step([batch], sampler.batch_size)
        return steps * sampler.batch_size

    return block


def _loader(
    params: Params, faces: Faces, targets: np.ndarray, workers: int
) -> tuple[DataLoader[Batch], ShuffledBatches]:
    return train_loader(
        faces,
        targets,
        Augmenter(params.augment, faces.info.crop_size, faces.info.border, IBUG_68.flip),
        batch_size=params.student.batch_size,
        seed=1,
        workers=workers,
        pin_memory=False,
    )


if __name__ == "__main__":
    run_main(main)
