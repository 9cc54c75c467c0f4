"""Writes prepared faces in the students' and in the teachers' size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from landmark_kd.config.params import CropParams
from landmark_kd.core.files import replaced_folder
from landmark_kd.data.preparation.cropping import Crop, stored_border, stored_shape
from landmark_kd.faces.info import FacesInfo
from landmark_kd.faces.prepared import TEACHER_PREFIX, save_faces, save_same_faces
from landmark_kd.landmarks import geometry


@dataclass(frozen=True)
class FacesWriter:
    """Writes the faces of one kind, such as train: first all images, then all else.

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
    def images(self) -> Iterator[Callable[[Sequence[Crop]], None]]:
        """Yield a function that appends the next face, its crops in the order of `crops`."""
        with ExitStack() as stack:
            appends = [
                stack.enter_context(growing_array(folder / "images.npy", stored_shape(crop)))
                for folder, crop in self._parts()
            ]

            def append(crops: Sequence[Crop]) -> None:
                for append_image, crop in zip(appends, crops, strict=True):
                    append_image(crop.image)
                self._maps.append(tuple(crop.crop_map for crop in crops))

            yield append

    def all_else(
        self,
        landmarks: np.ndarray,
        table: pd.DataFrame,
        info: FacesInfo,
        occluded: np.ndarray | None = None,
    ) -> None:
        """Write what belongs to the N images.

        Args:
            landmarks: (N, K, 2), pixels of the original images.
            table: a row a face.
            info: of the students' faces.
            occluded: (N, K) bool.
        """
        for number, (folder, crop) in enumerate(self._parts()):
            maps = np.array([maps[number] for maps in self._maps]).reshape(-1, 2, 3)
            of_size = replace(info, crop_size=crop.resolution, border=stored_border(crop))
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


@contextmanager
def growing_array(path: Path, row: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends a uint8 array of shape `row` to a .npy file.

    Written in order, since a full disk then ends in an error that can be told; writing through
    a memory map would kill the process. numpy leaves room in the header for a growing first
    axis, so the number of rows is put in at the end, when bad faces are known.
    """
    rows = 0
    with path.open("wb") as file:
        _write_header(file, (0, *row))
        data_start = file.tell()

        def append(values: np.ndarray) -> None:
            nonlocal rows
            assert (values.shape, values.dtype) == (row, np.uint8)
            file.write(values.tobytes())
            rows += 1

        yield append
        file.seek(0)
        _write_header(file, (rows, *row))
        assert file.tell() == data_start


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
