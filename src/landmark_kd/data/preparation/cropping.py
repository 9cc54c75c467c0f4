"""Cuts faces out of their images, in the boxes that `crop.box` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landmark_kd.config.params import CropParams
from landmark_kd.core.errors import UserError
from landmark_kd.core.parallel import threaded_map
from landmark_kd.data.datasets.base import FaceRecord, Part, check_landmarks
from landmark_kd.imaging import face_detector
from landmark_kd.imaging.crops import sample
from landmark_kd.imaging.face_detector import BoxInHaar, haar_box, in_haar, typical_box_in_haar
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import LandmarkScheme

# Train faces on which the place of the box in a detector's box is measured.
FACES_MEASURED = 200


def measure_box_in_haar(records: Sequence[FaceRecord], crop: CropParams) -> BoxInHaar | None:
    """Find out where the box of `crop.box` lies in OpenCV's Haar boxes, on some train faces.

    For `detector`, whose boxes are meant to stand in for them, it is the landmarks' box. Faces
    that cannot be read are passed over here; they are told of when they are cut.
    """
    step = max(1, -(-len(records) // FACES_MEASURED))

    def measure(record: FaceRecord) -> np.ndarray | None:
        box = _given_box(record, crop)
        try:
            found = haar_box(record.image.read(), box)
        except (UserError, ValueError):  # no image, or a box without extent
            return None
        return None if found is None else in_haar(box, found)

    measured = threaded_map(measure, records[::step])
    return typical_box_in_haar([relative for relative in measured if relative is not None])


@dataclass(frozen=True)
class Crop:
    """A face cut out of its image in one size.

    Attributes:
        image: (S, S, 3) uint8 RGB, the crop and its border.
        crop_map: (2, 3) from the image's pixels to the crop's.
    """

    image: np.ndarray
    crop_map: np.ndarray


@dataclass(frozen=True)
class CroppedFace:
    """A face that was cut out of its image.

    Attributes:
        record: as the data set gives it.
        crops: of the same box, one for each of the cropper's.
        found: False where the detector was asked for the box and did not find the face.
    """

    record: FaceRecord
    crops: tuple[Crop, ...]
    found: bool


@dataclass(frozen=True)
class Cropper:
    """Cuts faces out of their images.

    Attributes:
        scheme: of the landmarks.
        crops: box, margin and size of the crops; several differ in size alone.
        box_in_haar: where the crop's box lies in a Haar box, None where that is not known.
    """

    scheme: LandmarkScheme
    crops: tuple[CropParams, ...]
    box_in_haar: BoxInHaar | None

    def __call__(self, records: Sequence[FaceRecord]) -> list[CroppedFace | tuple[Part, UserError]]:
        """Cut the faces of one image, which is read once; bad ones come back as errors."""
        try:
            image = records[0].image.read()
        except UserError as error:
            return [(record.part, error) for record in records]
        return [self._cut(record, image) for record in records]

    def _cut(self, record: FaceRecord, image: np.ndarray) -> CroppedFace | tuple[Part, UserError]:
        height, width = image.shape[:2]
        try:
            check_landmarks(record, self.scheme, width=width, height=height)
        except UserError as error:
            return record.part, error
        box, found = self._box(record, image)
        return CroppedFace(record, tuple(crop_face(image, box, crop) for crop in self.crops), found)

    def _box(self, record: FaceRecord, image: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return the box to cut, and whether the detector found the face (where it is asked)."""
        box = _given_box(record, self.crops[0])
        if self.crops[0].box != "detector":
            return box, True
        found = haar_box(image, box)
        if found is None:
            return box, False
        return face_detector.landmark_boxes(
            found[None], self.box_in_haar or face_detector.LANDMARK_BOX
        )[0], True


def stored_border(crop: CropParams) -> int:
    """Whole pixels stored on each side of the crop."""
    return round(crop.resolution * (crop.context - 1) / 2)


def stored_shape(crop: CropParams) -> tuple[int, int, int]:
    """Return the shape of a stored image, the crop and its border."""
    side = crop.resolution + 2 * stored_border(crop)
    return side, side, 3


def crop_face(image: np.ndarray, box: np.ndarray, crop: CropParams) -> Crop:
    """Cut a box out of an image (H, W, 3) BGR.

    The crop has its border around it, and is itself exactly the inner part.
    """
    border = stored_border(crop)
    crop_map = geometry.square_crop(box, crop.margin, crop.resolution)
    beside_border = np.array([[1, 0, border], [0, 1, border]], dtype=np.float64)
    side = stored_shape(crop)[0]
    stored = sample(image, geometry.compose(beside_border, crop_map), side)[..., ::-1]
    return Crop(stored, crop_map)


def _given_box(record: FaceRecord, crop: CropParams) -> np.ndarray:
    """Return the data set's box or the landmarks' one, by `crop.box`."""
    if crop.box != "dataset":
        return geometry.landmarks_box(record.landmarks) if record.whole is None else record.whole
    if record.box is None:
        raise UserError(
            f"crop.box is dataset, but {record.name} has no box; take landmarks or detector."
        )
    return record.box
