"""Tiny videos for tests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

# OpenCV reads it once, at the first video, which in tests is mostly one that is written here.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

RATE = 25
SIZE = (160, 120)


def write_clip(
    path: Path, frames: int = 12, codec: str | None = None, size: tuple[int, int] = SIZE
) -> Path:
    """Write a video in which frame i is grey 20 + 10 i (modulo 200), its upper left white."""
    codec = codec or {".avi": "MJPG", ".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), RATE, size)
    assert writer.isOpened()
    for number in range(frames):
        image = np.full((size[1], size[0], 3), (20 + 10 * number) % 200, np.uint8)
        image[: size[1] // 2, : size[0] // 2] = 255
        writer.write(image)
    writer.release()
    return path


def cut(path: Path, share: float) -> Path:
    """Keep the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def turn_clip(path: Path) -> Path:
    """Let an .mp4 or .mov file say that it is to be shown turned by 90 degrees to the right."""
    content = path.read_bytes()
    upright = _matrix(1, 0, 0, 1)
    header = content.index(b"tkhd")
    place = content.index(upright, header)
    turned = _matrix(0, 1, -1, 0)
    path.write_bytes(content[:place] + turned + content[place + len(turned) :])
    return path


def stretch_times(path: Path, factor: int) -> Path:
    """Let the second half of an .mp4 file's frames last `factor` times as long."""
    content = path.read_bytes()
    place = content.index(b"stts")
    # Version and flags, number of entries, then (frames, duration) for each.
    entries = int.from_bytes(content[place + 8 : place + 12])
    assert entries == 1
    frames, duration = (int.from_bytes(content[place + at : place + at + 4]) for at in (12, 16))
    half = [(frames - frames // 2, duration), (frames // 2, factor * duration)]
    numbers = [2, *(number for entry in half for number in entry)]
    new = content[: place + 8] + b"".join(number.to_bytes(4) for number in numbers)
    content = _grown(new + content[place + 20 :], place, 8)
    seconds = (frames - frames // 2 + factor * (frames // 2)) / RATE
    path.write_bytes(_played(content.replace(b"edts", b"free"), seconds))
    return path


def trim_clip(path: Path, seconds: float) -> Path:
    """Let an .mp4 file be played for its first seconds alone, as phones do when one is trimmed."""
    content = path.read_bytes()
    place = content.index(b"elst") + 12  # after version, flags and the number of entries
    duration = round(1000 * seconds).to_bytes(4)
    path.write_bytes(_played(content[:place] + duration + content[place + 4 :], seconds))
    return path


def index_first(path: Path) -> Path:
    """Put the index of an .mp4 file before its frames, as videos for the web have it."""
    content = path.read_bytes()
    index, frames = content.rindex(b"moov") - 4, content.index(b"mdat") - 4
    moved = content[index:]
    at = moved.index(b"stco") + 12  # after version, flags and the number of entries
    for place in range(at, at + 4 * int.from_bytes(moved[at - 4 : at]), 4):
        offset = int.from_bytes(moved[place : place + 4]) + len(moved)
        moved = moved[:place] + offset.to_bytes(4) + moved[place + 4 :]
    path.write_bytes(content[:frames] + moved + content[frames:index])
    return path


def _played(content: bytes, seconds: float) -> bytes:
    """Say in the movie header for how long it plays."""
    place = content.index(b"mvhd") + 16
    assert int.from_bytes(content[place : place + 4]) == 1000  # parts of a second
    return content[: place + 4] + round(1000 * seconds).to_bytes(4) + content[place + 8 :]


def _grown(content: bytes, place: int, by: int) -> bytes:
    """Add to the sizes of the boxes around `place`: stbl, minf, mdia, trak, moov, and stts."""
    for name in (b"stts", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = content.rindex(name, 0, place + 4) - 4
        size = int.from_bytes(content[at : at + 4]) + by
        content = content[:at] + size.to_bytes(4) + content[at + 4 :]
    return content


def _matrix(a: int, b: int, c: int, d: int) -> bytes:
    whole, last = 1 << 16, 1 << 30
    numbers: Sequence[int] = (a * whole, b * whole, 0, c * whole, d * whole, 0, 0, 0, last)
    return b"".join(number.to_bytes(4, signed=True) for number in numbers)
