"""YuNet's file as the page needs it: with an input of any size."""

from __future__ import annotations

from pathlib import Path

from landmark_kd.inference import yunet
from landmark_kd.inference.face_detector import YuNetDetector


def any_size(path: Path) -> bytes:
    """Return the content of YuNet's file, its input's height and width free.

    Raises:
        UserError: it is another network.
    """
    YuNetDetector(path)
    return yunet.any_size(path)
