"""What holds for all prepared faces of a folder, as its info.json says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from landmark_kd.landmarks.scheme import LandmarkScheme

# What `FacesInfo`'s attributes are in JSON.
_KINDS: dict[str, Any] = {
    "dataset": str,
    "licence": str,
    "scheme": dict,
    "crop_size": int,
    "border": int,
    "margin": int | float,
    "box": str,
    "box_in_haar": list | None,
    "box_in_yunet": list | None,
    "published": dict,
    "missing": list,
    "missing_landmarks": int,
}
# Attributes that folders of old do not have, and what they would say there.
_LATER: dict[str, Any] = {"missing_landmarks": 0, "box_in_yunet": None}


@dataclass(frozen=True)
class FacesInfo:
    """What holds for all faces of a folder.

    Attributes:
        dataset: name of the data set.
        licence: what the data set allows, in a sentence.
        scheme: of the landmarks.
        crop_size: side of the networks' crop in pixels.
        border: pixels stored around it on each side; stored side = crop_size + 2 border.
        margin: the crop's side is the box's longer side times 1 + margin.
        box: where the box came from, landmarks, dataset or detector.
        box_in_haar: (x0, y0, x1, y1) of the box in units of a box of OpenCV's Haar detector, as
            measured on train faces; None where too few of them were found.
        box_in_yunet: the same in units of the box around the landmarks to expect that YuNet's
            points tell (`inference.face_detector.FoundFaces.boxes`); None where YuNet was not
            asked, too.
        published: faces that the data set's authors give for each subset; null where there is
            no published count.
        missing: parts of the data set that were not on disk and what else is not as it should
            be, in words.
        missing_landmarks: landmarks of all faces together that the data set does not give.
    """

    dataset: str
    licence: str
    scheme: LandmarkScheme
    crop_size: int
    border: int
    margin: float
    box: str
    box_in_haar: tuple[float, float, float, float] | None
    published: dict[str, int | None]
    missing: list[str]
    missing_landmarks: int = 0
    box_in_yunet: tuple[float, float, float, float] | None = None

    @property
    def points(self) -> int:
        """Landmarks a face, K."""
        return self.scheme.points

    @property
    def stored_size(self) -> int:
        return self.crop_size + 2 * self.border

    def to_json(self) -> dict[str, Any]:
        """Return what JSON knows; `from_json` is the way back."""
        content = {**vars(self), "scheme": self.scheme.to_json()}
        # As in most sets, and in all folders of old.
        said_by_none = {name for name, value in _LATER.items() if content[name] == value}
        return {name: value for name, value in content.items() if name not in said_by_none}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> FacesInfo:
        """Read what `to_json` returned, after a way through a file.

        Raises:
            TypeError: an attribute is missing, or there is one too many, or it is no such thing.
            KeyError: the scheme is missing.
        """
        if not isinstance(content, dict):
            raise TypeError(f"expected names and values, found {type(content).__name__}")
        content = {**_LATER, **content}
        for name, kind in _KINDS.items():
            if not isinstance(content.get(name), kind):
                raise TypeError(f"{name} is {content.get(name)!r}")
        boxes = {name: content[name] for name in ("box_in_haar", "box_in_yunet")}
        return cls(
            **{
                **content,
                "scheme": LandmarkScheme.from_json(content["scheme"]),
                **{name: None if box is None else tuple(box) for name, box in boxes.items()},
            }
        )
