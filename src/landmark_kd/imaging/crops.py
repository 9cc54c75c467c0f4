"""The one place where an image is cut: `prepare` and `predict` see the same pixels."""

from __future__ import annotations

import math

import cv2
import numpy as np

from landmark_kd.landmarks import geometry


def sample(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Cut a square crop out of an image.

    Bilinear sampling alone looks at four pixels and drops all others where an image is shrunk,
    so blocks of whole pixels are averaged first (INTER_AREA), down to between one and two times
    the crop's resolution. Measured against an average over 8 x 8 samples a crop pixel, that is
    nearer than averaging down to the crop's own resolution. Beyond the image its edge pixels
    are repeated.

    Args:
        image: (H, W, 3) uint8, not empty.
        matrix: (2, 3) map from image pixels to crop pixels, a similarity.
        size: side of the crop in pixels.

    Returns:
        (size, size, 3) uint8, channels in the order of `image`.
    """
    to_image = geometry.invert(np.asarray(matrix, dtype=np.float64))
    # Image pixels that a crop pixel spans.
    span = math.sqrt(abs(np.linalg.det(to_image[:, :2])))
    height, width = image.shape[:2]
    # A span of 2 may come out as 1.999…; both are the same crop. A block is no larger than the
    # image, which is filled up to whole blocks below.
    block = max(1, math.floor(min(span + 1e-6, max(height, width))))
    corners = geometry.apply(to_image, _corners(size))
    x0, x1 = _needed(corners[:, 0], block, width)
    y0, y1 = _needed(corners[:, 1], block, height)
    part = image[y0:y1, x0:x1]
    if block > 1:
        # Only a part that ends at the image's edge is not a multiple of the block.
        right, below = -(x1 - x0) % block, -(y1 - y0) % block
        part = cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_REPLICATE)
        blocks = (part.shape[1] // block, part.shape[0] // block)
        part = cv2.resize(part, blocks, interpolation=cv2.INTER_AREA)
    # Pixel centres are at integers: the part's outer edge -0.5 lies at image pixel x0 - 0.5.
    offset = (0.5 - np.array([x0, y0])) / block - 0.5
    to_part = np.column_stack([np.eye(2) / block, offset])
    return cv2.warpAffine(
        part,
        geometry.compose(to_part, to_image),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _corners(size: int) -> np.ndarray:
    low, high = -0.5, size - 0.5
    return np.array([[low, low], [low, high], [high, low], [high, high]])


def _needed(coordinates: np.ndarray, block: int, length: int) -> tuple[int, int]:
    """Return first and last + 1 of the image's `length` columns (or rows) to look at.

    They begin and end with a block counted from the image's first pixel, so that a crop's
    pixels do not depend on how much around it is cut with it. `coordinates` are of the crop's
    outer corners, half a crop pixel beyond the outermost centres: room to interpolate.
    """
    first = math.floor(coordinates.min()) // block
    last = math.ceil(coordinates.max()) // block + 1
    # A crop beside the image still needs its nearest pixels.
    first = min(max(first, 0), (length - 1) // block)
    last = max(last, first + 1)
    return first * block, min(last * block, length)
