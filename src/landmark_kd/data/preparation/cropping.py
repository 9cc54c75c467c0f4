"""Cuts faces out of their images, in the boxes that `crop.box` asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from landmark_kd.config.params import CropParams
from landmark_kd.core.errors import UserError
from landmark_kd.core.parallel import threaded_map
from landmark_kd.data.datasets.base import FaceRecord, Part, check_landmarks
from landmark_kd.data.preparation.detected import DetectedBoxes, TurnedBox, box_in_yunet
from landmark_kd.imaging.crops import sample
from landmark_kd.imaging.face_detector import RelativeBox, haar_box, in_units_of, typical_box
from landmark_kd.inference.face_detector import FaceDetector, make_detector
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import LandmarkScheme

# Train faces on which the place of the box in a detector's box is measured.
FACES_MEASURED = 200


def measure_boxes(records: Sequence[FaceRecord], crop: CropParams) -> DetectedBoxes:
    """Return the boxes of the face detector `crop.detector`, measured on some train faces.

    Raises:
        UserError: it is YuNet, whose file is not there and cannot be fetched.
    """
    if crop.detector == "haar":
        return DetectedBoxes(measure_box_in_haar(records, crop))
    yunet = make_detector("yunet", threads=1)
    return DetectedBoxes(
        measure_box_in_haar(records, crop), measure_box_in_yunet(records, crop, yunet), yunet
    )


def measure_box_in_haar(records: Sequence[FaceRecord], crop: CropParams) -> RelativeBox | None:
    """Find out where the box of `crop.box` lies in OpenCV's Haar boxes, on some train faces.

    For `detector`, whose boxes are meant to stand in for them, it is the landmarks' box. Faces
    that cannot be read are passed over here; they are told of when they are cut.
    """

    def measure(image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
        found = haar_box(image, box)
        return None if found is None else in_units_of(found, box)

    return _measured(records, crop, measure)


def measure_box_in_yunet(
    records: Sequence[FaceRecord], crop: CropParams, detector: FaceDetector
) -> RelativeBox | None:
    """Find out the same in the boxes of landmarks that YuNet tells, on upright faces."""
    return _measured(records, crop, partial(box_in_yunet, detector))


def _measured(
    records: Sequence[FaceRecord],
    crop: CropParams,
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray | None],
) -> RelativeBox | None:
    """Return the median of what is measured of an image and a box (4,), on some faces."""
    step = max(1, -(-len(records) // FACES_MEASURED))

    def measure_record(record: FaceRecord) -> np.ndarray | None:
        box = _given_box(record, crop)
        try:
            return measure(record.image.read(), box)
        except (UserError, ValueError):  # no image, or a box without extent
            return None

    measured = threaded_map(measure_record, records[::step])
    return typical_box([relative for relative in measured if relative is not None])


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
        detected: the boxes of a face detector, for crops whose box is detector.
    """

    scheme: LandmarkScheme
    crops: tuple[CropParams, ...]
    detected: DetectedBoxes

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

    def _box(self, record: FaceRecord, image: np.ndarray) -> tuple[TurnedBox, bool]:
        """Return the box to cut, and whether the detector found the face (where it is asked)."""
        box = _given_box(record, self.crops[0])
        if self.crops[0].box != "detector":
            return TurnedBox(box, 0.0), True
        found = self.detected.of_face(image, box)
        return (TurnedBox(box, 0.0), False) if found is None else (found, True)


def stored_border(crop: CropParams) -> int:
    """Whole pixels stored on each side of the crop."""
    return round(crop.resolution * (crop.context - 1) / 2)


def stored_shape(crop: CropParams) -> tuple[int, int, int]:
    """Return the shape of a stored image, the crop and its border."""
    side = crop.resolution + 2 * stored_border(crop)
    return side, side, 3


def crop_face(image: np.ndarray, box: TurnedBox, crop: CropParams) -> Crop:
    """Cut a box out of an image (H, W, 3) BGR.

    The crop has its border around it, and is itself exactly the inner part.
    """
    border = stored_border(crop)
    crop_map = geometry.square_crop(box.box, crop.margin, crop.resolution, box.roll)
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
