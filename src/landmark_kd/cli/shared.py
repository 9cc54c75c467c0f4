"""What several subcommands share: arguments, and packages that prediction does without."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landmark_kd.core.errors import UserError
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.face_detector import NAMES, VARIABLE
from landmark_kd.inference.shipped import DEFAULT, shipped_names

# Those of `data.datasets.registry`, whose imports prediction does without; a test compares.
DATA_NAMES = ("300w", "300w_lp", "cofw", "wflw", "pts", "synthetic")


@contextmanager
def needs_train_packages(command: str) -> Iterator[None]:
    """Turn a failed import of the extra `train` into a sentence that says what to install.

    Raises:
        UserError: a package that the imports within need is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("landmark_kd"):
            raise
        raise UserError(
            f"`landmark-kd {command}` needs the package {error.name}, which prediction does not; "
            "install it with all that belongs to data sets: pip install 'landmark-kd[train]'."
        ) from None


def add_name(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says which data set a folder holds."""
    parser.add_argument(
        "--name",
        choices=DATA_NAMES,
        metavar="NAME",
        help=f"which data set PATH holds: {', '.join(DATA_NAMES)} (default: found out; "
        "synthetic is not looked for)",
    )


def add_model(parser: argparse.ArgumentParser, default: str = DEFAULT) -> None:
    """Add the argument that names the network; `default` is what the command takes without it."""
    parser.add_argument(
        "--model",
        metavar="NAME|FILE",
        help=f"a network that comes with landmark-kd, {' or '.join(shipped_names())} (default: "
        f"{default}), or an ONNX file of the export stage, as models/landmarks.onnx",
    )


def add_face_detector(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name the face detector."""
    parser.add_argument(
        "--detector",
        choices=NAMES,
        default="auto",
        help="what finds the faces: yunet, fetched once from its publisher; haar, which comes with "
        "OpenCV and misses tilted and turned faces; auto: yunet where its file is there or can be "
        f"fetched (default; the variable {VARIABLE} may name the file, yunet or haar)",
    )
    parser.add_argument(
        "--detector-model", type=Path, metavar="FILE", help="file of YuNet, instead of fetching it"
    )


def load_model(
    model: str | None,
    detector: str = "auto",
    detector_model: Path | None = None,
    threads: int | None = None,
) -> LandmarkDetector:
    """Open the network of `--model` and print which it is.

    Raises:
        UserError: see `LandmarkDetector.load`.
    """
    found = LandmarkDetector.load(
        model, threads=threads, face_detector=detector, face_detector_model=detector_model
    )
    print(f"model: {found.source}" + ("" if model else " (--model takes another)"))
    print(f"licence: {found.info.licence}", flush=True)
    return found
