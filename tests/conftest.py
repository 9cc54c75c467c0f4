"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]

# No test is to fetch YuNet's file from its publisher.
os.environ["LANDMARK_KD_FACE_DETECTOR"] = "haar"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real faces, which is never part of the repository."""
    default = PROJECT.parent / "shared"
    folder = Path(os.environ.get("LANDMARK_KD_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data at {folder}; LANDMARK_KD_SHARED may name its folder")
    return folder


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """A shell's background jobs ignore Ctrl-C, and so would their children: let them heed it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with long tests first: started last, one would keep a single process busy."""
    marks = ("slow", "seconds")
    place: dict[Path, int] = {}
    for item in items:
        own = [i for i, mark in enumerate(marks) if item.get_closest_marker(mark)]
        place[item.path] = min([place.get(item.path, len(marks)), *own])
    items.sort(key=lambda item: place[item.path])
