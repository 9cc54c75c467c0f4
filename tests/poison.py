"""Files that would run a command if they were loaded carelessly, and the mark it would leave."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Payload:
    """Makes the folder `mark` when it is unpickled."""

    mark: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def poisons(mark: Path) -> dict[str, bytes]:
    """Contents of files, by kind, that make the folder `mark` when they are unpickled."""
    payload = Payload(mark)
    array = np.array([payload], dtype=object)
    contents = {"pickle": pickle.dumps(payload)}
    for kind, write in {
        "npy of objects": lambda file: np.save(file, array, allow_pickle=True),
        "npz of objects": lambda file: np.savez(file, mean=array, modes=array, allow_pickle=True),
        "torch": lambda file: torch.save(payload, file),
        "old torch": lambda file: torch.save(payload, file, _use_new_zipfile_serialization=False),
        "zip": _write_zip,
    }.items():
        file = io.BytesIO()
        write(file)
        contents[kind] = file.getvalue()
    return contents


def yaml_poisons(mark: Path) -> list[str]:
    """YAML documents that make the folder `mark` when they are loaded unsafely."""
    return [
        f'!!python/object/apply:os.mkdir ["{mark}"]\n',
        f'base: !!python/object/apply:os.mkdir ["{mark}"]\n',
        f"name: !!python/object/new:os.mkdir [{mark}]\n",
        f'points: !!python/object/apply:subprocess.run [["mkdir", "{mark}"]]\n',
        "name: !!python/name:os.system\n",
        "name: !!python/module:os\n",
    ]


def _write_zip(file: io.BytesIO) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.txt", "no tensors")
