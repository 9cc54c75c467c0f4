"""Arrays of numbers in Matlab's files of version 5 (.mat, as Matlab saves them unless told to).

Not by scipy.io.loadmat: a byte of a file that is damaged, or made to, ends the whole process there
(segmentation fault), and no face could be named.

The format: "MAT-File Format", The MathWorks, chapter 1. A file is a header and elements, each a
tag (type, size) and data; an array is an element that holds elements: flags, dimensions, name,
values.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

HEADER = 128
# Types of elements; the rest are numbers.
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
# Classes of arrays of numbers: double, single, and integers.
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX = 0x0800


def numeric_arrays(content: bytes, most: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and values of the arrays of real numbers in a file, others passed over.

    Args:
        content: the file.
        most: bytes that a compressed array may have.

    Raises:
        ValueError: the file is damaged or of another kind; in words that follow its name.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:HEADER])
    if order is None or content[:10] != b"MATLAB 5.0":
        raise ValueError("is not a file of Matlab 5")
    for element in _elements(content[HEADER:], order):
        packed = element[0] == _COMPRESSED
        kind, data = _uncompressed(element[1], most, order) if packed else element
        if kind == _MATRIX and (array := _array(data, order)) is not None:
            yield array


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and data of the elements that follow each other in a file or an array."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # a small element has type, size and data in eight bytes
            kind, size, begin, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            begin = at + 8
            end = begin + size + (-size % 8 if kind != _COMPRESSED else 0)
        if begin + size > min(len(data), end):
            raise ValueError("is cut off or damaged")
        yield kind, data[begin : begin + size]
        at = end


def _uncompressed(data: bytes, most: int, order: str) -> tuple[int, bytes]:
    try:
        whole = zlib.decompressobj().decompress(data, most)
    except zlib.error as error:
        raise ValueError(f"is damaged ({error})") from None
    return next(_elements(whole, order), (0, b""))


def _array(data: bytes, order: str) -> tuple[str, np.ndarray] | None:
    """Return name and values of an array, None where it is not one of real numbers."""
    elements = _elements(data, order)
    flags, dimensions, name, values = (next(elements, (0, b"")) for _ in range(4))
    if len(flags[1]) < 4 or dimensions[0] != 5 or len(dimensions[1]) % 4:
        raise ValueError("is damaged")
    (word,) = struct.unpack_from(f"{order}I", flags[1])
    if word & 0xFF not in _NUMERIC_CLASSES or word & _COMPLEX:
        return None
    shape = np.frombuffer(dimensions[1], f"{order}i4").tolist()
    kind = _NUMBERS.get(values[0])
    count = 1
    for extent in shape:
        count *= extent
    if kind is None or min(shape, default=-1) < 0 or len(values[1]) != count * int(kind[1]):
        raise ValueError("is damaged")
    # Matlab keeps columns together.
    array = np.frombuffer(values[1], order + kind).reshape(shape, order="F")
    return name[1].decode("latin-1"), array
