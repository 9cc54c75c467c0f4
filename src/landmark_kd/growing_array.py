"""A .npy file written row by row, when nobody knows yet how many rows there will be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np


@contextmanager
def growing_array(path: Path, row: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends a uint8 array of shape `row` to a .npy file.

    Written in order, since a full disk then ends in an error that can be told; writing through
    a memory map would kill the process. numpy leaves room in the header for a growing first
    axis, so the number of rows is put in at the end, when bad faces are known.
    """
    rows = 0
    with path.open("wb") as file:
        _write_header(file, (0, *row))
        data_start = file.tell()

        def append(values: np.ndarray) -> None:
            nonlocal rows
            assert (values.shape, values.dtype) == (row, np.uint8)
            file.write(values.tobytes())
            rows += 1

        yield append
        file.seek(0)
        _write_header(file, (rows, *row))
        assert file.tell() == data_start


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
