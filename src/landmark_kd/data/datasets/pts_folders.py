"""Data sets that are folders of images with a .pts file beside each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord, Layout, Part
from landmark_kd.data.datasets.layout import check_folder
from landmark_kd.data.datasets.pts import read_pts
from landmark_kd.imaging.images import ImageFile

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
LANDMARKS_SUFFIX = ".pts"
# The iBUG group also hands out mirrored copies of its images; augmentation mirrors here.
MIRRORED_ENDING = "_mirror"


# From a face's part and file stem to what names its photo within the set.
PhotoOf = Callable[[Part, str], str]


def pts_folders(photo: PhotoOf) -> Layout:
    """Return the layout of a data set whose parts are folders of images and .pts files.

    It reads all parts that are on disk, parts in order, faces by name.
    """

    def read(dataset: Dataset, folder: Path, bad: BadFaces) -> Iterator[FaceRecord]:
        check_layout(dataset, folder)
        for part in dataset.parts:
            yield from _read_part(dataset, part, folder, bad, photo)

    return Layout(check_layout, _files, read)


def check_layout(dataset: Dataset, folder: Path) -> None:
    """Check that a folder holds faces of both splits in a data set's layout.

    Raises:
        UserError: it does not; the sentence says what was expected and, where a folder beside or
            within it fits, which.
    """
    layout = f"the folders {_listed(part.folder for part in dataset.parts)}"
    check_folder(dataset, folder, layout, lambda other: _holds_parts(dataset, other))
    source = f"; {dataset.source}" if dataset.source else ""
    for split in ("train", "test"):
        parts = [part for part in dataset.parts if part.split == split]
        if not any(part_files(folder, part) for part in parts):
            wanted = _listed(p.folder for p in parts)
            raise UserError(
                f"{folder} holds no {split} faces: images with .pts files beside them are "
                f"looked for in {wanted}{source}."
            )


def part_files(folder: Path, part: Part) -> list[Path]:
    """The images and .pts files of a part, sorted; none where the part is not on disk."""
    path = folder / part.folder
    return files_in(path) if path.is_dir() else []


def files_in(path: Path) -> list[Path]:
    """The images and .pts files that lie in a folder itself, sorted."""
    return sorted(
        file
        for file in path.iterdir()
        if file.suffix.lower() in (*IMAGE_SUFFIXES, LANDMARKS_SUFFIX)
        and not file.stem.endswith(MIRRORED_ENDING)
        and not file.name.startswith(".")
        and file.is_file()
    )


def by_stem(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Put files of one folder together that share a name but for its suffix: a face's."""
    faces: dict[str, list[Path]] = {}
    for file in files:
        faces.setdefault(file.stem, []).append(file)
    return faces


def image_and_pts(files: list[Path]) -> tuple[Path, Path]:
    """Return image and .pts file of one face from the files that share its name.

    Raises:
        UserError: one of them is missing, or there are two images.
    """
    landmarks = [file for file in files if file.suffix.lower() == LANDMARKS_SUFFIX]
    images = [file for file in files if file not in landmarks]
    if not landmarks:
        raise UserError(f"the image {images[0]} has no {files[0].stem}.pts beside it.")
    if not images:
        raise UserError(f"{landmarks[0]} has no image ({', '.join(IMAGE_SUFFIXES)}) beside it.")
    if len(files) > 2:
        raise UserError(f"{_listed(map(str, files))} have one name, but a face is two files.")
    return images[0], landmarks[0]


def _files(dataset: Dataset, folder: Path) -> list[Path]:
    return [file for part in dataset.parts for file in part_files(folder, part)]


def _read_part(
    dataset: Dataset, part: Part, folder: Path, bad: BadFaces, photo: PhotoOf
) -> Iterator[FaceRecord]:
    for stem, files in by_stem(part_files(folder, part)).items():
        try:
            image, landmarks = image_and_pts(files)
            record = FaceRecord(
                name=f"{part.folder}/{stem}",
                image=ImageFile(image),
                landmarks=read_pts(landmarks, dataset.points),
                photo=photo(part, stem),
                part=part,
            )
        except UserError as error:
            bad.add(part, error)
        else:
            yield record


def _holds_parts(dataset: Dataset, folder: Path) -> bool:
    return any((folder / part.folder).is_dir() for part in dataset.parts)


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
