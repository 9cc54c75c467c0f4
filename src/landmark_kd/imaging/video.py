"""Videos and cameras, frame by frame, and videos written; by OpenCV, whose FFmpeg decodes."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from landmark_kd.core.errors import UserError

# By these a video is known among images.
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv"),
    *(".3gp", ".ts", ".mts", ".m2ts", ".ogv"),
)
# Frames a second where a file or camera says nothing that can be.
USUAL_RATE = 30.0
HIGHEST_RATE = 240.0
# MPEG-4 part 2 in .mp4: of what plays widely, the one that OpenCV's wheels encode everywhere
# (H.264 is not in them).
CODEC = "mp4v"
# Frames by which a file that is whole may miss what it announces: containers without a count
# have it estimated from their duration. As a share, and in frames.
UNSURE_SHARE = 0.01
UNSURE_FRAMES = 2
# Seconds for which a frame is repeated at most, where nothing comes.
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Frame:
    """One frame: its number from 0, its time in seconds and its image (H, W, 3) uint8 BGR."""

    number: int
    time: float
    image: np.ndarray


class Video:
    """A video file or a camera; a context manager that yields frames.

    Attributes:
        name: for messages.
        rate: frames a second; where they come irregularly, their average.
        count: frames that the file announces; None of a camera, and where it says nothing.
        read: frames read so far.
    """

    def __init__(
        self, capture: cv2.VideoCapture, name: str, *, live: bool, seconds: float | None = None
    ) -> None:
        """Args: `capture` is open; `seconds` for which it plays, where that is known."""
        self.name = name
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.rate = _plausible_rate(rate)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if not live and 0 < count < 1e9 else None
        self.read = 0
        self._seconds = seconds or (count / rate if rate > 0 else 0)
        self._end = 0.0
        self._capture = capture
        self._live = live

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames that are left, upright (as the file's rotation says), times rising.

        Raises:
            UserError: there is not even one.
        """
        started, last = time.monotonic(), -math.inf
        while True:
            done, image = self._capture.read()
            if not done or image is None:
                break
            if self._live:
                now = time.monotonic() - started
            else:
                now = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # Some files have no time stamps, or stamps that stand still or go back.
            if not (math.isfinite(now) and now > last):
                now = 0.0 if math.isinf(last) else last + 1 / self.rate
            last = now
            self.read += 1
            self._end = now + 1 / self.rate
            yield Frame(self.read - 1, now, _as_bgr(image))
        if self.read == 0:
            raise UserError(
                f"{self.name} gives no frame; free the camera of other programs, or check that it "
                "works."
                if self._live
                else f"no frame of {self.name} can be decoded: it is cut off, damaged, or encoded "
                "in a way that OpenCV cannot read; convert it to H.264 in MP4 "
                "(ffmpeg -i FILE -c:v libx264 new.mp4)."
            )

    def missing(self) -> int:
        """Return how many announced frames did not come, once all have been read.

        A file whose beginning or end was trimmed announces frames that are not to be shown; it is
        whole if it played for as long as it should.
        """
        if self.count is None:
            return 0
        missing = self.count - self.read
        pause = self._seconds - self._end
        few = missing <= max(UNSURE_FRAMES, UNSURE_SHARE * self.count)
        short = pause <= max(UNSURE_FRAMES / self.rate, UNSURE_SHARE * self._seconds)
        return 0 if few or short else missing


def open_video(path: Path) -> Video:
    """Open a video file.

    Raises:
        UserError: it is missing, empty, cut off, no video, or of a codec that is not there.
    """
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; check the name.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    if empty:
        raise UserError(f"the video {path} is empty; record or copy it again.")
    with _silence():
        # An absolute path, lest FFmpeg take a name such as `a:b.mp4` for an address.
        capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise UserError(
            f"{path} is not a video that OpenCV can decode: it is cut off, damaged, no video, or "
            "its codec is not there; copy it again, or convert it to H.264 in MP4 "
            "(ffmpeg -i FILE -c:v libx264 new.mp4)."
        )
    return Video(capture, str(path), live=False, seconds=_mp4_seconds(path))


def open_camera(number: int) -> Video:
    """Open a camera by its number, 0 for the first.

    Raises:
        UserError: there is none of this number, or it is in use.
    """
    with _silence():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise UserError(
            f"camera {number} cannot be opened: there is none of this number, another program "
            "uses it, or you may not read it (on Linux /dev/video*); connect it, or try another "
            "number."
        )
    return Video(capture, f"camera {number}", live=True)


class VideoWriter:
    """Writes frames to an .mp4 file at a constant rate, each at its time.

    A frame that is late is preceded by repeated ones, one that is early is left out, so that the
    video plays as fast as what it was made of; `close` finishes the file.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self._path = path
        self._rate = rate
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._start = 0.0
        self._written = 0
        self._last: np.ndarray | None = None

    def write(self, image: np.ndarray, time: float) -> None:
        """Write one frame (H, W, 3) uint8 BGR of a time in seconds.

        Raises:
            UserError: the file cannot be written.
        """
        if self._writer is None:
            self._open(image, time)
        assert self._writer is not None
        image = _fitted(image, self._size)
        due = round((time - self._start) * self._rate)
        if due - self._written > LONGEST_PAUSE * self._rate:
            self._start += (due - self._written) / self._rate
            due = self._written
        while self._last is not None and self._written < due:
            self._writer.write(self._last)
            self._written += 1
        if self._written == due:
            self._writer.write(image)
            self._written += 1
        self._last = image

    def close(self) -> None:
        """Finish the file.

        Raises:
            UserError: it is not whole: OpenCV says nothing of a full disk.
        """
        if self._writer is None:
            return
        self.release()
        with _silence():
            capture = cv2.VideoCapture(str(self._path.resolve()), cv2.CAP_FFMPEG)
        whole = capture.isOpened() and capture.get(cv2.CAP_PROP_FRAME_COUNT) >= self._written
        capture.release()
        if not whole:
            raise UserError(
                f"the video could not be written to {self._path.parent}: the disk may be full; "
                "free some space and run the same command again."
            )

    def release(self) -> None:
        """Let go of the file, whatever is in it."""
        if self._writer is not None:
            self._writer.release()

    def _open(self, image: np.ndarray, time: float) -> None:
        height, width = image.shape[:2]
        # The encoder cuts odd sizes off.
        self._size = (width + width % 2, height + height % 2)
        self._start = time
        with _silence():
            self._writer = cv2.VideoWriter(
                str(self._path.resolve()),
                cv2.CAP_FFMPEG,
                cv2.VideoWriter.fourcc(*CODEC),
                self._rate,
                self._size,
            )
        if not self._writer.isOpened():
            raise UserError(
                f"OpenCV cannot write a video of {width} x {height} pixels to "
                f"{self._path.parent}; install opencv-python-headless from PyPI, which brings "
                "FFmpeg, or give a smaller video."
            )


def _fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image of a size (width, height): one row or column repeated, or all scaled."""
    right, below = size[0] - image.shape[1], size[1] - image.shape[0]
    if (right, below) == (0, 0):
        return image
    if right in (0, 1) and below in (0, 1):
        return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _as_bgr(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)


def _plausible_rate(rate: float) -> float:
    return rate if 0 < rate <= HIGHEST_RATE else USUAL_RATE


def _mp4_seconds(path: Path) -> float | None:
    """Return for how long an MP4 or QuickTime file plays, as its movie header says (ISO 14496-12).

    OpenCV knows the frames that are stored alone, also where an edit list leaves some out.
    """
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            size, name, start = int.from_bytes(head[:4]), head[4:], file.tell() - 8
            if size == 1:
                size = int.from_bytes(file.read(8))
            if name == b"moov":
                # The movie header comes first: version, flags, two dates, time scale, duration.
                header = file.read(40)
                if header[4:8] != b"mvhd":
                    return None
                wide = 8 if header[8] else 4
                at = 12 + 2 * wide
                scale = int.from_bytes(header[at : at + 4])
                duration = int.from_bytes(header[at + 4 : at + 4 + wide])
                return duration / scale if scale else None
            if size < 8:
                break
            file.seek(start + size)
    return None


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what OpenCV and FFmpeg would print to themselves: our own sentences say it.

    FFmpeg's level is read by OpenCV once, at the first video; a level that the user has set stays.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
