"""Files that would run a command if they were loaded carelessly, and the mark it would leave."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
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


def forged_safetensors() -> list[bytes]:
    """Contents of .safetensors files whose header says what cannot be."""
    few = bytes(4)
    return [
        b"",
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 10**12) + b"{}",
        _safetensors(b"[" * 100_000),
        _safetensors(b'{"a":' * 100_000),
        _safetensors([]),
        _safetensors({"a": 3}),
        _safetensors({"a": _tensor("OBJECT")}, few),
        _safetensors({"a": _tensor("F4", (8,))}, few),
        _safetensors({"a": _tensor("F8_E8M0", (4,))}, few),
        _safetensors({"a": _tensor(offsets=(4, 0))}, few),
        _safetensors({"a": _tensor(offsets=(-4, 0))}, few),
        _safetensors({"a": _tensor(offsets=(0, 400))}, few),
        _safetensors({"a": _tensor(shape=(2**63, 2**63))}, few),
        _safetensors({"a": _tensor(shape=(10**30,))}, few),
        _safetensors({"a": _tensor(), "b": _tensor()}, few),
        _safetensors({"a": _tensor(), "__metadata__": {"normalization": 3}}, few),
        _safetensors({"a": _tensor(), "__metadata__": ["imagenet"]}, few),
    ]


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


def _safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _tensor(dtype: str = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def _write_zip(file: io.BytesIO) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.txt", "no tensors")
