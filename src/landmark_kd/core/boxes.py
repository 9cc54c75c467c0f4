"""The boxes around a face that a crop can be made of, by name."""

from __future__ import annotations

from typing import Literal, get_args

# landmarks: the bounding box of the face's landmarks; dataset: the box that the data set brings;
# detector: a face detector's box, moved to where the landmarks' box lies in it.
BoxName = Literal["landmarks", "dataset", "detector"]
BOX_NAMES: tuple[BoxName, ...] = get_args(BoxName)
# The face detectors whose boxes `detector` may mean.
DetectorName = Literal["haar", "yunet"]
