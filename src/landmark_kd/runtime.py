"""Threads, seeds and the device: what makes two runs the same."""

from __future__ import annotations

import os
import random

import cv2
import numpy as np
import torch

from landmark_kd.errors import UserError
from landmark_kd.params import BaseParams


def setup(base: BaseParams) -> torch.device:
    """Set threads and deterministic algorithms, and return the device to train on.

    Raises:
        UserError: `cuda` is asked for and there is none.
    """
    if base.device == "cuda" and not torch.cuda.is_available():
        raise UserError("base.device is cuda, but torch finds no GPU; set it to auto or cpu.")
    # cuBLAS is deterministic only with a workspace of fixed size (torch's own documentation).
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(base.threads)
    torch.use_deterministic_algorithms(True)
    # Pictures are small; OpenCV's own threads would only take cores from torch.
    cv2.setNumThreads(0)
    wants_gpu = base.device == "cuda" or (base.device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if wants_gpu else "cpu")


def seed_all(seed: int) -> None:
    """Seed every generator that a library might draw from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that draw from the global generator
    torch.manual_seed(seed)
