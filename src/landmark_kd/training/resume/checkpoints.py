"""Checkpoints: the state of a training on disk, whole or not there, without pickle.

A checkpoint is two files in the training's scratch folder: tensors in N.safetensors, then the
record N.json with all the rest and the digest of both. The record is written last, so a
checkpoint without one was never finished; a digest that does not fit is damage. The last one is
removed only when the next is on disk.

Fabric's `save` and `load` are not used: they pickle, and tell no damaged file from a whole one.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from landmark_kd.core.errors import is_out_of_memory
from landmark_kd.core.schema import in_short
from landmark_kd.training.resume.scratch import (
    RECORD_SUFFIX,
    Record,
    read_record,
    records,
    write_durably,
)

# Checkpoints kept: the newest, and one before it should that be damaged.
KEPT = 2
_TENSORS_SUFFIX = ".safetensors"
_NOT_A_FILE = (FileNotFoundError, IsADirectoryError)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two steps of its optimiser.

    Attributes:
        tensors: by name; of one training, always the same names.
        state: what else there is, as JSON has it.
        epoch: the epoch it is in or has just ended, from 1; epochs: of how many.
        written: local date and time; set on saving.
    """

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    epoch: int
    epochs: int
    written: str = ""


class Checkpoints:
    """The checkpoints of one training in its scratch folder.

    Args:
        folder: exists, and nobody else writes in it (`scratch.held`).
        fingerprint: of all that the training's result depends on; a checkpoint of another
            fingerprint is refused.
        warn: takes a sentence that the user should read.
    """

    def __init__(
        self, folder: Path, fingerprint: str, warn: Callable[[str], None] | None = None
    ) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.warn = warn or _to_stderr

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove the oldest.

        If it cannot be written (a full disk), that is said and the training may go on: the
        checkpoint before stays, and no hours of work are lost for a file that may not be needed.
        """
        older = records(self.folder)
        number = int(older[0].stem) + 1 if older else 1
        tensors = safetensors.torch.save(checkpoint.tensors)
        record = Record(
            fingerprint=self.fingerprint,
            digest="",
            written=datetime.now().isoformat(" ", "seconds"),
            epoch=checkpoint.epoch,
            epochs=checkpoint.epochs,
            state=checkpoint.state,
        )
        content = record.model_dump() | {"digest": _digest(record, tensors)}
        path = self.folder / f"{number:06}{_TENSORS_SUFFIX}"
        try:
            write_durably(path, tensors)
            write_durably(path.with_suffix(RECORD_SUFFIX), json.dumps(content).encode())
        except OSError as error:
            _remove(path)
            self.warn(
                f"no checkpoint of epoch {checkpoint.epoch} in {self.folder} "
                f"({error.strerror or error}); the training goes on, but if it is stopped now it "
                + ("goes back to the checkpoint before." if older else "has to begin again.")
            )
            return
        self._remove_all_but(records(self.folder)[:KEPT])

    def load(self) -> Checkpoint | None:
        """Return the newest whole checkpoint, or None; say which were left out, and why.

        Raises:
            OSError, MemoryError: it cannot be read now, which says nothing of whether it is whole.
        """
        for path in records(self.folder):
            try:
                return self._read(path)
            except Exception as error:  # of pydantic, safetensors and torch, each of its own kind
                if is_out_of_memory(error) or (
                    isinstance(error, OSError) and not isinstance(error, _NOT_A_FILE)
                ):
                    raise
                self.warn(
                    f"the checkpoint {path} is left out, it is damaged or foreign "
                    f"({in_short(error)})."
                )
                _remove(path)
        self._remove_all_but([])
        return None

    def _read(self, path: Path) -> Checkpoint:
        record = read_record(path)
        if record.fingerprint != self.fingerprint:
            raise ValueError("it belongs to other parameters, inputs or code")
        content = path.with_suffix(_TENSORS_SUFFIX).read_bytes()
        if _digest(record, content) != record.digest:
            raise ValueError("its tensors or its record are not what was written")
        return Checkpoint(
            tensors=safetensors.torch.load(content),
            state=record.state,
            epoch=record.epoch,
            epochs=record.epochs,
            written=record.written,
        )

    def _remove_all_but(self, kept: list[Path]) -> None:
        """Remove other checkpoints, and what a kill left half-written."""
        stems = {path.stem for path in kept}
        for path in self.folder.iterdir():
            of_ours = path.suffix in (_TENSORS_SUFFIX, RECORD_SUFFIX)
            if path.name.startswith(".") or (of_ours and path.stem not in stems):
                _remove(path)


def random_state(device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state of every random generator, as tensors and as JSON has it."""
    tensors = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        tensors["cuda"] = torch.cuda.get_rng_state(device)
    version, words, gauss = random.getstate()
    numpy: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - the generator that seed_all seeds
    numpy = numpy | {"state": {**numpy["state"], "key": numpy["state"]["key"].tolist()}}
    return tensors, {"python": [version, list(words), gauss], "numpy": numpy}


def restore_random_state(
    tensors: dict[str, Tensor], state: dict[str, Any], device: torch.device
) -> None:
    """Put every random generator back into the state that `random_state` returned."""
    torch.set_rng_state(tensors["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["cuda"], device)
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    numpy = state["numpy"]
    key = np.array(numpy["state"]["key"], np.uint32)
    np.random.set_state(numpy | {"state": {**numpy["state"], "key": key}})  # noqa: NPY002


def _digest(record: Record, tensors: bytes) -> str:
    rest = json.dumps(record.model_dump(exclude={"digest"}), sort_keys=True)
    total = hashlib.sha256(rest.encode())
    total.update(tensors)
    return total.hexdigest()


def _remove(path: Path) -> None:
    """Remove a file; one that cannot be removed is of no importance to the training."""
    with suppress(OSError):
        path.unlink()


def _to_stderr(sentence: str) -> None:
    print(f"warning: {sentence}", file=sys.stderr, flush=True)
