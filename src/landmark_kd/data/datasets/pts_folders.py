"""Data sets that are folders of images with a .pts file beside each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from landmark_kd.core.errors import UserError
from landmark_kd.core.names import absence, check_names, composed, existing, fold
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord, Part, Split
from landmark_kd.data.datasets.layout import check_folder
from landmark_kd.data.datasets.pts import FIRST_PIXEL, read_pts
from landmark_kd.imaging.images import IMAGE_SUFFIXES, WRITTEN_SUFFIXES, ImageFile

LANDMARKS_SUFFIX = ".pts"
# The iBUG group also hands out mirrored copies of its images; augmentation mirrors here.
MIRRORED_ENDING = "_mirror"


@dataclass(frozen=True, kw_only=True)
class PtsFolders(Dataset):
    """A data set whose parts are folders of images with a .pts file beside each of them.

    All parts that are on disk are read, parts in order, faces by name.

    Attributes:
        photo: what names a face's photo within the set, given the face's part and file stem.
    """

    photo: Callable[[Part, str], str]

    def check(self, folder: Path) -> None:
        layout = f"the folders {_listed(part.folder for part in self.parts)}"
        check_folder(self, folder, layout, self._is_in)
        source = f"; {self.source}" if self.source else ""
        for split in get_args(Split):
            parts = [part for part in self.parts if part.split == split]
            # Images alone are 300W-LP's, whose folders have the same names in capitals.
            if not any(_is_pts(file) for part in parts for file in _part_files(folder, part)):
                wanted = _listed(part.folder for part in parts)
                raise UserError(
                    f"{folder} holds no {split} faces: images with .pts files beside them are "
                    f"looked for in {wanted}{source}."
                )

    def files(self, folder: Path) -> list[Path]:
        files = [file for part in self.parts for file in _part_files(folder, part)]
        return [file for file in files if file.exists()]

    def read(self, folder: Path, bad: BadFaces) -> Iterator[FaceRecord]:
        self.check(folder)
        for part in self.parts:
            for stem, files in by_stem(_part_files(folder, part)).items():
                try:
                    image, landmarks = image_and_pts(files)
                    record = FaceRecord(
                        name=f"{part.folder}/{stem}",
                        image=ImageFile(image),
                        landmarks=read_pts(landmarks, self.points),
                        photo=self.photo(part, stem),
                        part=part,
                        where=str(landmarks),
                        first_pixel=int(FIRST_PIXEL),
                    )
                except UserError as error:
                    bad.add(part, error)
                else:
                    yield record

    def _is_in(self, folder: Path) -> bool:
        return any(_folder(folder, part).is_dir() for part in self.parts)


def without_face_number(stem: str) -> str:
    """Return a face's name without its number in the photo.

    AFW, HELEN and IBUG name the faces of one photo 111076519_1, 111076519_2, image_003_1.

    LFPW has one face for each photo, image_0001, whose number is the photo's: what remains of a
    name must still hold a number.
    """
    match = re.fullmatch(r"(.*\d) *_\d+", stem)
    return match[1] if match else stem


def files_in(path: Path) -> list[Path]:
    """Return the images and .pts files that lie in a folder itself, sorted.

    So are links whose files are not there; `image_and_pts` says so of them.

    Raises:
        UserError: one has a name that DVC cannot hold.
    """
    files = sorted(
        file
        for file in path.iterdir()
        if file.suffix.lower() in (*IMAGE_SUFFIXES, LANDMARKS_SUFFIX)
        and not file.stem.endswith(MIRRORED_ENDING)
        and not file.name.startswith(".")
        and (file.is_file() or (file.is_symlink() and not file.exists()))
    )
    check_names(path, files)
    return files


def by_stem(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files of each face: those of one folder that differ in their suffix alone.

    A.pts belongs to a.jpg where neither has another partner, and the Unicode form of a name (NFC
    or NFD) makes no difference.
    """
    faces: dict[str, list[Path]] = {}
    for file in files:
        faces.setdefault(composed(file.stem), []).append(file)
    alike: dict[str, list[str]] = {}
    for stem, (first, *others) in faces.items():
        if not others:
            alike.setdefault(fold(first.stem), []).append(stem)
    for stems in alike.values():
        if len(stems) == 2 and _is_pts(faces[stems[0]][0]) != _is_pts(faces[stems[1]][0]):
            faces[stems[0]] += faces.pop(stems[1])
    return faces


def image_and_pts(files: list[Path]) -> tuple[Path, Path]:
    """Return image and .pts file of one face from the files that share its name.

    Raises:
        UserError: one of them is missing, or there are two images.
    """
    for file in files:
        if not file.exists():
            raise UserError(f"{file} {absence(file)}.")
    landmarks = [file for file in files if _is_pts(file)]
    images = [file for file in files if file not in landmarks]
    if not landmarks:
        raise UserError(f"the image {images[0]} has no {files[0].stem}.pts beside it.")
    if not images:
        raise UserError(f"{landmarks[0]} has no image ({', '.join(IMAGE_SUFFIXES)}) beside it.")
    if len(images) > 1:
        # A phone's export has the same photo as .heic and .jpg.
        usual = [file for file in images if file.suffix.lower() in WRITTEN_SUFFIXES]
        images = usual if len(usual) == 1 else images
    if len(images) > 1 or len(landmarks) > 1:
        raise UserError(f"{_listed(map(str, files))} have one name, but a face is two files.")
    return images[0], landmarks[0]


def _is_pts(file: Path) -> bool:
    return file.suffix.lower() == LANDMARKS_SUFFIX


def _part_files(folder: Path, part: Part) -> list[Path]:
    """Return the images and .pts files of a part, sorted; none where it is not on disk."""
    path = _folder(folder, part)
    return files_in(path) if path.is_dir() else []


def _folder(folder: Path, part: Part) -> Path:
    """Return the folder of a part; one in other letter case only if .pts files lie in it."""
    path, other = folder / part.folder, existing(folder, part.folder)
    # 300W-LP has folders AFW, HELEN, … of its own.
    return other if other.is_dir() and any(map(_is_pts, other.iterdir())) else path


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
