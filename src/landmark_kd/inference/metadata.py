"""What an exported network says about itself, in its ONNX file's metadata."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from typing import Any

from landmark_kd.core.boxes import BOX_NAMES
from landmark_kd.landmarks.uncertainty import LEVELS

# Changes when a reader of older files would go wrong.
FORMAT = "landmark-kd 2"

# No network of ours takes larger crops, and no number that it is described by is larger.
LARGEST_INPUT = 4096
LARGEST_NUMBER = 1e4

INPUT_NAME = "image"
OUTPUT_NAME = "landmarks"
SIGMA_NAME = "sigma"

# For whoever runs the file without this project.
_HOW_TO_USE = {
    "input": "(N, 3, input_size, input_size) float32 in colour_order, (pixel - mean) / std",
    "output": "(N, points, 2) float32; x, y in pixels of the crop = (v + 0.5) * input_size - 0.5",
    "sigma_output": "(N, points) float32, where the file has it; times input_size: crop pixels",
    "crop": "square around the centre of the face's box, side = longer side * (1 + margin); "
    "crop pixel = (image pixel - centre) * input_size / side + (input_size - 1) / 2, sampled "
    "bilinearly, beyond the image its edge pixels repeated",
}


@dataclass(frozen=True)
class ModelInfo:
    """All that is needed to turn an image and a face's box into landmarks.

    Attributes:
        dataset: name of the data set trained on.
        licence: what that data set allows.
        backbone: timm name of the network.
        points: landmarks a face, K.
        input_size: side of the crop in pixels.
        mean, std: in units of 0..255, in `colour_order`; the input is (pixel - mean) / std.
        colour_order: RGB.
        margin: the crop's side is the box's longer side times 1 + margin.
        box: what the box encloses: landmarks; dataset for a box that the set brought; detector
            for a face detector's box, moved by `box_in_yunet` or `box_in_haar`.
        box_in_haar: (x0, y0, x1, y1) of such a box in units of one of OpenCV's Haar detector, None
            where it was not measured.
        point_names: K names.
        flip: (K,) permutation; point i of a mirrored face is point flip[i].
        contours: (indices, closed) of each line to draw.
        regions: multiples of sigma that cover `landmarks.uncertainty.LEVELS` of the landmarks,
            None of a file without the output sigma.
        typical_sigma: of validation faces, see `landmarks.uncertainty.typical`; None likewise.
        box_in_yunet: as `box_in_haar`, in units of the box around the landmarks to expect that
            YuNet's points tell (`inference.face_detector.FoundFaces.boxes`), along the face's own
            axes.
    """

    dataset: str
    licence: str
    backbone: str
    points: int
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    colour_order: str
    margin: float
    box: str
    box_in_haar: tuple[float, float, float, float] | None
    point_names: tuple[str, ...]
    flip: tuple[int, ...]
    contours: tuple[tuple[tuple[int, ...], bool], ...]
    regions: tuple[float, ...] | None = None
    typical_sigma: tuple[float, float] | None = None
    box_in_yunet: tuple[float, float, float, float] | None = None

    @property
    def knows_detectors(self) -> bool:
        """Whether its boxes can be told from those that a face detector finds."""
        measured = self.box_in_haar is not None or self.box_in_yunet is not None
        return measured or self.box != "dataset"

    def region(self, level: float) -> float:
        """Return the multiple of sigma within which this share of all landmarks lies.

        Raises:
            ValueError: the file says no uncertainty, or not for this share.
        """
        if self.regions is None or level not in LEVELS:
            known = f"one of {LEVELS}" if self.regions else "of no use: the file says no sigma"
            raise ValueError(f"level is {level}; it must be {known}")
        return self.regions[LEVELS.index(level)]

    def to_metadata(self) -> dict[str, str]:
        """Return texts by name: words as they are, everything else as JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.box_in_yunet is None:  # as in all files of before it was measured
            del values["box_in_yunet"]
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
        return {"format": FORMAT, **texts, **_HOW_TO_USE}

    @classmethod
    def json_fields(cls) -> set[str]:
        """Return the names of the texts of `to_metadata` that are JSON."""
        return {field.name for field in fields(cls) if field.type != "str"}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> ModelInfo:
        """Read what `to_metadata` wrote.

        Raises:
            ValueError: it is of another program, another format, or does not fit together; the
                message is a clause that goes on "the file ...".
        """
        if "format" not in metadata:
            raise ValueError("has no metadata of landmark-kd")
        if metadata["format"] != FORMAT:
            raise ValueError(f"has the format {metadata['format']!r}, expected {FORMAT!r}")
        try:
            # Files of before networks said their uncertainty lack what has a default.
            found = [f for f in fields(cls) if f.default is MISSING or f.name in metadata]
            info = cls(**{field.name: _read(field.type, metadata[field.name]) for field in found})
            wrong = info._unfit()
        except KeyError as error:
            raise ValueError(f"lacks {error} in its metadata") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"has damaged metadata ({error})") from None
        if wrong:
            raise ValueError(f"has metadata that does not fit together: {', '.join(wrong)}")
        return info

    def _unfit(self) -> list[str]:
        """Return the names of values that cannot be; TypeError where one is of another kind."""
        k = self.points
        fits = {
            "points": _whole(k) and k > 0,
            "input_size": _whole(self.input_size) and 0 < self.input_size <= LARGEST_INPUT,
            "mean": _numbers(self.mean, 3),
            "std": _numbers(self.std, 3) and all(v > 0 for v in self.std),
            "colour_order": self.colour_order == "RGB",
            "margin": _numbers((self.margin,), 1) and self.margin > -1,
            "box": self.box in BOX_NAMES,
            "box_in_haar": self.box_in_haar is None or _box(self.box_in_haar),
            "box_in_yunet": self.box_in_yunet is None or _box(self.box_in_yunet),
            "point_names": len(self.point_names) == k
            and all(isinstance(name, str) for name in self.point_names),
            "flip": all(map(_whole, self.flip)) and sorted(self.flip) == list(range(k)),
            "contours": all(
                _whole(i) and 0 <= i < k for indices, _ in self.contours for i in indices
            ),
            "regions": self.regions is None
            or (_numbers(self.regions, len(LEVELS)) and min(self.regions) >= 0),
            "typical_sigma": (self.typical_sigma is None) == (self.regions is None)
            and (self.typical_sigma is None or _numbers(self.typical_sigma, 2)),
        }
        return [name for name, fit in fits.items() if not fit]


def _read(kind: object, text: str) -> Any:
    return text if kind == "str" else _tuples(json.loads(text))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _box(values: Any) -> bool:
    return _numbers(values, 4) and values[0] < values[2] and values[1] < values[3]


def _numbers(values: Any, count: int) -> bool:
    # Written this way round, NaN fails, too.
    return len(values) == count and all(
        isinstance(v, int | float) and abs(v) <= LARGEST_NUMBER for v in values
    )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
