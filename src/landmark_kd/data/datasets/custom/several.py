"""Several files of annotations that are one data set, mostly one for each split."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from landmark_kd.data.datasets.custom.annotations import Annotations, CustomFace
from landmark_kd.data.datasets.custom.coco import read_coco
from landmark_kd.data.datasets.custom.config import FILE_COLUMN
from landmark_kd.data.datasets.custom.table import read_table


@dataclass(frozen=True)
class AnnotationsFile:
    """One of the files.

    Attributes:
        name: as landmark-kd.yaml has it, relative to that.
        images: the folder of its images, relative to that of all; empty where it is the same.
        content: what it holds.
    """

    name: str
    images: str
    content: Annotations


@dataclass(frozen=True)
class SeveralFiles:
    """The files, in order; `split.column` may be `annotations`, the file that a face is from."""

    files: Sequence[AnnotationsFile]

    @property
    def points(self) -> int:
        return self.files[0].content.points

    @property
    def names(self) -> tuple[str, ...] | None:
        names: tuple[str, ...] | None = getattr(self.files[0].content, "names", None)
        return names

    @property
    def skeleton(self) -> tuple[tuple[int, int], ...]:
        skeleton: tuple[tuple[int, int], ...] = getattr(self.files[0].content, "skeleton", ())
        return skeleton

    @property
    def has_boxes(self) -> bool:
        return all(file.content.has_boxes for file in self.files)

    def columns(self) -> dict[str, list[str]]:
        """Return the columns that all files have, and the file of each face."""
        columns = [file.content.columns() for file in self.files]
        shared = [name for name in columns[0] if all(name in other for other in columns)]
        found = {name: [value for one in columns for value in one[name]] for name in shared}
        files = [face.group or "" for face in self.faces(self.points, 0, FILE_COLUMN)]
        return {FILE_COLUMN: files, **found}

    def faces(
        self, points: int, first_pixel: int, column: str | None, missing: Collection[str] = ()
    ) -> list[CustomFace]:
        """Read all faces, files in order."""
        found = []
        for file in self.files:
            by_file = column == FILE_COLUMN
            faces = file.content.faces(points, first_pixel, None if by_file else column, missing)
            for face in faces:
                within = file.images and face.image
                image = f"{file.images}/{face.image}" if within else face.image
                group = file.name if by_file else face.group
                found.append(replace(face, image=image, group=group))
        return found


def read_annotations(path: Path) -> Annotations:
    """Read a COCO key-point file (.json) or a table (any other).

    Raises:
        UserError: it cannot be read as such.
    """
    return read_coco(path) if path.suffix.lower() == ".json" else read_table(path)
