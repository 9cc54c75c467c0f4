"""Images are read as shown or as stored, whatever a camera noted in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.imaging.images import exif_orientation, read_image
from tests.support.turned_images import stored_for, write_turned

# 48 x 32 pixels in blocks, which JPEG keeps.
SHOWN = np.kron(
    np.random.default_rng(0).integers(0, 256, (4, 6, 3)), np.ones((8, 8, 1), dtype=np.int64)
).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_read_as_shown_and_as_stored(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    path = tmp_path / f"a{suffix}"
    write_turned(path, SHOWN, orientation)
    assert exif_orientation(path) == orientation
    stored = stored_for(SHOWN, orientation)
    np.testing.assert_allclose(read_image(path, shown=True), SHOWN, atol=6)
    np.testing.assert_allclose(read_image(path), stored, atol=6)


def test_a_heic_file_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic and so on")
    with pytest.raises(UserError, match=r"a\.heic does not decode: it is a HEIC file, which"):
        read_image(tmp_path / "a.heic")


def test_a_file_without_orientation_is_not_to_be_turned(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"not an image")
    assert exif_orientation(tmp_path / "a.jpg") == 1
    write_turned(tmp_path / "a.png", SHOWN, 1)
    assert exif_orientation(tmp_path / "a.png") == 1
