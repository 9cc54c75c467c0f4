"""Rows of several arrays as one: what numpy would give if they were joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmark_kd.distillation.unlabelled import ImageRows


@pytest.fixture
def arrays(tmp_path: Path) -> list[np.ndarray]:
    """Two memory-mapped arrays of images."""
    rng = np.random.default_rng(0)
    found = []
    for name, count in (("a", 5), ("b", 4)):
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 256, (count, 6, 6, 3), np.uint8))
        found.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    return found


@pytest.mark.parametrize(
    "index",
    [
        0,
        np.int64(6),
        -1,
        slice(2, 7),
        slice(None),
        slice(3, 3),
        slice(0, 100),
        np.array([6, 0, 6, 2]),
        np.array([], dtype=int),
        [1, 5],
        np.arange(7) % 2 == 0,
        (np.array([6, 1]), slice(1, 5), slice(1, 5)),
        (slice(1, 6), slice(1, 5), slice(1, 5)),
        (3, slice(1, 5), slice(1, 5)),
        (slice(None), 2, slice(1, 5)),
    ],
    ids=str,
)
def test_an_index_gives_what_the_joined_array_would(arrays: list[np.ndarray], index: Any) -> None:
    rows = [np.array([4, 0, 2]), np.arange(4)]
    joined = np.concatenate([array[r] for array, r in zip(arrays, rows, strict=True)])
    found = ImageRows(list(zip(arrays, rows, strict=True)))
    assert (len(found), found.shape, found.dtype, found.ndim) == (7, joined.shape, np.uint8, 4)
    np.testing.assert_array_equal(found[index], joined[index])


def test_rows_of_rows_may_be_taken(arrays: list[np.ndarray]) -> None:
    inner: Any = ImageRows([(arrays[0], np.array([3, 1]))])
    found = ImageRows([(arrays[1], np.arange(4)), (inner, np.array([1, 0]))])
    np.testing.assert_array_equal(found[4:], arrays[0][[1, 3]])


def test_a_row_beyond_the_end_is_an_index_error_so_that_a_loop_ends(
    arrays: list[np.ndarray],
) -> None:
    found = ImageRows([(array, np.arange(2)) for array in arrays])
    with pytest.raises(IndexError):
        found[4]


def test_nothing_is_read_before_it_is_asked_for(arrays: list[np.ndarray]) -> None:
    found = ImageRows([(array, np.arange(len(array))) for array in arrays])
    assert np.shares_memory(found[6], arrays[1])


def test_arrays_of_other_images_are_refused(arrays: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="images of one form"):
        ImageRows([(arrays[0], np.arange(2)), (arrays[1][:, 1:], np.arange(2))])
