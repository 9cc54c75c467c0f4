"""Matlab's files: the numbers in them are those that scipy reads, and damage is said."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from scipy.io import loadmat, savemat

from landmark_kd.data.datasets.matlab import HEADER, numeric_arrays
from tests.support.strategies import damaged, examples

VARIABLES: dict[str, Any] = {
    "double": np.arange(6.0).reshape(2, 3) / 7,
    "single": np.linspace(0, 1, 204, dtype=np.float32).reshape(3, 68),
    "bytes": np.arange(5, dtype=np.uint8),
    "small": np.int16(7),
    "long_name_of_a_variable": np.arange(24, dtype=np.int64).reshape(2, 3, 4),
    "complex": np.array([1 + 2j]),
    "text": "abc",
    "cells": np.array(["a", 1.0], dtype=object),
    "record": {"a": 1.0},
}
NUMERIC = ["double", "single", "bytes", "small", "long_name_of_a_variable"]


def _saved(*, compressed: bool) -> bytes:
    file = BytesIO()
    savemat(file, VARIABLES, do_compression=compressed)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_are_those_that_scipy_reads(compressed: bool) -> None:
    content = _saved(compressed=compressed)
    found = dict(numeric_arrays(content, 2**20))
    expected = loadmat(BytesIO(content))
    assert list(found) == NUMERIC
    for name in NUMERIC:
        np.testing.assert_array_equal(found[name], expected[name])


def test_the_other_order_of_bytes_is_read() -> None:
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(">H", 0x0100) + b"MI"
    array = [
        struct.pack(">IIII", 6, 8, 6, 0),
        struct.pack(">IIii", 5, 8, 1, 2),
        struct.pack(">HH4s", 1, 1, b"a"),
        struct.pack(">IIdd", 9, 16, 1.5, -2),
    ]
    content = header + struct.pack(">II", 14, len(b"".join(array))) + b"".join(array)
    [(name, values)] = numeric_arrays(content, 2**20)
    assert (name, values.tolist()) == ("a", [[1.5, -2]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a file of Matlab 5"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", "is not a file of Matlab 5"),
        (_saved(compressed=False)[:400], "is cut off or damaged"),
        (_saved(compressed=True)[:150] + bytes(2000), "is damaged"),
    ],
)
def test_what_is_no_whole_file_is_said(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(numeric_arrays(content, 2**20))


@pytest.mark.seconds
@examples(500)
@given(content=damaged(_saved(compressed=False)) | damaged(_saved(compressed=True)))
def test_a_damaged_file_is_read_or_refused(content: bytes) -> None:
    try:
        found = list(numeric_arrays(content, 2**20))
    except ValueError:
        return
    assert all(values.nbytes <= 2**20 for _, values in found)


def test_a_compressed_array_that_would_fill_the_memory_is_refused() -> None:
    file = BytesIO()
    savemat(file, {"a": np.zeros((1000, 1000))}, do_compression=True)
    assert len(file.getvalue()) < HEADER + 20_000
    with pytest.raises(ValueError, match="is cut off or damaged"):
        list(numeric_arrays(file.getvalue(), 2**20))
