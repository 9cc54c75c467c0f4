"""`landmark-kd predict`: faces and their landmarks in images and videos, as files and drawn."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from landmark_kd.cli.predict_files import Found, check_name, check_out, find_files, is_video
from landmark_kd.cli.predict_results import Results, add_format_options
from landmark_kd.cli.predict_video import (
    VIDEO_HELP,
    add_video_options,
    check_results,
    predict_camera,
    predict_video,
    whole_number,
)
from landmark_kd.cli.shared import add_face_detector, add_model, load_model
from landmark_kd.core.errors import UserError, is_out_of_memory
from landmark_kd.imaging.video import VIDEO_SUFFIXES
from landmark_kd.inference.detector import LandmarkDetector

PREDICT_EXAMPLES = f"""\
examples:
  landmark-kd predict photo.jpg --out found
  landmark-kd predict photos/ another.png --out found
  landmark-kd predict photo.jpg --out found --model models/landmarks.onnx
  landmark-kd predict photo.jpg --out found --boxes 120,80,260,230 300,90,420,215
  landmark-kd predict photos/ --recursive --out found --format csv --no-images
  landmark-kd predict photos/ --out corrected --format pts
  landmark-kd predict clip.mp4 --out found
  landmark-kd predict --camera 0 --out found

Without --model it is always a network that comes with landmark-kd, whatever models/ holds; the
first line printed and "model" in the JSON files say which one was used. What ends in .onnx or has
a separator of folders in it is a file, anything else a name.
Writes DIR/<name>.json (box, score, landmarks and their uncertainty of each face, in pixels of the
image as it is shown, after its EXIF rotation) and DIR/<name>.png (the image with the points drawn).
With --format pts it is DIR/<name>.pts, DIR/<name>_face2.pts, … (counted from 1) and beside each a
.png, the image as it is shown with nothing drawn; `landmark-kd data init DIR` goes on from there.
An image without a face is no error: its list of faces is empty.

{VIDEO_HELP}
Status: 0 all done, 1 some could not be done, 2 wrong arguments, 130 Ctrl-C.
"""


def add_predict(commands: Any) -> None:
    """Add the command to those of `landmark-kd`."""
    parser = commands.add_parser(
        "predict",
        help="find faces and their landmarks in images and videos",
        description="Find faces and their landmarks in images and videos.",
        epilog=PREDICT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "images",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="an image, a video, or a folder of them; hidden files in it do not count",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for the results"
    )
    parser.add_argument(
        "--recursive",
        action="store_true",
        help="look into the subfolders of folders, too; the results lie in folders of those names",
    )
    add_format_options(parser)
    add_model(parser)
    add_face_detector(parser)
    parser.add_argument(
        "--threads",
        type=whole_number(1),
        metavar="N",
        help="CPU threads of the networks (default: left to them)",
    )
    parser.add_argument(
        "--batch",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="images that are read before the network runs on the faces of all of them; all N are "
        "in memory (default: %(default)s)",
    )
    parser.add_argument(
        "--min-face",
        type=_pixels,
        metavar="PIXELS",
        help="height of the smallest face to look for, brows to chin; a small number finds the "
        "small faces of large photos and takes longer (default: left to the detector)",
    )
    parser.add_argument(
        "--boxes",
        nargs="+",
        type=_box,
        metavar="X0,Y0,X1,Y1",
        help="boxes around the landmarks of one image's faces, brows to chin, in pixels, "
        "instead of looking for faces; write --boxes=-5,… where the first number is negative",
    )
    add_video_options(parser)
    parser.set_defaults(run=_predict)


def _pixels(text: str) -> float:
    try:
        pixels = float(text)
    except ValueError:
        pixels = 0.0
    if not 0 < pixels < np.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pixels above 0, as 40")
    return pixels


def _box(text: str) -> tuple[float, ...]:
    try:
        box = tuple(float(part) for part in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a box; expected X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1, "
            "as 10,20,110,130"
        )
    return box


def _predict(arguments: argparse.Namespace) -> None:
    if (arguments.camera is not None) == bool(arguments.images):
        raise UserError(
            "give images, videos or folders, or --camera N, and not both; see "
            "`landmark-kd predict --help`."
        )
    out = arguments.out
    files = find_files(arguments.images, out, recursive=arguments.recursive)
    if arguments.boxes and (len(files) != 1 or is_video(files[0].path)):
        given = "a video is" if len(files) == 1 else f"{len(files)} are"
        raise UserError(
            f"--boxes belong to one image, but {given} given; run the command once for each image."
        )
    check_out(out, files, arguments.format)
    check_results(files, out, arguments)
    if arguments.threads is not None:
        cv2.setNumThreads(arguments.threads)
    detector = load_model(
        arguments.model, arguments.detector, arguments.detector_model, arguments.threads
    )
    if arguments.camera is not None:
        predict_camera(out, detector, arguments)
        return
    images = sum(not is_video(file.path) for file in files)
    formats = [name for name in arguments.format if images or name != "csv"]
    with Results(out, formats, detector, images=not arguments.no_images) as results:
        failed = _all_done(files, results, detector, arguments)
    if failed:
        kind = "image" if images == len(files) else "file"
        if len(files) == 1:
            raise UserError(f"the {kind} could not be done (see above).")
        others = f"; the results of the others are in {out}" if failed < len(files) else ""
        raise UserError(
            f"{failed} of {len(files)} {kind}s could not be read (named above){others}."
        )


def _all_done(
    files: list[Found], results: Results, detector: LandmarkDetector, arguments: argparse.Namespace
) -> int:
    """Do images, `--batch` at a time, and videos; say what is wrong with those that cannot be done.

    Returns:
        How many could not.
    """
    failed = 0
    read: list[tuple[Found, np.ndarray]] = []
    for file in files:
        path, folder = file
        try:
            check_name(file, arguments.format)
            if is_video(path):
                predict_video(path, arguments.out / folder, detector, arguments)
            else:
                read.append((file, _read_upright(path)))
        except UserError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            failed += 1
        if len(read) == arguments.batch:
            _images_done(read, results, detector, arguments)
            read.clear()
    _images_done(read, results, detector, arguments)
    return failed


def _images_done(
    read: list[tuple[Found, np.ndarray]],
    results: Results,
    detector: LandmarkDetector,
    arguments: argparse.Namespace,
) -> None:
    """Do images that were read."""
    images = [image for _, image in read]
    boxes = [np.array(arguments.boxes)] * len(images) if arguments.boxes else None
    found = detector.detect_batch(images, boxes, min_face=arguments.min_face)
    for ((path, folder), image), faces in zip(read, found, strict=True):
        written = results.write(path, folder, image, faces)
        count = f"{len(faces)} face{'' if len(faces) == 1 else 's'}" if faces else "no face found"
        print(f"{path}: {count} -> {written}", flush=True)


def _read_upright(path: Path) -> np.ndarray:
    """Read an image as (H, W, 3) uint8 BGR."""
    try:
        content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; check the name.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    try:
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    except cv2.error as error:  # a size beyond OpenCV's limit
        if is_out_of_memory(error):
            raise
        image = None
    if image is None:
        raise UserError(
            f"{path} is not an image that OpenCV can decode; give a JPEG or PNG file, or a video "
            f"({', '.join(VIDEO_SUFFIXES)})."
        )
    return image
