"""Exported files measured: distance of their landmarks from the network's, NME, and time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.export.formats import FORMATS
from landmark_kd.export.runs import Outputs, Run, normalized
from landmark_kd.faces.prepared import Faces
from landmark_kd.inference.metadata import ModelInfo
from landmark_kd.landmarks import metrics
from landmark_kd.landmarks.missing import mean_present

# Faces in memory at a time.
SEVERAL = 32
# Where there are no faces, files are compared on so many images of random colours.
RANDOM_IMAGES = 16
ROUNDS = 40
DECIMALS = 6
# Beyond it a person is told to ship float32, in percent of the normaliser.
LARGEST_RISE = 0.05


class Comparison:
    """Compares files with the network that they are made of, on all test faces.

    Args:
        reference: the network.
        info: what it says of itself.
        faces: None compares on images of random colours and measures no NME.

    Attributes:
        count: faces or images.
        nme: of the network, percent; NaN without faces.
    """

    def __init__(self, reference: Run, info: ModelInfo, faces: Faces | None) -> None:
        self.info, self.faces = info, faces
        self.count = RANDOM_IMAGES if faces is None else len(faces)
        self._expected = self._predict(reference)
        self.nme = np.nan if faces is None else nme(self._expected.landmarks, faces)

    def __call__(self, name: str, run: Run) -> dict[str, Any]:
        """Measure a format's file.

        Returns:
            max_difference_crop_px, mean_difference_crop_px: of landmarks from the network's.
            mean_sigma_difference_percent: of sigma, where there is any.
            nme: percent, where there are faces.

        Raises:
            UserError: the landmarks are further away than the format allows, or no numbers.
        """
        found, size = self._predict(run), self.info.input_size
        away = size * np.linalg.norm(found.landmarks - self._expected.landmarks, axis=-1)
        allowed = FORMATS[name].tolerance
        # Where there is no face heat maps are broad, and half precision moves single landmarks
        # by more than a pixel; a file that is wrong is wrong in the mean.
        far, how, what = (
            (away.max(), "up to", "test faces")
            if self.faces is not None
            else (away.mean(), "in the mean", "images of random colours")
        )
        # Written this way round, NaN fails, too.
        if not far < (np.inf if allowed is None else allowed):
            limit = f", allowed is {allowed:g}" if allowed is not None else ""
            raise UserError(
                f"the {name} file gives landmarks {how} {far:.4g} pixels of the crop away from the "
                f"network's on {self.count} {what}{limit}; it was not written. Check that the "
                "converter's version is one that docs/deploy.md names."
            )
        measured = {
            "max_difference_crop_px": float(away.max()),
            "mean_difference_crop_px": float(away.mean()),
        }
        if found.sigma is not None and self._expected.sigma is not None:
            change = np.abs(found.sigma / self._expected.sigma - 1)
            measured["mean_sigma_difference_percent"] = float(100 * change.mean())
        if self.faces is not None:
            measured["nme"] = nme(found.landmarks, self.faces)
        return {key: round(value, DECIMALS) for key, value in measured.items()}

    def milliseconds(self, runs: Mapping[str, Run]) -> dict[str, dict[str, float]]:
        """Time files in turn, one face and one thread each.

        Returns:
            {name: {median, p10, p90}} of ROUNDS runs, without cropping.
        """
        inputs = normalized(next(self._crops()), self.info)
        times: dict[str, list[float]] = {name: [] for name in runs}
        for i in range(ROUNDS + 5):  # the first ones warm up
            face = inputs[[i % len(inputs)]]
            for name, run in runs.items():
                start = time.perf_counter()
                run(face)
                times[name].append(1000 * (time.perf_counter() - start))
        quantiles = {name: np.quantile(t[5:], (0.5, 0.1, 0.9)) for name, t in times.items()}
        return {
            name: dict(zip(("median", "p10", "p90"), found.round(3).tolist(), strict=True))
            for name, found in quantiles.items()
        }

    def _predict(self, run: Run) -> Outputs:
        found = [run(normalized(crops, self.info)) for crops in self._crops()]
        sigma = [part.sigma for part in found if part.sigma is not None]
        return Outputs(
            np.concatenate([part.landmarks for part in found]).astype(np.float64),
            np.concatenate(sigma).astype(np.float64) if sigma else None,
        )

    def _crops(self) -> Iterator[np.ndarray]:
        if self.faces is None:
            yield random_images(self.info.input_size)
            return
        for start in range(0, self.count, SEVERAL):
            yield self.faces.crops(slice(start, min(start + SEVERAL, self.count)))


def nme(landmarks: np.ndarray, faces: Faces) -> float:
    """Return the mean error in percent of landmarks (N, K, 2), network coordinates."""
    distance = metrics.normalizing_distance(faces.landmarks, faces.info.scheme)
    errors = metrics.nme(faces.to_image(landmarks), faces.landmarks, distance)
    return float(mean_present(errors))


def random_images(size: int) -> np.ndarray:
    """Return images (n, size, size, 3) uint8 of blurred random colours; the same each time."""
    small = np.random.default_rng(0).integers(0, 256, (RANDOM_IMAGES, 8, 8, 3), dtype=np.uint8)
    return np.stack([cv2.resize(image, (size, size)) for image in small])


def open_written(names: list[str], folder: Path, stem: str) -> dict[str, Run]:
    """Open the files of formats that `write_formats` wrote, of those that run here."""
    opened = {n: FORMATS[n].open(folder / f"{stem}{FORMATS[n].suffix}") for n in names}
    return {name: run for name, run in opened.items() if run is not None}


def risen(report: Mapping[str, Mapping[str, Any]], reference_nme: float) -> list[str]:
    """Return a sentence for each format whose NME is LARGEST_RISE or more above the network's."""
    return [
        f"{name}: the NME rises by {row['nme'] - reference_nme:.3f} (more than {LARGEST_RISE:g}); "
        "ship float32"
        for name, row in report.items()
        if row.get("nme", -np.inf) - reference_nme > LARGEST_RISE
    ]
