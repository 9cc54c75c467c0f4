"""Landmarks of the faces in an image, from an exported ONNX file and without torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnxruntime

from landmark_kd import __version__
from landmark_kd.core.errors import UserError, is_out_of_memory
from landmark_kd.imaging import face_detector
from landmark_kd.imaging.crops import sample
from landmark_kd.inference.metadata import (
    INPUT_NAME,
    LARGEST_NUMBER,
    OUTPUT_NAME,
    SIGMA_NAME,
    ModelInfo,
)
from landmark_kd.landmarks import geometry, uncertainty

# The network that comes with the package, a file in its folder `assets`; docs/model_card.md says
# what it was trained on and what it is worth.
SHIPPED_MODEL = "landmarks_68.onnx"

# The first prediction's box replaces the detector's where its side is within this factor of it;
# beyond, the prediction has gone wrong and would lead the second one astray.
LARGEST_REFINEMENT = 1.5


@dataclass(frozen=True)
class Face:
    """One face, in the pixels of the image given (centres at integers, x right, y down).

    Attributes:
        box: (4,) float x0, y0, x1, y1, the box the landmarks were predicted in; given to
            `detect` again, it gives the same landmarks.
        landmarks: (K, 2) float.
        score: how sure it is that the landmarks lie on a face, 0 to 1: how sure the face detector
            was (see `imaging.face_detector.find_faces`; 1 for a box that was given), times how
            sure the network is (`landmarks.uncertainty.trust`).
        uncertainty: (K,) float, sigma of each landmark in pixels: half of all landmarks lie within
            1.18 sigma of the truth; `ModelInfo.region` has the multiples of other shares. None of
            files that do not say it.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    uncertainty: np.ndarray | None = None


class _Predictions(NamedTuple):
    """Landmarks (M, K, 2) and sigmas (M, K) or None, in pixels; trust (M,) in the faces."""

    landmarks: np.ndarray
    sigma: np.ndarray | None
    trust: np.ndarray


class LandmarkDetector:
    """Finds faces and their landmarks; made by `LandmarkDetector.load()`.

    Attributes:
        info: what the ONNX file says about itself: point names, contours, data set, licence, …
        source: which network it is: the path it was loaded from, or the shipped one's name.
    """

    def __init__(self, session: onnxruntime.InferenceSession, info: ModelInfo, source: str) -> None:
        self.info = info
        self.source = source
        self._session = session
        self._outputs = [OUTPUT_NAME] if info.regions is None else [OUTPUT_NAME, SIGMA_NAME]

    @classmethod
    def load(
        cls, path: str | Path | None = None, *, threads: int | None = None
    ) -> LandmarkDetector:
        """Open the network that comes with the package, or an ONNX file of the `export` stage.

        Args:
            path: of such a file; None is always the shipped network, whatever the folder holds.
            threads: CPU threads of one prediction; None leaves their number to onnxruntime.

        Raises:
            UserError: it is missing, no ONNX file, not one of landmark-kd, or does not fit what it
                says of itself.
        """
        if path is None:
            shipped = f"{SHIPPED_MODEL}, shipped with landmark-kd {__version__}"
            return cls.from_bytes(shipped_model(), shipped, threads=threads)
        path = Path(path)
        if not path.is_file():
            raise UserError(
                f"the model {path} is missing; make it with `make repro`, or name another one."
            )
        return cls._open(path, str(path), threads)

    @classmethod
    def from_bytes(
        cls, content: bytes, source: str, *, threads: int | None = None
    ) -> LandmarkDetector:
        """Open an ONNX file that is in memory; `source` names it, else as `load`."""
        return cls._open(content, source, threads)

    @classmethod
    def _open(cls, model: Path | bytes, source: str, threads: int | None) -> LandmarkDetector:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: they reach the user as ours
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            if is_out_of_memory(error):
                raise
            raise UserError(
                f"{source} is not an ONNX file that onnxruntime can read ({_first_line(error)}); "
                "make it again with `make repro`."
            ) from None
        try:
            info = ModelInfo.from_metadata(session.get_modelmeta().custom_metadata_map)
            _check_shapes(session, info)
        except ValueError as error:
            raise UserError(
                f"{source} {error}; give a file that the export stage of this project wrote."
            ) from None
        return cls(session, info, source)

    def detect(self, image: np.ndarray, boxes: np.ndarray | None = None) -> list[Face]:
        """Return the faces of an image; none is an empty list.

        Without `boxes` faces are looked for with OpenCV's Haar detector, whose boxes fit the
        landmarks loosely. A network that was trained on the landmarks' boxes predicts in them
        once, and once more in the box of that first prediction, which lies closer. Boxes that are
        given are taken as they are.

        Args:
            image: (H, W, 3) uint8 BGR as OpenCV reads it, or (H, W) uint8 grey.
            boxes: (M, 4) x0, y0, x1, y1 around the landmarks (68 points: brows to chin), in
                pixels of `image`; a face is returned for each, in this order.

        Raises:
            ValueError: `image` or `boxes` is not as said, or the model was trained on a data set's
                boxes, whose place in the detector's is not known, and `boxes` is None.
            UserError: the network cannot be run.
        """
        image = _checked_image(image)
        if boxes is not None:
            found = _checked_boxes(boxes)
            scores = np.ones(len(found))
            predicted = self._predict(image, found)
        else:
            if self.info.box == "dataset" and self.info.box_in_haar is None:
                raise ValueError(
                    f"the model was trained on the boxes of {self.info.dataset}; give boxes"
                )
            found, scores = face_detector.find_faces(
                image, self.info.box_in_haar or face_detector.LANDMARK_BOX
            )
            predicted = self._predict(image, found)
            if self.info.box == "landmarks":
                found = _refined(found, predicted.landmarks)
                predicted = self._predict(image, found)
        return [
            Face(
                found[i],
                predicted.landmarks[i],
                float(scores[i] * predicted.trust[i]),
                None if predicted.sigma is None else predicted.sigma[i],
            )
            for i in range(len(found))
        ]

    def network_inputs(self, image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cut crops out of an image, as the network sees them; first half of `detect`.

        Args:
            image: (H, W, 3) uint8 BGR.
            boxes: (M, 4) of M > 0 faces.

        Returns:
            inputs: (M, 3, S, S) float32, normalised.
            to_crop: (M, 2, 3) maps from the image's pixels to the crops'.
        """
        info = self.info
        to_crop = np.stack(
            [geometry.square_crop(box, info.margin, info.input_size) for box in boxes]
        )
        crops = np.stack([sample(image, matrix, info.input_size) for matrix in to_crop])
        rgb = crops[..., ::-1].astype(np.float32)
        mean, std = (np.array(values, dtype=np.float32) for values in (info.mean, info.std))
        inputs = (rgb - mean) / std
        return np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)), to_crop

    def run_network(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the landmarks (M, K, 2) float32, network coordinates, of `network_inputs`.

        And sigma (M, K) float32, shares of the crop's side, None of files that do not say it.

        Raises:
            UserError: the network cannot be run, or gives something else.
        """
        try:
            outputs = self._session.run(self._outputs, {INPUT_NAME: inputs})
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            if is_out_of_memory(error):
                raise
            why = f"cannot be run ({_first_line(error)})"
        else:
            landmarks, *sigma = map(np.asarray, outputs)
            expected = (len(inputs), self.info.points)
            unfit = [values.shape for values in sigma if values.shape != expected]
            if landmarks.shape != (*expected, 2) or unfit:
                shape = unfit[0] if unfit else landmarks.shape
                why = f"gives {shape} numbers for {len(inputs)} faces"
            # Written this way round, NaN fails, too.
            elif not (np.abs(landmarks) <= LARGEST_NUMBER).all():
                why = "gives landmarks that are not near the crop, or no numbers"
            elif not all(((v > 0) & (v <= LARGEST_NUMBER)).all() for v in sigma):
                why = "gives uncertainties that are no numbers above 0"
            else:
                return landmarks, sigma[0] if sigma else None
        raise UserError(f"{self.source} {why}; give a file that the export stage wrote.")

    def _predict(self, image: np.ndarray, boxes: np.ndarray) -> _Predictions:
        """Predict in pixels of `image`, all boxes (M, 4) in one run."""
        if len(boxes) == 0:
            return _Predictions(np.empty((0, self.info.points, 2)), None, np.empty(0))
        inputs, to_crop = self.network_inputs(image, boxes)
        landmarks, sigma = self.run_network(inputs)
        in_crop = geometry.from_network(landmarks.astype(np.float64), self.info.input_size)
        in_image = geometry.apply(geometry.invert(to_crop), in_crop)
        if sigma is None or self.info.typical_sigma is None:
            return _Predictions(in_image, None, np.ones(len(boxes)))
        trust = uncertainty.trust(sigma.astype(np.float64), self.info.typical_sigma)
        pixels = self.info.input_size / geometry.scale(to_crop)
        return _Predictions(in_image, sigma * pixels[:, None], trust)


def shipped_model() -> bytes:
    """Return the content of the ONNX file that comes with the package.

    Raises:
        UserError: it is not there.
    """
    shipped = resources.files("landmark_kd") / "assets" / SHIPPED_MODEL
    try:
        return shipped.read_bytes()
    except OSError:
        raise UserError(
            f"the network that comes with landmark-kd is missing: there is no {shipped}; install "
            "the package again, or name another model (--model FILE, LandmarkDetector.load(path))."
        ) from None


def _check_shapes(session: onnxruntime.InferenceSession, info: ModelInfo) -> None:
    """Raise ValueError where a network is not as its metadata says; see `from_metadata`."""
    found = {value.name: value.shape[1:] for value in session.get_inputs() + session.get_outputs()}
    size = info.input_size
    expected = {INPUT_NAME: [3, size, size], OUTPUT_NAME: [info.points, 2]}
    if info.regions is not None:
        expected[SIGMA_NAME] = [info.points]
    for name, shape in expected.items():
        if found.get(name) != shape:
            raise ValueError(
                f"has metadata of another network: {name} should be of shape (N, "
                f"{', '.join(map(str, shape))})"
            )


def _refined(boxes: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Return the landmarks' boxes (M, 4), or the detector's where those cannot be right."""
    tight = geometry.landmarks_box(landmarks)
    change = _sides(tight) / _sides(boxes)
    plausible = (change > 1 / LARGEST_REFINEMENT) & (change < LARGEST_REFINEMENT)
    return np.where(plausible[:, None], tight, boxes)


def _sides(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1)


def _checked_image(image: np.ndarray) -> np.ndarray:
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image must be a numpy array, but is {type(image).__name__}")
    colour = image.ndim == 3 and image.shape[2] == 3
    if image.dtype != np.uint8 or image.size == 0 or not (colour or image.ndim == 2):
        raise ValueError(
            "image must be (H, W, 3) uint8 BGR as cv2.imread gives it, or (H, W) grey, "
            f"but is {image.shape} {image.dtype}"
        )
    return image if colour else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)


def _checked_boxes(boxes: np.ndarray) -> np.ndarray:
    array = np.asarray(boxes, dtype=np.float64)
    if array.size == 0:
        return np.empty((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes must be (M, 4) x0, y0, x1, y1, but are {array.shape}")
    for row, box in enumerate(array):
        if not (np.isfinite(box).all() and (box[2:] > box[:2]).all()):
            raise ValueError(
                f"box {row} is {box.tolist()}, but must be finite with x0 < x1 and y0 < y1"
            )
    return array


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
