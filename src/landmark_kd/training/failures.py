"""What can break a training from outside, said in one sentence with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from landmark_kd.core.errors import UserError, is_out_of_memory

# Beginnings and parts of torch's own messages; it has no classes of their own for these.
_WORKER_ENDED = "DataLoader worker (pid"
_IN_WORKER = "in DataLoader worker process"
_SHARED_MEMORY = ("shared memory", "file </torch_")
_LOST_PROCESS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")


@contextmanager
def explained(name: str, workers: int) -> Iterator[None]:
    """Turn failures of memory, of loader processes and of fellow processes into `UserError`.

    Args:
        name: what is being trained.
        workers: base.workers.

    Raises:
        UserError: one of those failures; every other one goes through as it is.
    """
    try:
        yield
    except UserError:
        raise
    except torch.OutOfMemoryError:
        raise UserError(_memory(name, "the GPU")) from None
    except Exception as error:
        text = str(error)
        if any(sign in text for sign in _SHARED_MEMORY):
            raise UserError(_loading(name, workers, text, shared=True)) from None
        if is_out_of_memory(error):
            raise UserError(_memory(name, "the computer")) from None
        if _WORKER_ENDED in text:
            raise UserError(_loading(name, workers, text, shared=False)) from None
        if isinstance(error, OSError) and _IN_WORKER in text:
            # Torch has made it anew with a traceback as its text, which ends in the error's own.
            raise UserError(
                f"{name}: a process that loads images failed ({text.splitlines()[-1]}); put that "
                "right and run the same command again."
            ) from None
        lost = any(sign in text for sign in _LOST_PROCESS)
        # A broken pipe of the system's is the reader of our output, who went away (`… | head`).
        if isinstance(error, torch.distributed.DistError) or (
            lost and not isinstance(error, BrokenPipeError)
        ):
            raise UserError(
                f"{name}: another process of this training ended, so this one cannot go on; "
                "its own message says why."
            ) from None
        raise


def _memory(name: str, whose: str) -> str:
    return (
        f"{name}: the memory of {whose} is too small for this training; raise base.accumulate, "
        "lower its batch_size or crop.resolution, or take a smaller backbone."
    )


def _loading(name: str, workers: int, text: str, *, shared: bool) -> str:
    """Say which of `base.workers` processes ended; torch's text has its id and the signal."""
    first = text.splitlines()[0].rstrip(". ")
    why = "the shared memory (/dev/shm) is full" if shared else "most often the memory ran out"
    return (
        f"{name}: one of the {workers} processes that load images ended ({first}); {why}: "
        f"lower base.workers (0 loads in the training process itself) and run the same command "
        "again."
    )
