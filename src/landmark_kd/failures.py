"""What can break a training from outside, said in one sentence with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from landmark_kd.errors import UserError

# Beginnings and parts of torch's own messages; it has no classes of their own for these.
_WORKER = "DataLoader worker"
_SHARED_MEMORY = "shared memory"
_CPU_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory")
_LOST_PROCESS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")


@contextmanager
def explained(name: str, workers: int) -> Iterator[None]:
    """Turn failures of memory, loader processes and fellow processes into `UserError`.

    Args:
        name: what is being trained.
        workers: base.workers.

    Raises:
        UserError: one of those failures; every other one goes through as it is.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError(_memory(name, "the GPU")) from None
    except MemoryError:
        raise UserError(_memory(name, "the computer")) from None
    except (RuntimeError, OSError) as error:
        text = str(error)
        if _WORKER in text:
            raise UserError(_worker(name, workers, text)) from None
        if any(sign in text for sign in _CPU_MEMORY):
            raise UserError(_memory(name, "the computer")) from None
        if isinstance(error, torch.distributed.DistError) or any(s in text for s in _LOST_PROCESS):
            raise UserError(
                f"{name}: another process of this training ended, so this one cannot go on; "
                "its own message says why."
            ) from None
        raise


def _memory(name: str, whose: str) -> str:
    return (
        f"{name}: the memory of {whose} is too small for this training; raise base.accumulate, "
        "lower its batch_size or crop.size, or take a smaller backbone."
    )


def _worker(name: str, workers: int, text: str) -> str:
    """Say which of `base.workers` processes ended; torch's text has its id and the signal."""
    first = text.splitlines()[0].rstrip(". ")
    why = (
        "the shared memory (/dev/shm) is full"
        if _SHARED_MEMORY in text
        else "most often the memory ran out"
    )
    return (
        f"{name}: one of the {workers} processes that load pictures ended ({first}); {why}: "
        f"lower base.workers (0 loads in the training process itself) and run the same command "
        "again."
    )
