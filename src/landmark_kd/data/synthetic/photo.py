"""What makes a painted face a photograph: background, light on the head, and the camera."""

from __future__ import annotations

import cv2
import numpy as np

from landmark_kd.data.synthetic.canvas import SUPERSAMPLING, noise
from landmark_kd.data.synthetic.shape import Head

SHOULDER = np.float32(185)  # brightness above which a camera compresses
_GRID = 96  # light varies slowly: it is computed on this grid and enlarged

# (points whose mean is the bump's place, its radius and its height), head units: what sticks out
# of an ellipsoid in a face and what lies deeper.
_RELIEF = (
    ((27,), 0.06, 0.03),
    ((28,), 0.06, 0.04),
    ((29,), 0.07, 0.06),
    ((30,), 0.08, 0.08),
    ((31,), 0.05, 0.03),
    ((35,), 0.05, 0.03),
    ((36, 41, 48, 2), 0.17, 0.08),
    ((45, 46, 54, 14), 0.17, 0.08),
    ((8, 8, 57), 0.1, 0.05),
    ((18, 20), 0.1, 0.04),
    ((23, 25), 0.1, 0.04),
    ((37, 40), 0.09, -0.05),
    ((43, 46), 0.09, -0.05),
    ((39, 27), 0.06, -0.05),
    ((42, 27), 0.06, -0.05),
    ((51, 62), 0.09, 0.04),
    ((57, 57, 8), 0.06, -0.03),
)


def draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A background of some kind, (size, size, 3) float32 BGR."""
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(size)
    first, second = rng.uniform(5, 250, (2, 3)).astype(np.float32)
    # Grey and brown walls are commoner than saturated ones.
    colourful = np.float32(rng.uniform(0.1, 0.5) if rng.random() < 0.8 else 1.0)
    first, second = (c.mean() * (1 - colourful) + c * colourful for c in (first, second))
    angle = rng.uniform(0, 2 * np.pi)
    across = xs * np.float32(np.cos(angle)) + ys * np.float32(np.sin(angle))
    kind = rng.choice(["gradient", "blotches", "stripes", "checker", "shapes", "bokeh", "bricks"])
    if kind == "gradient":
        mix = across - across.min()
        mix = mix / mix.max()
    elif kind == "blotches":
        cells = int(rng.integers(3, 14))
        mix = 0.5 + 0.3 * noise(rng, cells, cells, size) + 0.1 * noise(rng, 40, 40, size)
    elif kind == "stripes":
        mix = 0.5 + 0.5 * np.sin(across * np.float32(2 * np.pi * rng.uniform(3, 25)))
        mix = mix if rng.random() < 0.5 else (mix > 0.5).astype(np.float32)
    elif kind == "checker":
        tiles = rng.uniform(4, 16)
        mix = ((xs * tiles).astype(int) + (ys * tiles).astype(int)) % 2
    elif kind == "bricks":
        rows = rng.uniform(6, 14)
        shift = (ys * rows).astype(int) % 2 * 0.5
        gap = (np.mod(ys * rows, 1) < 0.12) | (np.mod(xs * rows / 2 + shift, 1) < 0.07)
        mix = np.where(gap, 1.0, 0.15 * noise(rng, 30, 30, size))
    else:
        mix = across * 0.3
    mix = np.clip(mix, 0, 1).astype(np.float32)[..., None]
    image = np.ascontiguousarray(first + mix * (second - first))

    if kind in ("shapes", "bokeh"):
        for _ in range(int(rng.integers(5, 22))):
            shade = rng.uniform(0, 255, 3)
            colour = (shade.mean() + (shade - shade.mean()) * float(colourful)).tolist()
            x, y = rng.integers(0, size, 2).tolist()
            w, h = rng.integers(size // 16, size // 3, 2).tolist()
            if kind == "bokeh":
                cv2.circle(image, (x, y), w // 3, colour, -1)
            else:
                cv2.rectangle(image, (x, y), (x + w, y + h), colour, -1)
    blur = rng.choice([0.0, 1.0, 3.0, 6.0], p=[0.25, 0.25, 0.25, 0.25])
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), float(blur) * size / 192)
    grain = noise(rng, size // 2, size // 2, size) * np.float32(rng.uniform(0, 6))
    return cv2.add(image, cv2.merge([grain] * 3))


def light_on_head(
    head: Head, light: np.ndarray, strength: float, shine: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Diffuse and specular light on the head (Phong 1975).

    The head is an ellipsoid whose normals nose, cheeks, chin, lips and sockets bend.

    Args:
        head: the head.
        light: (3,) unit vector towards the light; x right, y down, z towards the viewer.
        strength: 0 is flat light, 1 leaves the averted side black.
        shine: brightness of the highlights, 0 to 255.
        size: side of the canvas, and of the square maps to return.

    Returns:
        factor (size, size) float32, about 1 where the face looks at the viewer, and highlight
        (size, size) float32 to be added to skin.
    """
    step = size / SUPERSAMPLING / _GRID
    grid = (np.arange(_GRID, dtype=np.float32) + 0.5) * step - 0.5
    middle = head.project(np.array([[0.0, -0.3, -0.35]]))[0]
    tilt = np.radians(head.roll)
    x, y = grid[None, :] - middle[0], grid[:, None] - middle[1]
    half_width = (0.92 * head.breadth + 0.25 * abs(np.sin(np.radians(head.yaw)))) * head.unit
    half_height = 1.3 * head.unit
    u = (x * np.cos(tilt) + y * np.sin(tilt)) / half_width
    v = (y * np.cos(tilt) - x * np.sin(tilt)) / half_height
    radius = np.sqrt(u**2 + v**2)
    shrink = np.minimum(1.0, 0.97 / np.maximum(radius, 1e-6))
    u, v = u * shrink, v * shrink

    relief = np.zeros((_GRID, _GRID))
    for indices, spread, height in _RELIEF:
        place = head.landmarks[list(indices)].mean(axis=0)
        gauss_x = np.exp(-(((grid - place[0]) / (spread * head.unit)) ** 2) / 2)
        gauss_y = np.exp(-(((grid - place[1]) / (spread * head.unit)) ** 2) / 2)
        relief += height * gauss_y[:, None] * gauss_x[None, :]
    slope_y, slope_x = np.gradient(relief, step / head.unit)

    normal = np.stack(
        [
            u * np.cos(tilt) - v * np.sin(tilt) - slope_x,
            v * np.cos(tilt) + u * np.sin(tilt) - slope_y,
            np.sqrt(1 - u**2 - v**2),
        ]
    )
    normal /= np.linalg.norm(normal, axis=0)
    wrap = 0.35  # light that comes around the edge: rooms are bright all around
    diffuse = np.maximum(np.tensordot(light, normal, axes=1) + wrap, 0) / (
        max(light[2], 0.6) + wrap
    )
    factor = 1 + strength * (diffuse - 1)
    half_way = light + np.array([0.0, 0.0, 1.0])
    half_way = half_way / np.linalg.norm(half_way)
    highlight = shine * np.maximum(np.tensordot(half_way, normal, axes=1), 0) ** 25
    return (
        cv2.resize(factor.astype(np.float32), (size, size)),
        cv2.resize(highlight.astype(np.float32), (size, size)),
    )


def photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Lens, sensor and compression: (H, W, 3) float32 in, uint8 out."""
    scale = image.shape[0] / 192  # blurs are given for images of 192 pixels
    exposure = rng.uniform(0.85, 1.25)
    contrast = rng.uniform(0.75, 1.1)
    cast = rng.uniform(0.92, 1.08, 3) if rng.random() < 0.7 else rng.uniform(0.78, 1.15, 3)
    image = (image * exposure - 128) * contrast + 128
    image = image * cast.astype(np.float32) + np.float32(rng.uniform(-12, 12))
    # Bright parts are compressed, as cameras do, not cut off.
    over = np.maximum(image - SHOULDER, 0)
    image = np.minimum(image, SHOULDER) + (255 - SHOULDER) * (1 - np.exp(-over / (255 - SHOULDER)))
    image = 255 * (np.maximum(image, 0) / 255) ** np.float32(rng.uniform(0.85, 1.25))

    defect = rng.random()
    if defect < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.8) * scale)
    elif defect < 0.35:
        length = 1 + 2 * max(1, round(rng.uniform(1, 3.5) * scale))  # odd: the image stays put
        angle = rng.uniform(0, np.pi)
        kernel = np.zeros((length, length), np.float32)
        middle = (length - 1) / 2
        reach = np.array([np.cos(angle), np.sin(angle)]) * middle
        ends = np.round(np.array([middle - reach, middle + reach])).astype(int).tolist()
        cv2.line(kernel, ends[0], ends[1], 1.0)
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    if rng.random() < 0.12:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    sigma = rng.uniform(0, 4) if rng.random() < 0.7 else rng.uniform(4, 12)
    image = image + sigma * rng.standard_normal(image.shape, dtype=np.float32)
    result = np.clip(np.round(image), 0, 255).astype(np.uint8)
    if rng.random() < 0.35:
        quality = int(rng.integers(25, 90))
        _, packed = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return result
