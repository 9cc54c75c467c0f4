"""What each export format needs to be installed; known without any of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

from landmark_kd.core.errors import UserError


class Needs(NamedTuple):
    """Modules that writing and running a format need, and the extra of landmark-kd with them."""

    extra: str
    modules: tuple[str, ...]


# By the names in formats.FORMATS.
NEEDS = {
    "onnx": Needs("train", ("onnx", "pandas")),
    "onnx-fp16": Needs("train", ("onnx", "pandas")),
    "onnx-int8": Needs("train", ("onnx", "pandas")),
    "tflite": Needs("tflite", ("onnx2tf", "ai_edge_litert", "onnx", "pandas")),
    "coreml": Needs("coreml", ("coremltools", "torch", "onnx", "pandas")),
    "ncnn": Needs("ncnn", ("pnnx", "ncnn", "onnx", "pandas")),
}


def missing(name: str) -> list[str]:
    """Return the packages that a format needs and that are not installed."""
    absent = (m for m in NEEDS[name].modules if importlib.util.find_spec(m) is None)
    return [module.replace("_", "-") for module in absent]


def check_installed(names: Sequence[str]) -> None:
    """Check that all that formats need is installed.

    Raises:
        UserError: something is not.
    """
    for name in names:
        extra = NEEDS[name].extra
        for package in missing(name):
            apart = ", best in an environment of its own (docs/deploy.md)"
            raise UserError(
                f"the format {name} needs the package {package}, which is not installed; install "
                f"it with pip install 'landmark-kd[{extra}]'{'' if extra == 'train' else apart}."
            )
