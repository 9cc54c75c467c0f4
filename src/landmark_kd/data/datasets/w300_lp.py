"""300W-LP and AFLW2000-3D: folders of photos whose landmarks lie in Matlab files.

300W-LP has the photos of 300-W, each turned to further poses by a face model, and is for training;
AFLW2000-3D has 2000 photos of AFLW, and is for tests. In both the 68 landmarks are those of a face
model that was fitted to the photo, so points 0-16 follow the cheek even where the face hides it.

    AFW/AFW_134212_1_0.jpg                    image; _0 is the photo, _1, … are turned
    landmarks/AFW/AFW_134212_1_0_pts.mat      pts_3d (68, 2): x, y
    AFLW2000/image00002.jpg, image00002.mat   pt3d_68 (3, 68): x, y, depth

Not read are `pt2d` of the .mat files beside the images of 300W-LP, which are the landmarks of the
photo before it was turned; `pts_2d`, which follow the visible outline; and the folders AFW_Flip, …
of mirrored copies, since augmentation mirrors here. Pixels count from 1, as Matlab shows them.

Source: Zhu et al., "Face Alignment Across Large Poses: A 3D Solution", CVPR 2016. Layout and
counts: tensorflow_datasets `the300w_lp`; pixels from 1: 3DDFA_V2's `similar_transform`, whose face
model is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.core.names import existing
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord, Part
from landmark_kd.data.datasets.layout import check_folder
from landmark_kd.data.datasets.matlab import numeric_arrays
from landmark_kd.data.datasets.pts import FIRST_PIXEL
from landmark_kd.data.datasets.pts_folders import without_face_number
from landmark_kd.imaging.images import ImageFile
from landmark_kd.landmarks.scheme import IBUG_68

NAME = "300w_lp"
# The folder that 300W-LP's archive holds; its parts may also lie in the data set's folder itself.
TRAIN_FOLDERS = ("", "300W_LP", "300W-LP")
# AFLW2000-3D may be the data set's folder itself.
TEST_FOLDERS = ("AFLW2000", "AFLW2000-3D", "300W_LP/AFLW2000", "")
LANDMARKS = "landmarks"
# Variables of landmarks, in files for them alone and in those beside the images.
LANDMARKS_VARIABLE, IMAGE_VARIABLE = "pts_3d", "pt3d_68"
SHAPES = {(68, 2), (68, 3), (2, 68), (3, 68)}
# Bytes of a file; the largest has some thousand. More is another thing, or made to fill the memory.
LARGEST = 2**20


class W300Lp(Dataset):
    """300W-LP for training, AFLW2000-3D for tests; parts in order, faces by name.

    One of the two is enough to be looked at or evaluated on.
    """

    def check(self, folder: Path) -> None:
        names = ", ".join(part.folder for part in self.parts)
        layout = f"the folders {names} of images (.jpg) with .mat files beside them"
        check_folder(
            self, folder, layout, lambda other: any(_images(other, part) for part in self.parts)
        )

    def files(self, folder: Path) -> list[Path]:
        """Return the images and the .mat files that go with them."""
        return [
            file
            for part in self.parts
            for image in _images(folder, part)
            for file in (image, *_landmark_files(image))
            if file.is_file()
        ]

    def read(self, folder: Path, bad: BadFaces) -> Iterator[FaceRecord]:
        self.check(folder)
        for part in self.parts:
            for image in _images(folder, part):
                try:
                    landmarks = _landmarks(image)
                except UserError as error:
                    bad.add(part, error)
                    continue
                yield FaceRecord(
                    name=f"{part.folder}/{image.stem}",
                    image=ImageFile(image),
                    landmarks=landmarks,
                    photo=_photo(part, image.stem),
                    part=part,
                )


def _images(folder: Path, part: Part) -> list[Path]:
    """Return the images of a part, sorted; none where it is not on disk."""
    if part.split == "train":
        places = [existing(folder, str(Path(place, part.folder))) for place in TRAIN_FOLDERS]
    else:
        places = [existing(folder, place) if place else folder for place in TEST_FOLDERS]
    for place in places:
        if not place.is_dir():
            continue
        files = [file for file in sorted(place.iterdir()) if not file.name.startswith(".")]
        images = [file for file in files if file.suffix.lower() == ".jpg"]
        matlab = [file for file in files if file.suffix == ".mat"]
        # Anybody's folder may hold images and .mat files.
        if images and matlab and (place != folder or _has_landmarks(matlab[0])):
            return images
    return []


def _photo(part: Part, stem: str) -> str:
    """Return what the faces of one photo share: AFW_134212 of AFW_134212_1_0, its face 1 as it is.

    The last number is the pose, the one before it, but in LFPW, the face's.
    """
    if part.split == "train":
        stem = without_face_number(stem.rpartition("_")[0] or stem)
    return f"{part.folder}/{stem}"


def _landmark_files(image: Path) -> dict[Path, str]:
    """Return the files that may have an image's landmarks, and the variable that has them."""
    apart = image.parent.parent / LANDMARKS / image.parent.name / f"{image.stem}_pts.mat"
    return {apart: LANDMARKS_VARIABLE, image.with_suffix(".mat"): IMAGE_VARIABLE}


def _landmarks(image: Path) -> np.ndarray:
    """Return the landmarks (68, 2) float64 of an image, 0-based pixels.

    Raises:
        UserError: no file has them, or one is damaged.
    """
    files = _landmark_files(image)
    for file, variable in files.items():
        if file.is_file():
            points = _read(file, variable)
            if points is not None:
                return points
    looked = " or ".join(f"{variable} in {file}" for file, variable in files.items())
    raise UserError(
        f"the image {image} has no landmarks: {looked} was expected; pt2d is not read, which is of "
        "the photo before it was turned."
    )


def _has_landmarks(file: Path) -> bool:
    try:
        return _read(file, IMAGE_VARIABLE) is not None
    except UserError:
        return False


def _read(file: Path, variable: str) -> np.ndarray | None:
    """Return the landmarks (68, 2) in a variable of a Matlab file, None where it has no such.

    Raises:
        UserError: the file is damaged, or the variable is not 68 finite points.
    """
    if file.stat().st_size > LARGEST:
        raise UserError(f"{file} is larger than {LARGEST} bytes, so it is not of {NAME}.")
    try:
        values = dict(numeric_arrays(file.read_bytes(), LARGEST)).get(variable)
    except ValueError as error:
        raise UserError(f"{file} {error}.") from None
    if values is None:
        return None
    if values.shape not in SHAPES:
        raise UserError(f"{file}: {variable} is {values.shape}, but 68 points were expected.")
    if not np.isfinite(values).all():
        raise UserError(f"{file}: {variable} holds something that is not a finite number.")
    points = values.astype(np.float64) - FIRST_PIXEL
    return points[:, :2] if len(points) == IBUG_68.points else points[:2].T


W300_LP = W300Lp(
    name=NAME,
    scheme=IBUG_68,
    parts=(
        Part("AFW", "train", "train", 5207),
        Part("HELEN", "train", "train", 37676),
        Part("IBUG", "train", "train", 1786),
        Part("LFPW", "train", "train", 16556),
        Part("AFLW2000", "test", "aflw2000", 2000),
    ),
    source=(
        "300W-LP and AFLW2000-3D (for research only) come from "
        "http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm"
    ),
    licence=(
        "Trained on 300W-LP (http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm), "
        "which is made of 300-W: for research only, no commercial use."
    ),
    notes=(
        "points 0-16 follow the cheek even where the face hides it, not the visible outline as in "
        "300-W; the photos of 300-W's test faces are among the train faces",
    ),
)
