"""What the features lie on: the look of a person, neck, ears and the skin of the face.

Lengths are in head units (`Head.unit` pixels, the outer eye corners' distance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landmark_kd.data.synthetic.canvas import Canvas, ellipse, hull, noise, spline, tinted
from landmark_kd.data.synthetic.shape import SKULL_CENTRE, SKULL_RADII, Head

# From very light to very dark, BGR.
SKIN_TONES = np.array(
    [
        [190, 208, 240],
        [172, 196, 235],
        [150, 182, 230],
        [125, 158, 212],
        [95, 130, 188],
        [72, 102, 156],
        [54, 76, 122],
        [42, 58, 94],
    ],
    float,
)
HAIR_COLOURS = np.array(
    [
        [22, 20, 24],
        [25, 26, 32],
        [28, 38, 58],
        [38, 58, 88],
        [60, 98, 140],
        [110, 160, 200],
        [150, 195, 225],
        [40, 75, 150],
        [130, 132, 135],
        [205, 208, 210],
    ],
    float,
)
DYED_COLOURS = np.array([[140, 60, 120], [160, 110, 40], [70, 40, 170], [60, 130, 70]], float)
IRIS_COLOURS = np.array(
    [[28, 42, 72], [22, 32, 52], [50, 85, 105], [85, 115, 95], [150, 115, 75], [125, 120, 110]],
    float,
)


@dataclass(frozen=True)
class Look:
    """What a face looks like apart from its shape; colours are BGR, 0 to 255.

    Attributes:
        skin, hair, lip, iris: colours before light falls on them.
        made_up: wears make-up.
        beard: none, stubble, moustache, goatee, short or full.
        age: 0 to 1; wrinkles grow with it.
        light: (3,) unit vector towards the light; x right, y down, z towards the viewer.
    """

    skin: np.ndarray
    hair: np.ndarray
    lip: np.ndarray
    iris: np.ndarray
    made_up: bool
    beard: str
    age: float
    light: np.ndarray


def sample_look(rng: np.random.Generator) -> Look:
    """Sample colours, beard and light over the range found in people."""
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    index = np.arange(len(SKIN_TONES))
    skin = np.array([np.interp(tone, index, SKIN_TONES[:, c]) for c in range(3)])
    skin = np.clip(skin * rng.uniform(0.93, 1.07, 3), 20, 252)
    age = rng.random()
    dark_skinned = tone > 4
    pool = np.arange(4) if dark_skinned and rng.random() < 0.85 else np.arange(8)
    if age > 0.7 and rng.random() < 0.6:
        pool = np.arange(8, 10)
    hair = HAIR_COLOURS[rng.choice(pool)] * rng.uniform(0.8, 1.2)
    if rng.random() < 0.04:
        hair = DYED_COLOURS[rng.integers(len(DYED_COLOURS))] * rng.uniform(0.8, 1.2)
    made_up = bool(rng.random() < 0.35)
    lip = skin * (0.72, 0.68, 0.9)
    if made_up:
        paint = np.array([rng.uniform(40, 120), rng.uniform(20, 80), rng.uniform(120, 220)])
        lip = lip + rng.uniform(0.3, 0.85) * (paint - lip)
    beards = ("none", "stubble", "moustache", "goatee", "short", "full")
    beard = "none" if made_up else str(rng.choice(beards, p=[0.5, 0.16, 0.08, 0.08, 0.1, 0.08]))
    light = np.array([rng.normal(0, 0.6), rng.uniform(-0.9, 0.15), rng.uniform(0.5, 1.2)])
    return Look(
        skin=skin,
        hair=np.clip(hair, 8, 235),
        lip=np.clip(lip, 10, 240),
        iris=IRIS_COLOURS[rng.integers(2 if dark_skinned else len(IRIS_COLOURS))],
        made_up=made_up,
        beard=beard,
        age=age,
        light=light / np.linalg.norm(light),
    )


def skull_points(head: Head, grow: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Points all over the skull: their places on the mean head (N, 3), their pixels (N, 2)."""
    count = 240
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))  # golden angle: even cover of the sphere
    y = 1 - 2 * (np.arange(count) + 0.5) / count
    ring = np.sqrt(1 - y**2)
    unit = np.column_stack([ring * np.cos(turn), y, ring * np.sin(turn)])
    points = SKULL_CENTRE + unit * SKULL_RADII * grow
    return points, head.project(points)


def forehead_line(head: Head, height: float, squareness: float = 1.0, count: int = 9) -> np.ndarray:
    """The hair line from the left temple over the forehead to the right one, (count, 2) pixels.

    Args:
        head: the head.
        height: of the line's middle above the jaw line's ends, units.
        squareness: 1 is round, less makes square corners.
        count: points.
    """
    angle = np.linspace(0, np.pi, count)
    first, last = head.points[0], head.points[16]
    share = (1 - np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** squareness) / 2
    points = first + share[:, None] * (last - first)
    lift = np.sin(angle) ** squareness
    points[:, 1] -= height * lift
    front = 0.05 - points[:, 2]
    points[:, 2] += np.maximum(front, 0) * np.sin(angle) ** 1.3
    line = head.project_contour(points)
    line[[0, -1]] = head.landmarks[[0, 16]]
    return line


def face_outline(head: Head, forehead: np.ndarray) -> np.ndarray:
    """The contour of the face through the jaw's landmarks and along a `forehead` line."""
    return np.concatenate([spline(head.landmarks[:17]), spline(forehead[::-1])])


def draw_neck(canvas: Canvas, head: Head, look: Look, rng: np.random.Generator) -> None:
    """Neck, shoulders and clothes."""
    broad = rng.uniform(0.42, 0.6) * (1.0 if not look.made_up else 0.85)
    top = head.project(np.array([[-broad, 0.3, -0.75], [broad, 0.3, -0.75]]))
    low = head.torso.project(
        np.array([[-broad, 1.1, -0.8], [-1.0, 1.45, -0.9], [1.0, 1.45, -0.9], [broad, 1.1, -0.8]])
    )
    low = low + (top.mean(axis=0) - head.torso.project(np.array([[0.0, 0.3, -0.75]]))) * 0.6
    unit = head.unit
    # Down to below any neckline.
    neck = np.concatenate([top[:1], low[:2], low[1:3] + np.array([0.0, unit]), low[2:], top[1:]])
    canvas.fill(neck, look.skin * 0.9)
    shadow = head.landmarks[2:15] + np.array([0.0, 0.13 * unit])
    inside = canvas.mask([neck])
    canvas.fill(hull(shadow), look.skin * (0.42, 0.42, 0.5), 0.8, 0.07 * unit, clip=inside)

    cloth = rng.uniform(15, 235, 3) if rng.random() < 0.6 else np.full(3, rng.uniform(10, 240))
    neckline = rng.uniform(0.0, 0.5)
    shoulders = head.torso.project(
        np.array(
            [
                [-3.2, 4.0, -1.0],
                [-2.2, 1.75, -1.0],
                [-1.5, 1.4, -1.0],
                [-broad * 1.1, 1.1, -0.8],
                [0, 1.2 + neckline, -0.5],
                [broad * 1.1, 1.1, -0.8],
                [1.5, 1.4, -1.0],
                [2.2, 1.75, -1.0],
                [3.2, 4.0, -1.0],
            ]
        )
    )
    shoulders = shoulders + (low.mean(axis=0) - shoulders.mean(axis=0)) * (0.5, 0.0)
    canvas.fill(spline(shoulders), cloth, blur=0.01 * unit)
    canvas.stroke(spline(shoulders[3:6]), cloth * 0.6, 0.05 * unit, blur=0.01 * unit)
    for _ in range(3):
        fold = head.torso.project(rng.uniform((-2.2, 1.8, -0.8), (2.2, 3.2, -0.8), (3, 3)))
        canvas.stroke(spline(fold), cloth * 0.7, 0.06 * unit, alpha=0.5, blur=0.05 * unit)


def draw_ears(canvas: Canvas, head: Head, look: Look) -> None:
    """Both ears; the face, painted later, hides the averted one."""
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for side in (-1, 1):
        lobe = 1 - 0.25 * (np.sin(angle) > 0.3)
        outline = np.column_stack(
            [
                side * (0.78 + 0.075 * (1 + np.cos(angle)) * lobe),
                -0.28 + 0.28 * np.sin(angle),
                -0.72 - 0.12 * (1 + np.cos(angle)),
            ]
        )
        middle = outline.mean(axis=0)
        ear = head.project(outline)
        canvas.fill(spline(ear, closed=True), look.skin * (0.88, 0.9, 0.97))
        inner = head.project(middle + (outline - middle) * 0.55)
        canvas.fill(spline(inner, closed=True), look.skin * 0.55, alpha=0.7, blur=0.025 * head.unit)


def draw_skin(
    canvas: Canvas, head: Head, look: Look, outline: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Skin of the face with its unevenness; returns the face's (S, S) uint8 mask."""
    unit, points = head.unit, head.landmarks
    # At the widest turns lips and brow of the averted side reach over the cheek's outline.
    mask = canvas.mask([outline, hull(points[17:])])
    side = len(mask)
    blotches = noise(rng, 14, 14, side) * 0.03 + noise(rng, side // 2, side // 2, side) * 0.02
    uneven = 1 + blotches * np.float32(rng.uniform(0.4, 1.3))
    canvas.blend(mask, tinted(look.skin, uneven))

    blush = look.skin * (0.78, 0.78, 1.0)
    strength = rng.uniform(0.15, 0.6)
    for corner, lip in ((36, 48), (45, 54)):
        cheek = 0.42 * points[corner] + 0.58 * points[lip]
        reach = np.eye(2) * 0.17 * unit
        canvas.fill(ellipse(cheek, *reach), blush, strength, blur=0.09 * unit, clip=mask)
    # The cheek turns away from the viewer along the jaw line.
    edge = spline(points[:17])
    rim = look.skin * (0.55, 0.57, 0.64)
    canvas.stroke(edge, rim, 0.07 * unit, alpha=0.75, blur=0.04 * unit, clip=mask)
    canvas.stroke(edge, rim * 0.8, 0.018 * unit, alpha=0.45, clip=mask)

    if rng.random() < 0.15:
        spots = rng.normal((points[30]), 0.3 * unit, (40, 2))
        dots = [ellipse(s, *(np.eye(2) * rng.uniform(0.006, 0.014) * unit)) for s in spots]
        canvas.fill(dots, look.skin * (0.55, 0.65, 0.8), alpha=0.6, clip=mask)
    return mask


def draw_wrinkles(canvas: Canvas, head: Head, look: Look, face: np.ndarray) -> None:
    """Folds from nose to mouth, lines under the eyes and on the forehead."""
    unit, points = head.unit, head.landmarks
    up = (points[27] - points[8]) / np.linalg.norm(points[27] - points[8])
    dark = look.skin * (0.62, 0.62, 0.7)
    smile = np.linalg.norm(points[54] - points[48]) / unit
    strength = np.clip(0.1 + 0.7 * look.age + (smile - 0.62), 0.05, 0.9)
    for nose, lip, jaw in ((31, 48, 3), (35, 54, 13)):
        out = (points[jaw] - points[lip]) * 0.14
        start = points[nose] + up * 0.06 * unit + out * 0.4
        fold = np.array([start, 0.5 * (points[nose] + points[lip]) + out * 1.1, points[lip] + out])
        canvas.stroke(
            spline(fold), dark, 0.035 * unit, alpha=0.8 * strength, blur=0.02 * unit, clip=face
        )
    for eye in (points[36:42], points[42:48]):
        bag = spline(np.array([eye[0], eye[5], eye[4], eye[3]])) - up * 0.075 * unit
        canvas.stroke(
            bag, dark, 0.035 * unit, alpha=0.2 + 0.6 * look.age, blur=0.025 * unit, clip=face
        )
    if look.age > 0.55:
        for lift in (0.2, 0.31, 0.42):
            line = spline(points[[18, 20, 23, 25]]) + up * lift * unit
            canvas.stroke(
                line, dark, 0.02 * unit, alpha=look.age - 0.45, blur=0.012 * unit, clip=face
            )
