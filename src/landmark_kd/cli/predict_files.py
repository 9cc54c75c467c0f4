"""The files that `landmark-kd predict` is to do, and what speaks against their results' names."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from landmark_kd.cli.predict_results import TABLE, pts_name
from landmark_kd.core.errors import UserError
from landmark_kd.core.names import LONGEST_NAME, fault_of_name, fold
from landmark_kd.imaging.images import IMAGE_SUFFIXES
from landmark_kd.imaging.video import VIDEO_SUFFIXES

# Images that OpenCV does not decode: of phones, raw ones of cameras, and others.
OTHER_IMAGES = frozenset(
    (
        *(".heic", ".heif", ".heics", ".avifs", ".jxl", ".tga", ".ico", ".icns", ".svg", ".psd"),
        *(".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2", ".pef", ".srw", ".xcf"),
    )
)
SEEN_IMAGES = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix not in OTHER_IMAGES)


class Found(NamedTuple):
    """A file to do, and the folder within the output's that its results belong in."""

    path: Path
    folder: Path


def find_files(given: Iterable[Path], out: Path, *, recursive: bool) -> list[Found]:
    """Return the files to do, folders replaced by what is in them, each once.

    Hidden files, as AppleDouble's `._a.jpg`, do not count unless they are named themselves; nor
    does `out` where it lies in a folder that is searched. Prints which images are passed over.

    Raises:
        UserError: a folder holds neither images nor videos.
    """
    files: dict[Path, Found] = {}
    for path in given:
        found = [Found(path, Path())]
        if path.is_dir():
            found, others = [], Counter[str]()
            for folder in _folders(path, out.resolve()) if recursive else [path]:
                for file in sorted(folder.iterdir()):
                    suffix = file.suffix.lower()
                    if file.name.startswith(".") or not file.is_file():
                        continue
                    if suffix in SEEN_IMAGES + VIDEO_SUFFIXES:
                        found.append(Found(file, folder.relative_to(path)))
                    elif suffix in OTHER_IMAGES:
                        others[suffix] += 1
            passed = _passed_over(path, others)
            if not found:
                below = "" if recursive else " (its subfolders are looked into with --recursive)"
                raise UserError(
                    f"the folder {path} holds no images ({', '.join(SEEN_IMAGES)}) and no "
                    f"videos{below}; {passed}give a folder that does, or the files themselves."
                )
            if passed:
                print(f"note: {passed.removesuffix('; ')}", file=sys.stderr, flush=True)
        for one in found:
            files.setdefault(one.path.resolve(), one)
    return list(files.values())


def _folders(folder: Path, out: Path) -> Iterator[Path]:
    """Yield a folder and all below it, through links, but for hidden ones and `out`."""
    yield folder
    above = {folder.resolve(), *folder.resolve().parents}
    for child in sorted(folder.iterdir()):
        if not child.is_dir() or child.name.startswith("."):
            continue
        # A link to a folder above would lead here again and again.
        if child.resolve() not in {*above, out}:
            yield from _folders(child, out)


def _passed_over(folder: Path, others: Counter[str]) -> str:
    if not others:
        return ""
    count = others.total()
    kinds = ", ".join(f"{number} {suffix}" for suffix, number in sorted(others.items()))
    return (
        f"{folder}: {count} image{'s' * (count > 1)} not looked at ({kinds}), which OpenCV cannot "
        "read: convert to JPEG or PNG; "
    )


def check_out(out: Path, files: list[Found], formats: list[str]) -> None:
    """Refuse, before any work, what would overwrite an image or one result with another.

    Raises:
        UserError: the sentence names both.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; give a folder for the results.")
    if {"csv", "pts"} <= set(formats):
        raise UserError(
            "--format csv and pts in one folder are two data sets of the same faces, which "
            "`landmark-kd data` refuses; run the command once for each with different --out."
        )
    holding = {file.path.resolve().parent: file.path for file in reversed(files)}
    results: dict[str, Path] = {}
    for path, folder in files:
        into = out / folder
        if into.resolve() in holding:
            raise UserError(
                f"--out {out} is the folder of {holding[into.resolve()]}, where results could "
                "overwrite it; give another folder."
            )
        # Some file systems do not tell a.png from A.png, or two Unicode forms of one name.
        other = results.setdefault(fold(str(folder / path.stem)), path)
        if other is not path:
            suffix = "mp4" if is_video(path) else "json"
            raise UserError(
                f"{other} and {path} would both be written to {into / path.stem}.{suffix}; "
                "rename one, or do them in two runs with different --out."
            )
        if "csv" in formats and is_video(path) and fold(str(folder / f"{path.stem}.csv")) == TABLE:
            raise UserError(
                f"{path} would be written to {out / TABLE}, as would the table of the images; "
                "rename it, or do it in a run of its own with another --out."
            )
        if "pts" in formats and not is_video(path):
            _check_pts(into, path)
    if "pts" in formats:
        for path, folder in files:
            face = re.fullmatch(r"(.+)_face[0-9]+", fold(str(folder / path.stem)))
            other = results.get(face[1], path) if face else path
            if other is not path:
                raise UserError(
                    f"{path} has the name that another face of {other} would have; rename it, or "
                    "do them in two runs with different --out."
                )


def _check_pts(into: Path, path: Path) -> None:
    """Refuse to overwrite landmarks that somebody may have corrected by hand."""
    for number in (1, 2):
        result = into / f"{pts_name(path.stem, number)}.pts"
        if os.path.lexists(result):
            raise UserError(
                f"{result} is there already, and may have been corrected by hand; give another "
                "--out, or remove it."
            )


def check_name(file: Found, formats: list[str]) -> None:
    """Refuse a file whose results would have names that are of no use elsewhere.

    Raises:
        UserError: the sentence names file or folder.
    """
    path, folder = file
    for part in folder.parts:
        if fault := fault_of_name(part):
            raise UserError(
                f"{path} lies in the folder {part}, a name that {fault}, and so would the folder "
                "of its results have; rename the folder and run the command again."
            )
    if fault := fault_of_name(path.name):
        raise UserError(
            f"{path} has a name that {fault}, and so would its results have; rename the file "
            "and run the command again."
        )
    # Hundreds of faces are found in photos of crowds.
    several = "pts" in formats and not is_video(path)
    result = f"{pts_name(path.stem, 100)}.pts" if several else f"{path.stem}.json"
    if len(os.fsencode(result)) > LONGEST_NAME:
        raise UserError(f"{path} has a name that is too long for {result}; shorten it.")


def is_video(path: Path) -> bool:
    """Tell by its ending whether a file is a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES
