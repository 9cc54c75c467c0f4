"""Faces in a folder and its subfolders: images with a .pts file beside each of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.annotations import CustomFace, Marks, folder_of
from landmark_kd.data.datasets.custom.config import EMPTY
from landmark_kd.data.datasets.custom.two_folders import paired_across
from landmark_kd.data.datasets.pts import read_pts
from landmark_kd.data.datasets.pts_folders import (
    LANDMARKS_SUFFIX,
    by_stem,
    files_in,
    image_and_pts,
)


@dataclass(frozen=True)
class PtsTree:
    """A folder in which, at any depth, images and .pts files lie, side by side or in two folders.

    Hidden files and folders do not count, nor do the mirrored copies of the iBUG group
    (…_mirror.jpg).

    Attributes:
        folder: the folder.
        stems: files of each face, folders and names in order.
        across: how many of them have image and .pts file in two folders.
    """

    folder: Path
    stems: tuple[tuple[Path, ...], ...]
    across: int = 0

    @property
    def files(self) -> list[Path]:
        """The files that are there; links may lead nowhere."""
        return [file for files in self.stems for file in files if file.exists()]

    @property
    def points(self) -> int:
        files = [file for file in self.files if file.suffix.lower() == LANDMARKS_SUFFIX]
        refused = []
        for file in files:
            try:
                return len(read_pts(file, None))
            except UserError as error:
                refused.append(str(error))
        raise UserError(
            f"none of the {len(files)} .pts files below {self.folder} can be read; the first: "
            f"{refused[0]}"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of how the files were understood."""
        if not self.across:
            return ()
        image, landmarks = next(f for f in self.stems if len({file.parent for file in f}) > 1)
        return (
            f"{self.across} faces have image and .pts file in two folders, such as "
            f"{image.relative_to(self.folder)} and {landmarks.relative_to(self.folder)}",
        )

    @property
    def has_boxes(self) -> bool:
        return False

    def columns(self) -> dict[str, list[str]]:
        return {}

    def faces(
        self, points: int, first_pixel: int, column: str | None, missing: Collection[str] = ()
    ) -> list[CustomFace]:
        """Read all faces, folders and names in order; `column` is one of folders."""
        found = []
        for files in self.stems:
            image_name = None
            marks: Marks | UserError
            try:
                image, landmarks = image_and_pts(list(files))
                image_name = self._name(image)
                marks = Marks(read_pts(landmarks, points, first_pixel, missing=EMPTY in missing))
            except UserError as error:
                marks = error
            group = folder_of(self._name(files[0]), column) if column else None
            found.append(CustomFace(str(files[0]), image_name, group, marks))
        return found

    def _name(self, file: Path) -> str:
        return file.relative_to(self.folder).as_posix()


def read_pts_tree(folder: Path) -> PtsTree:
    """Find the images and .pts files below a folder.

    Raises:
        UserError: there is no .pts file.
    """
    stems = [
        tuple(files) for path in folders_below(folder) for files in by_stem(files_in(path)).values()
    ]
    joined, across = paired_across(
        stems, folder, lambda file: file.suffix.lower() != LANDMARKS_SUFFIX
    )
    tree = PtsTree(folder, tuple(joined), across)
    if not any(file.suffix.lower() == LANDMARKS_SUFFIX for file in tree.files):
        raise UserError(f"{folder} and its subfolders hold no .pts file beside an image.")
    return tree


def folders_below(folder: Path) -> Iterator[Path]:
    """Yield a folder and all below it in order, through links; hidden ones are left out."""
    yield folder
    above = {folder.resolve(), *folder.resolve().parents}
    for child in sorted(folder.iterdir()):
        # A link to a folder above would lead here again and again.
        if child.is_dir() and not child.name.startswith(".") and child.resolve() not in above:
            yield from folders_below(child)
