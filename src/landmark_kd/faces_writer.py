"""Writes prepared faces in the students' and in the teachers' size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from landmark_kd import geometry
from landmark_kd.cutting import Crop, stored_shape
from landmark_kd.faces import TEACHER_PREFIX, FacesInfo, save_faces, save_same_faces
from landmark_kd.files import replaced_folder
from landmark_kd.growing_array import growing_array
from landmark_kd.params import CropParams


@dataclass(frozen=True)
class FacesWriter:
    """Writes the faces of one kind, such as train: first all pictures, then all else.

    Attributes:
        name: of the students' folder.
        folders: being written, the students' and the teachers'.
        crops: one, or two where the teachers' size is another.
    """

    name: str
    folders: tuple[Path, Path]
    crops: tuple[CropParams, ...]
    _maps: list[tuple[np.ndarray, ...]] = field(default_factory=list)

    @contextmanager
    def pictures(self) -> Iterator[Callable[[Sequence[Crop]], None]]:
        """Yield a function that appends the next face, its crops in the order of `crops`."""
        with ExitStack() as stack:
            appends = [
                stack.enter_context(growing_array(folder / "images.npy", stored_shape(crop)))
                for folder, crop in self._parts()
            ]

            def append(crops: Sequence[Crop]) -> None:
                for append_picture, crop in zip(appends, crops, strict=True):
                    append_picture(crop.image)
                self._maps.append(tuple(crop.crop_map for crop in crops))

            yield append

    def all_else(
        self,
        landmarks: np.ndarray,
        table: pd.DataFrame,
        info: FacesInfo,
        occluded: np.ndarray | None = None,
    ) -> None:
        """Write what belongs to the N pictures.

        Args:
            landmarks: (N, K, 2), pixels of the original pictures.
            table: a row a face.
            info: of the students' faces.
            occluded: (N, K) bool.
        """
        for number, (folder, crop) in enumerate(self._parts()):
            maps = np.array([maps[number] for maps in self._maps]).reshape(-1, 2, 3)
            of_size = replace(info, crop_size=crop.size, border=crop.border)
            save_faces(folder, landmarks, geometry.invert(maps), table, of_size, occluded=occluded)
        if len(self.crops) == 1:
            save_same_faces(self.folders[1], self.name, self.folders[0])

    def _parts(self) -> list[tuple[Path, CropParams]]:
        return list(zip(self.folders, self.crops, strict=False))


@contextmanager
def faces_writer(out: Path, name: str, crops: tuple[CropParams, ...]) -> Iterator[FacesWriter]:
    """Yield a writer of the folders `out`/name and `out`/teacher_name, put there on success."""
    with (
        replaced_folder(out / name) as students,
        replaced_folder(out / f"{TEACHER_PREFIX}{name}") as teachers,
    ):
        yield FacesWriter(name, (students, teachers), crops)
