"""An exported network: its file opened, crops cut for it, and run, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnxruntime

from landmark_kd.core.errors import UserError, is_out_of_memory
from landmark_kd.imaging.crops import sample
from landmark_kd.inference.metadata import (
    INPUT_NAME,
    LARGEST_NUMBER,
    OUTPUT_NAME,
    SIGMA_NAME,
    ModelInfo,
)
from landmark_kd.inference.shipped import shipped_model
from landmark_kd.landmarks import geometry, uncertainty

# Faces of one run: with the shipped network a face takes 15 MB in it, and more faces at once are
# slower, as if what a run works on no longer fitted the processor's cache. One thread of a busy AMD
# EPYC, ms of processor time a face at 1, 4, 8, 16 and 32 faces: 4.3, 4.4, 4.9, 5.5 and 5.8.
MOST_AT_ONCE = 8


class Predictions(NamedTuple):
    """Landmarks (M, K, 2) and sigmas (M, K) or None, in pixels; trust (M,) in the faces."""

    landmarks: np.ndarray
    sigma: np.ndarray | None
    trust: np.ndarray

    def at(self, rows: np.ndarray) -> Predictions:
        """Return those of some faces: their rows, or a bool for each."""
        sigma = None if self.sigma is None else self.sigma[rows]
        return Predictions(self.landmarks[rows], sigma, self.trust[rows])

    def replaced(self, rows: np.ndarray, others: Predictions) -> Predictions:
        """Return these with others in place of those of the faces at rows."""
        landmarks, trust = self.landmarks.copy(), self.trust.copy()
        landmarks[rows], trust[rows] = others.landmarks, others.trust
        sigma = self.sigma
        if sigma is not None and others.sigma is not None:
            sigma = sigma.copy()
            sigma[rows] = others.sigma
        return Predictions(landmarks, sigma, trust)


class ExportedNetwork:
    """The network of an ONNX file of the `export` stage.

    Args:
        model: the file, its content, or the name of a network that comes with the package.
        source: what names it in messages.
        threads: CPU threads of one prediction; None leaves their number to onnxruntime.

    Attributes:
        info: what the ONNX file says about itself: point names, contours, data set, licence, …
        source: which network it is.

    Raises:
        UserError: it is missing, no ONNX file, not one of landmark-kd, or does not fit what it
            says of itself.
    """

    def __init__(self, model: Path | bytes | str, source: str, threads: int | None) -> None:
        self._open(model, source, threads)

    def __getstate__(self) -> dict[str, Any]:
        # onnxruntime's session cannot be copied; the copy opens the same file or bytes again.
        return {"opened": self._opened}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._open(*state["opened"])

    def _open(self, model: Path | bytes | str, source: str, threads: int | None) -> None:
        """Make the session of a file, of one in memory, or of a shipped one."""
        if isinstance(model, Path) and not model.is_file():
            raise UserError(
                f"the model {source} is missing; make it with `make repro`, or name another one."
            )
        content = shipped_model(model) if isinstance(model, str) else model
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: they reach the user as ours
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
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
        self.info = info
        mean, std = (np.array(values, dtype=np.float32) for values in (info.mean, info.std))
        # What each value of a pixel is to the network, for each channel.
        self._normalised = ((np.arange(256, dtype=np.float32)[:, None] - mean) / std).T.copy()
        self.source = source
        self._opened = model, source, threads
        self._session = session
        self._outputs = [OUTPUT_NAME] if info.regions is None else [OUTPUT_NAME, SIGMA_NAME]

    def network_inputs(
        self, image: np.ndarray, boxes: np.ndarray, rolls: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cut crops out of an image, as the network sees them; first half of `detect`.

        Args:
            image: (H, W, 3) uint8 BGR.
            boxes: (M, 4).
            rolls: (M,) radians by which they are turned; none by default.

        Returns:
            inputs: (M, 3, S, S) float32, normalised.
            to_crop: (M, 2, 3) maps from the image's pixels to the crops'.
        """
        rolls = np.zeros(len(boxes)) if rolls is None else rolls
        return self._inputs([image] * len(boxes), boxes, rolls)

    def _inputs(
        self, images: Sequence[np.ndarray], boxes: np.ndarray, rolls: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what `network_inputs` does, of boxes in an image each."""
        info = self.info
        size = info.input_size
        to_crop = np.array(
            [
                geometry.square_crop(box, info.margin, size, roll)
                for box, roll in zip(boxes, rolls, strict=True)
            ]
        ).reshape(-1, 2, 3)
        crops = np.array(
            [sample(image, matrix, size) for image, matrix in zip(images, to_crop, strict=True)],
            dtype=np.uint8,
        )
        inputs = np.empty((len(crops), 3, size, size), np.float32)
        for crop, planes in zip(crops, inputs, strict=True):
            for channel in range(3):  # RGB of BGR
                planes[channel] = cv2.LUT(crop[..., 2 - channel], self._normalised[channel])
        return inputs, to_crop

    def run_network(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the landmarks (M, K, 2) float32, network coordinates, of `network_inputs`.

        And sigma (M, K) float32, shares of the crop's side, None of files that do not say it.

        Raises:
            UserError: the network cannot be run, or gives something else.
        """
        if len(inputs) == 0:  # which onnxruntime cannot reshape
            landmarks = np.empty((0, self.info.points, 2), np.float32)
            return landmarks, None if self.info.regions is None else landmarks[..., 0]
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

    def predict(
        self, images: Sequence[np.ndarray], boxes: np.ndarray, rolls: np.ndarray
    ) -> Predictions:
        """Predict boxes (M, 4) in an image each, in its pixels, MOST_AT_ONCE in a run."""
        if len(boxes) == 0:
            return Predictions(np.empty((0, self.info.points, 2)), None, np.empty(0))
        parts = [slice(start, start + MOST_AT_ONCE) for start in range(0, len(boxes), MOST_AT_ONCE)]
        found = [self._predict(images[part], boxes[part], rolls[part]) for part in parts]
        landmarks, sigmas, trust = zip(*found, strict=True)
        told = [sigma for sigma in sigmas if sigma is not None]
        sigma = np.concatenate(told) if told else None
        return Predictions(np.concatenate(landmarks), sigma, np.concatenate(trust))

    def _predict(
        self, images: Sequence[np.ndarray], boxes: np.ndarray, rolls: np.ndarray
    ) -> Predictions:
        inputs, to_crop = self._inputs(images, boxes, rolls)
        landmarks, sigma = self.run_network(inputs)
        in_crop = geometry.from_network(landmarks.astype(np.float64), self.info.input_size)
        in_image = geometry.apply(geometry.invert(to_crop), in_crop)
        if sigma is None or self.info.typical_sigma is None:
            return Predictions(in_image, None, np.ones(len(boxes)))
        trust = uncertainty.trust(sigma.astype(np.float64), self.info.typical_sigma)
        pixels = self.info.input_size / geometry.scale(to_crop)
        return Predictions(in_image, sigma * pixels[:, None], trust)


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


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
