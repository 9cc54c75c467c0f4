"""Disks and memories that end, made by limits of the system on one process."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@contextmanager
def files_end_after(size: int) -> Iterator[None]:
    """Let the system write no more than so many bytes of a file, as on a disk that gets full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest_file(size)()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def largest_file(size: int) -> Callable[[], None]:
    """Return what limits all files of the process that calls it."""
    return _Limit(resource.RLIMIT_FSIZE, size)


def more_memory(size: int) -> Callable[[], None]:
    """Return what limits the memory of the process that calls it to so many bytes more."""
    return _Limit(resource.RLIMIT_AS, size)


@dataclass(frozen=True)
class _Limit:
    """Can be sent to another process and called there."""

    kind: int
    size: int

    def __call__(self) -> None:
        size = self.size
        if self.kind == resource.RLIMIT_AS:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            size += pages * resource.getpagesize()
        resource.setrlimit(self.kind, (size, resource.getrlimit(self.kind)[1]))
