"""`landmark-kd predict` of videos and cameras: faces followed, as a table and drawn."""

from __future__ import annotations

import argparse
import csv
import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

import cv2
import numpy as np

from landmark_kd.cli.predict_files import Found, is_video
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_file
from landmark_kd.core.progress import ProgressBar
from landmark_kd.imaging.video import (
    Frame,
    Video,
    VideoWriter,
    open_camera,
    open_video,
)
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.smoothing import OneEuro
from landmark_kd.inference.tracking import DETECT_EVERY, FaceTracker, TrackedFace
from landmark_kd.visualization.overlay import GREEN, RIM, draw_landmarks

# Thousandths of a pixel and of a millisecond are far below any error.
DECIMALS = 3
TIME_DECIMALS = 6
FORMATS = ("csv", "jsonl")

VIDEO_HELP = """\
Of a video, faces are followed from frame to frame and smoothed; --camera 0 reads the first camera
until Ctrl-C. Writes DIR/<name>.mp4 (with points and numbers drawn, no sound) and DIR/<name>.csv or
.jsonl (a line for each face of each frame: frame, time in seconds, id, score, roll,
box, landmarks).
Ctrl-C ends a video, too: the files then hold what was done.
"""


def add_video_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that only videos and cameras use."""
    group = parser.add_argument_group("videos and cameras")
    group.add_argument(
        "--camera",
        type=whole_number(0),
        metavar="N",
        help="read camera N, 0 for the first, till Ctrl-C",
    )
    group.add_argument(
        "--table",
        choices=FORMATS,
        default=FORMATS[0],
        help="file of the landmarks: CSV or JSON lines (default: %(default)s)",
    )
    group.add_argument(
        "--detect-every",
        type=whole_number(1),
        default=DETECT_EVERY,
        metavar="N",
        help="look for new faces every N frames; where one was lost or none is known, always "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--no-smooth", action="store_true", help="landmarks as the network gives them"
    )


def whole_number(least: int) -> Callable[[str], int]:
    """Return what reads an argument that is a whole number of `least` or more."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) < 10**6):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number of {least} or more, as {max(least, 1)}"
            )
        return int(text)

    return number


def predict_video(
    path: Path, out: Path, detector: LandmarkDetector, arguments: argparse.Namespace
) -> None:
    """Do one video file; results are `out`/<name>.mp4 and .csv or .jsonl.

    Raises:
        UserError: it cannot be read, or breaks off: what was read is written then.
        KeyboardInterrupt: Ctrl-C; what was done is written.
    """
    hold = "holds" if arguments.no_images else "hold"
    with open_video(path) as video, _stops_at_interrupt() as interrupted:
        files = _follow(video, out / path.stem, detector, arguments, interrupted)
        if interrupted():
            raise KeyboardInterrupt(
                f"interrupted after {video.read} frames of {path}; {files} {hold} what was done."
            )
        if video.missing():
            raise UserError(
                f"{path} breaks off after {video.read} of {video.count} frames: it is cut off or "
                f"damaged; {files} {hold} what could be read, copy the video again for the rest."
            )


def predict_camera(out: Path, detector: LandmarkDetector, arguments: argparse.Namespace) -> None:
    """Do a camera until Ctrl-C; results are `out`/camera_N.mp4 and .csv or .jsonl.

    Raises:
        UserError: it cannot be read.
    """
    with open_camera(arguments.camera) as video, _stops_at_interrupt() as interrupted:
        print(f"{video.name}: Ctrl-C ends", flush=True)
        _follow(video, out / _camera_name(arguments), detector, arguments, interrupted)


def check_results(files: Sequence[Found], out: Path, arguments: argparse.Namespace) -> None:
    """Refuse, before any work, a folder where a result belongs.

    Raises:
        UserError: there is one.
    """
    stems = [out / file.folder / file.path.stem for file in files if is_video(file.path)]
    if arguments.camera is not None:
        stems.append(out / _camera_name(arguments))
    for stem in stems:
        for result in _results(stem, arguments):
            if result.is_dir():
                raise UserError(
                    f"{result} is a folder, where a result would be written; move it, or give "
                    "another --out."
                )


def _follow(
    video: Video,
    stem: Path,
    detector: LandmarkDetector,
    arguments: argparse.Namespace,
    interrupted: Callable[[], bool],
) -> str:
    """Write the results of a video until it ends or is interrupted; return their names."""
    smoothing = None if arguments.no_smooth else OneEuro()
    tracker = FaceTracker(
        detector,
        detect_every=arguments.detect_every,
        min_face=arguments.min_face,
        smoothing=smoothing,
    )
    ids: set[int] = set()
    files = _results(stem, arguments)
    with ExitStack() as stack:
        *drawn, table = (stack.enter_context(replaced_file(file)) for file in files)
        text = stack.enter_context(table.open("w", encoding="utf-8", newline=""))
        write_row = _TABLES[arguments.table](text, detector.info.points)
        writers = [VideoWriter(path, video.rate) for path in drawn]
        for writer in writers:
            stack.callback(writer.release)
        # The first frame comes before the bar, and with it what is wrong with the video.
        frames = ProgressBar(video, total=video.count, unit="frame", disable=None)
        for frame in frames:
            faces = tracker.update(frame.image, frame.time)
            for face in faces:
                write_row(frame, face)
            ids.update(face.id for face in faces)
            for writer in writers:
                writer.write(_drawn(frame.image, faces, detector), frame.time)
            if interrupted():
                break
        frames.close()
        for writer in writers:
            writer.close()
    count = f"{len(ids)} face{'' if len(ids) == 1 else 's'}" if ids else "no face found"
    names = " and ".join([str(files[0]), *(file.name for file in files[1:])])
    print(f"{video.name}: {video.read} frames, {count} -> {names}", flush=True)
    return names


def _results(stem: Path, arguments: argparse.Namespace) -> list[Path]:
    # Not by `with_suffix`, which would take the end of `a.b` for one.
    suffixes = [arguments.table] if arguments.no_images else ["mp4", arguments.table]
    return [stem.parent / f"{stem.name}.{suffix}" for suffix in suffixes]


def _camera_name(arguments: argparse.Namespace) -> str:
    return f"camera_{arguments.camera}"


def _csv(text: IO[str], points: int) -> Callable[[Frame, TrackedFace], None]:
    """Return what writes a face as a line of CSV; the first line names the columns."""
    writer = csv.writer(text, lineterminator="\n")
    landmarks = [f"{axis}{point}" for point in range(points) for axis in "xy"]
    corners = ["box_x0", "box_y0", "box_x1", "box_y1"]
    writer.writerow(["frame", "time", "id", "score", "roll", *corners, *landmarks])

    def write(frame: Frame, face: TrackedFace) -> None:
        numbers = [*face.box, *face.landmarks.reshape(-1)]
        writer.writerow([*_head(frame, face).values(), *np.round(numbers, DECIMALS).tolist()])

    return write


def _jsonl(text: IO[str], points: int) -> Callable[[Frame, TrackedFace], None]:
    """Return what writes a face as a line of JSON."""

    def write(frame: Frame, face: TrackedFace) -> None:
        arrays = {"box": face.box, "landmarks": face.landmarks}
        rounded = {name: array.round(DECIMALS).tolist() for name, array in arrays.items()}
        text.write(json.dumps({**_head(frame, face), **rounded}, allow_nan=False) + "\n")

    return write


_TABLES = {"csv": _csv, "jsonl": _jsonl}


def _head(frame: Frame, face: TrackedFace) -> dict[str, float]:
    return {
        "frame": frame.number,
        "time": round(frame.time, TIME_DECIMALS),
        "id": face.id,
        "score": round(face.score, DECIMALS),
        "roll": round(face.roll, DECIMALS),
    }


def _drawn(
    image: np.ndarray, faces: Sequence[TrackedFace], detector: LandmarkDetector
) -> np.ndarray:
    """Return an image with landmarks and numbers of its faces."""
    for face in faces:
        image = draw_landmarks(image, face.landmarks, detector.info.contours)
        low, high = face.landmarks.min(axis=0), face.landmarks.max(axis=0)
        scale = float((high - low).max()) / 250
        place = (round(low[0]), round(low[1] - 25 * scale))
        for thickness, ink in ((3, RIM), (1, GREEN)):
            cv2.putText(
                *(image, str(face.id), place, cv2.FONT_HERSHEY_SIMPLEX, max(0.4, scale), ink),
                *(max(1, round(thickness * scale)) + (thickness > 1), cv2.LINE_AA),
            )
    return image


@contextmanager
def _stops_at_interrupt() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C end a video between two frames; a second one ends the program at once.

    Yields a function that tells whether there was one.
    """
    asked = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    # Python lets only the main thread listen.
    listens = threading.current_thread() is threading.main_thread()
    if listens:
        signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        if listens:
            signal.signal(signal.SIGINT, before)
