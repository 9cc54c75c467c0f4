"""Rows of several arrays of pictures as one array, without copying them into memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class PictureRows:
    """What the project needs of an array (N, S, S, 3), made of rows of others that stay on disk.

    It has `shape`, `dtype`, `ndim` and `len()`. The first axis takes an integer, a slice or
    integers; what follows is passed on to the arrays. What comes back is a numpy array, of one
    picture that the array it lies in would give.

    Args:
        parts: an array (n, S, S, 3) and the rows of it that are taken, in the order that they are
            to have. All arrays have the same pictures' size and the same type.
    """

    def __init__(self, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        self._arrays = [array for array, _ in parts]
        self._part = np.concatenate([np.full(len(rows), i) for i, (_, rows) in enumerate(parts)])
        self._row = np.concatenate([np.asarray(rows, dtype=np.intp) for _, rows in parts])
        first = self._arrays[0]
        if any((a.shape[1:], a.dtype) != (first.shape[1:], first.dtype) for a in self._arrays):
            forms = " and ".join(f"{a.dtype} {a.shape}" for a in self._arrays)
            raise ValueError(f"pictures of one form are needed, but the arrays are {forms}")
        self.shape: tuple[int, ...] = (len(self._row), *first.shape[1:])
        self.dtype = first.dtype
        self.ndim = first.ndim

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, index: Any) -> np.ndarray:
        rows, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        if isinstance(rows, int | np.integer):
            return self._arrays[self._part[rows]][(self._row[rows], *rest)]
        chosen = np.arange(len(self))[rows]
        # Of no row, to know what form the rest of the index gives.
        form = self._arrays[0][(slice(0, 0), *rest)].shape[1:]
        found = np.empty((len(chosen), *form), self.dtype)
        for number, array in enumerate(self._arrays):
            here = self._part[chosen] == number
            found[here] = array[(self._row[chosen[here]], *rest)]
        return found
