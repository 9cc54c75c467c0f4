"""Results of `landmark-kd predict` for images: JSON, a CSV table, .pts files, drawn images."""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path
from types import TracebackType

import numpy as np

from landmark_kd.core.files import replaced_file, write_json
from landmark_kd.data.datasets.pts import pts_text
from landmark_kd.imaging.images import write_image
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.face import Face
from landmark_kd.visualization.overlay import draw_landmarks

# Thousandths of a pixel are far below any landmark's error.
DECIMALS = 3
FORMATS = ("json", "csv", "pts")
# The table of all images.
TABLE = "faces.csv"


class Results:
    """Writes what was found; as a context, the table is written at its end, also at Ctrl-C.

    Args:
        out: folder of the results.
        formats: those of FORMATS that are wanted.
        images: whether images are written, too: drawn ones, or with .pts files those that the
            landmarks belong to.
    """

    def __init__(
        self, out: Path, formats: list[str], detector: LandmarkDetector, *, images: bool
    ) -> None:
        self._out, self._formats, self._detector, self._images = out, formats, detector, images
        self._rows: list[list[object]] = []

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if "csv" not in self._formats or not (kind is None or issubclass(kind, KeyboardInterrupt)):
            return
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self._header(), *self._rows])
        with replaced_file(self._out / TABLE) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")

    def write(self, file: Path, folder: Path, image: np.ndarray, faces: list[Face]) -> str:
        """Write the results of an image in a folder of `out`'s; return their names in short."""
        stem = self._out / folder / file.stem
        written: list[Path] = []
        if "csv" in self._formats:
            self._rows += [
                self._row(folder / file.name, n, face) for n, face in enumerate(faces, start=1)
            ]
        if "pts" in self._formats:
            written = self._write_pts(stem, image, faces)
        elif self._images:
            written.append(Path(f"{stem}.png"))
            write_image(written[-1], self._drawn(image, faces))
        if "json" in self._formats:
            # Not by `with_suffix`, which would take the end of `a.b` for one.
            written.insert(0, Path(f"{stem}.json"))
            write_json(written[0], self._json(file, image, faces))
        if "csv" in self._formats:
            written.append(self._out / TABLE)
        if not written:
            return "nothing written"
        # In short: the folder once, and endings alone where the name stays.
        first, *others = written
        rest = (p.suffix if p.with_suffix("") == first.with_suffix("") else p.name for p in others)
        return ", ".join([str(first), *rest])

    def _write_pts(self, stem: Path, image: np.ndarray, faces: list[Face]) -> list[Path]:
        """Write the landmarks of each face, beside an image of its own, as data sets have them."""
        written = []
        for number, face in enumerate(faces, start=1):
            name = stem.parent / pts_name(stem.name, number)
            written.append(Path(f"{name}.pts"))
            with replaced_file(written[-1]) as temporary:
                temporary.write_text(pts_text(face.landmarks), encoding="ascii")
            if self._images:
                written.append(Path(f"{name}.png"))
                write_image(written[-1], image)
        return written

    def _json(self, file: Path, image: np.ndarray, faces: list[Face]) -> dict[str, object]:
        return {
            "image": file.name,
            "width": image.shape[1],
            "height": image.shape[0],
            "model": self._detector.source,
            "point_names": self._detector.info.point_names,
            "faces": [
                {
                    "box": face.box.round(DECIMALS).tolist(),
                    "score": round(face.score, DECIMALS),
                    "roll": round(face.roll, DECIMALS),
                    "landmarks": face.landmarks.round(DECIMALS).tolist(),
                    "uncertainty": None
                    if face.uncertainty is None
                    else face.uncertainty.round(DECIMALS).tolist(),
                }
                for face in faces
            ],
        }

    def _header(self) -> list[str]:
        points = self._detector.info.points
        landmarks = [f"{axis}{point}" for point in range(points) for axis in "xy"]
        sigmas = [f"sigma{point}" for point in range(points)]
        corners = ["box_x0", "box_y0", "box_x1", "box_y1"]
        uncertain = self._detector.info.regions is not None
        return [
            *("image", "face", "score", "roll", *corners, *landmarks),
            *(sigmas if uncertain else []),
        ]

    def _row(self, image: Path, number: int, face: Face) -> list[object]:
        sigmas = np.empty(0) if face.uncertainty is None else face.uncertainty
        numbers = [face.score, face.roll, *face.box, *face.landmarks.reshape(-1), *sigmas]
        return [image.as_posix(), number, *np.round(numbers, DECIMALS).tolist()]

    def _drawn(self, image: np.ndarray, faces: list[Face]) -> np.ndarray:
        for face in faces:
            image = draw_landmarks(
                image,
                face.landmarks,
                self._detector.info.contours,
                uncertainty=face.uncertainty,
            )
        return image


def add_format_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which results are written."""
    parser.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        default=[FORMATS[0]],
        help=f"results of images, one or several: json, a file each; csv, all in DIR/{TABLE}; "
        "pts, a file a face beside the image as it is shown, which `landmark-kd data` takes for "
        "a data set (default: json; videos have --table)",
    )
    parser.add_argument(
        "--no-images",
        action="store_true",
        help="no images and no videos, just the files with the landmarks",
    )


def pts_name(stem: str, number: int) -> str:
    """Return the name, without ending, of one of an image's faces; numbers count from 1."""
    return stem if number == 1 else f"{stem}_face{number}"
