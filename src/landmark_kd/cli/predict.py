"""`landmark-kd predict`: faces and their landmarks in images and videos, as files and drawn."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from landmark_kd.cli.predict_video import (
    VIDEO_HELP,
    add_video_options,
    check_results,
    is_video,
    predict_camera,
    predict_video,
)
from landmark_kd.cli.shared import add_face_detector, add_model, load_model
from landmark_kd.core.errors import UserError, is_out_of_memory
from landmark_kd.core.files import write_json
from landmark_kd.core.names import LONGEST_NAME, fault_of_name, fold
from landmark_kd.imaging.images import IMAGE_SUFFIXES, write_image
from landmark_kd.imaging.video import VIDEO_SUFFIXES
from landmark_kd.inference.detector import Face, LandmarkDetector
from landmark_kd.visualization.overlay import draw_landmarks

# Thousandths of a pixel are far below any landmark's error.
DECIMALS = 3

PREDICT_EXAMPLES = f"""\
examples:
  landmark-kd predict photo.jpg --out found
  landmark-kd predict photos/ another.png --out found
  landmark-kd predict photo.jpg --out found --model models/landmarks.onnx
  landmark-kd predict photo.jpg --out found --boxes 120,80,260,230 300,90,420,215
  landmark-kd predict clip.mp4 --out found
  landmark-kd predict --camera 0 --out found

Without --model it is always the network that comes with landmark-kd, whatever models/ holds; the
first line printed and "model" in the JSON files say which one was used.
Writes DIR/<name>.json (box, score, landmarks and their uncertainty of each face, in pixels of the
image as it is shown, after its EXIF rotation) and DIR/<name>.png (the image with the points drawn).
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
        help="an image, a video, or a folder of them (its subfolders are not looked into)",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for the results"
    )
    add_model(parser)
    add_face_detector(parser)
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
    files = _files_of(arguments.images)
    if arguments.boxes and (len(files) != 1 or is_video(files[0])):
        raise UserError(
            f"--boxes belong to one image, but {_listed(files)} given; "
            "run the command once for each image."
        )
    out = arguments.out
    _check_out(out, files)
    check_results(files, out, arguments)
    detector = load_model(arguments.model, arguments.detector, arguments.detector_model)
    out.mkdir(parents=True, exist_ok=True)
    if arguments.camera is not None:
        predict_camera(out, detector, arguments)
    boxes = np.array(arguments.boxes) if arguments.boxes else None
    failed = 0
    for file in files:
        try:
            _check_name(file)
            if is_video(file):
                predict_video(file, out, detector, arguments)
                continue
            image = _read_upright(file)
        except UserError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr, flush=True)
            continue
        faces = detector.detect(image, boxes, min_face=arguments.min_face)
        _write_results(out, file, image, faces=faces, detector=detector)
        count = f"{len(faces)} face{'' if len(faces) == 1 else 's'}" if faces else "no face found"
        print(f"{file}: {count} -> {out / file.stem}.json, .png", flush=True)
    if failed:
        kind = "files" if any(map(is_video, files)) else "images"
        raise UserError(
            f"{failed} of {len(files)} {kind} could not be read (named above); "
            f"the results of the others are in {out}."
        )


def _files_of(given: list[Path]) -> list[Path]:
    """Return the files to do, folders replaced by what is in them, each once."""
    files: dict[Path, Path] = {}
    for path in given:
        found = [path]
        if path.is_dir():
            found = sorted(
                p
                for p in path.iterdir()
                if p.suffix.lower() in IMAGE_SUFFIXES + VIDEO_SUFFIXES and p.is_file()
            )
            if not found:
                raise UserError(
                    f"the folder {path} holds no images ({', '.join(IMAGE_SUFFIXES)}) and no "
                    "videos; give a folder that does, or the files themselves."
                )
        for file in found:
            files.setdefault(file.resolve(), file)
    return list(files.values())


def _listed(files: list[Path]) -> str:
    return "a video is" if len(files) == 1 else f"{len(files)} are"


def _check_out(out: Path, files: list[Path]) -> None:
    """Refuse, before any work, what would overwrite an image or one result with another."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; give a folder for the results.")
    results: dict[str, Path] = {}
    for file in files:
        if file.resolve().parent == out.resolve():
            raise UserError(
                f"--out {out} is the folder of {file}, where results could overwrite it; "
                "give another folder."
            )
        # Some file systems do not tell a.png from A.png, or two Unicode forms of one name.
        other = results.setdefault(fold(file.stem), file)
        if other is not file:
            suffix = "mp4" if is_video(file) else "json"
            raise UserError(
                f"{other} and {file} would both be written to {out / file.stem}.{suffix}; "
                "rename one, or do them in two runs with different --out."
            )


def _check_name(file: Path) -> None:
    """Refuse a file whose results would have names that are of no use elsewhere."""
    if fault := fault_of_name(file.name):
        raise UserError(
            f"{file} has a name that {fault}, and so would its results have; rename the file "
            "and run the command again."
        )
    if len(os.fsencode(f"{file.stem}.json")) > LONGEST_NAME:
        raise UserError(f"{file} has a name that is too long for {file.stem}.json; shorten it.")


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


def _write_results(
    out: Path,
    file: Path,
    image: np.ndarray,
    *,
    faces: list[Face],
    detector: LandmarkDetector,
) -> None:
    content = {
        "image": file.name,
        "width": image.shape[1],
        "height": image.shape[0],
        "model": detector.source,
        "point_names": detector.info.point_names,
        "faces": [
            {
                "box": face.box.round(DECIMALS).tolist(),
                "score": round(face.score, DECIMALS),
                "roll": round(face.roll, DECIMALS),
                "landmarks": face.landmarks.round(DECIMALS).tolist(),
                "uncertainty": None
                if face.uncertainty is None
                else face.uncertainty.round(DECIMALS).tolist(),
            }
            for face in faces
        ],
    }
    for face in faces:
        image = draw_landmarks(
            image, face.landmarks, detector.info.contours, uncertainty=face.uncertainty
        )
    write_image(out / f"{file.stem}.png", image)
    write_json(out / f"{file.stem}.json", content)
