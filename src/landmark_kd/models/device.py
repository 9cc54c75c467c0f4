"""The device that torch computes on, and how: threads, deterministic algorithms, memory."""

from __future__ import annotations

import ctypes
import os
import platform

import cv2
import torch

from landmark_kd.config.params import BaseParams
from landmark_kd.core.errors import UserError

# glibc's malloc.h: sizes from which memory comes from the system by itself, and goes back to it.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_INT = 2**31 - 1


def setup(base: BaseParams) -> torch.device:
    """Set threads and deterministic algorithms, and return the device of a single process.

    Raises:
        UserError: `cuda` is asked for and there is none.
    """
    if base.device == "cuda" and not torch.cuda.is_available():
        raise UserError("base.device is cuda, but torch finds no GPU; set it to auto or cpu.")
    if base.deterministic:
        # cuBLAS is deterministic only with a workspace of fixed size (torch's own documentation).
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(base.deterministic)
    # Deterministic torch fills each new tensor with NaN, against programs that read what they have
    # not written. This one does not, and a training step on a CPU takes 8 to 9 % less without.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _keep_freed_memory()
    torch.backends.cudnn.benchmark = not base.deterministic
    torch.set_num_threads(base.threads)
    # Images are small; OpenCV's own threads would only take cores from torch.
    cv2.setNumThreads(0)
    wants_gpu = base.device == "cuda" or (base.device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if wants_gpu else "cpu")


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next tensors instead of giving it back.

    A training step frees and takes the same hundreds of megabytes. Given back to the system and
    taken anew they are zeroed page by page: 3 to 4 % of a step on a CPU. glibc alone has this.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_INT)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT)
