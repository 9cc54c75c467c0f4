"""Real faces that the shipped networks were trained on: they tell what is found, not how well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.end_to_end.photos import Photo
from landmark_kd.data.datasets.pts import read_pts
from landmark_kd.imaging.images import read_image


def train_photos(shared: Path, every: int) -> Iterator[Photo]:
    """Yield one in `every` of LFPW's train faces."""
    folder = shared / "data/300w/lfpw/trainset"
    for points in sorted(folder.glob("*.pts"))[::every]:
        (image,) = set(folder.glob(f"{points.stem}.*")) - {points}
        yield Photo(read_image(image), read_pts(points, 68)[None])
