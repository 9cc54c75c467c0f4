"""What a training's result depends on, as one hash: its checkpoints belong to that alone."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import timm
import torch
from torch import Tensor

from landmark_kd.faces.prepared import Faces

# Packages whose modules are the project's own code.
_OWN = ("landmark_kd", "stages")
# Bytes of a large array that are hashed at a time.
_CHUNK = 1 << 24


def fingerprint(
    settings: Mapping[str, Any],
    faces: Faces,
    targets: np.ndarray,
    weights: Mapping[str, Tensor],
    device: torch.device,
) -> str:
    """Return the SHA-256 of all that a training's result depends on.

    Everything is hashed by content, the images too: sizes and times of files say less, change
    with every `dvc checkout`, and DVC's own sums are of the last run, not of what lies there. It
    takes about two seconds a gigabyte, of images that training reads many times.

    Args:
        settings: parameters, seed, number of processes, as JSON has them.
        weights: of the network before its first step, whatever they came from.
    """
    total = hashlib.sha256()
    for part in (settings, _environment(device), faces.info.to_json()):
        total.update(json.dumps(part, sort_keys=True, default=str).encode())
    for name, path in _own_modules():
        total.update(name.encode() + path.read_bytes())
    total.update(faces.table.to_csv().encode())
    for array in (targets, faces.landmarks, faces.crop_to_image, faces.images):
        _add_array(total, array)
    for name in sorted(weights):
        total.update(name.encode())
        _add_array(total, weights[name].detach().cpu().numpy())
    return total.hexdigest()


def _environment(device: torch.device) -> dict[str, str]:
    on_gpu = device.type == "cuda"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name(device) if on_gpu else device.type,
    }


def _own_modules() -> list[tuple[str, Path]]:
    """Name and source of every module of the project that this process has imported.

    A name has the folders in it, which tell apart files that are called alike; where the project
    lies does not matter.
    """
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    found = {name: module for name, module in sys.modules.items() if name.split(".")[0] in _OWN}
    if spec is not None and spec.name.split(".")[0] in _OWN:
        found[spec.name] = main
    files = {name: getattr(found[name], "__file__", None) for name in sorted(found)}
    return [(name, Path(file)) for name, file in files.items() if file]


def _add_array(total: Any, array: np.ndarray) -> None:
    total.update(f"{array.dtype.str}{array.shape}".encode())
    # In chunks, so that a memory-mapped array never lies in memory as a whole.
    rows = max(1, _CHUNK // max(1, array[:1].nbytes)) if array.ndim else 1
    for start in range(0, len(array) if array.ndim else 1, rows):
        chunk = array[start : start + rows] if array.ndim else array
        total.update(np.ascontiguousarray(chunk).data)
