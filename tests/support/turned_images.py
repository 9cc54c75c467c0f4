"""Images with an EXIF orientation, as cameras write them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

ORIENTATION = 0x0112


def stored_for(shown: np.ndarray, orientation: int) -> np.ndarray:
    """Return the pixels (H, W, 3) that are stored where `shown` is to be seen."""
    return {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.transpose(1, 0, 2),
        6: np.rot90(shown, 1),
        7: np.rot90(shown, 2).transpose(1, 0, 2),
        8: np.rot90(shown, -1),
    }[orientation]


def write_turned(path: Path, shown: np.ndarray, orientation: int) -> None:
    """Write an image (H, W, 3) uint8 BGR that is to be seen as `shown` once it is turned."""
    exif = Pillow.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, Any] = {
        ".jpg": {"exif": exif, "quality": 100, "subsampling": 0},
        ".png": {"exif": exif},
        ".webp": {"exif": exif, "lossless": True},
        ".tif": {"tiffinfo": {ORIENTATION: orientation}},
    }
    stored = np.ascontiguousarray(stored_for(shown, orientation)[..., ::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(stored).save(path, **options[path.suffix])
