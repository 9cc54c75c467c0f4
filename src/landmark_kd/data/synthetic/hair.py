"""Hair and headgear: behind the head, around it and over the forehead."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from landmark_kd.data.synthetic.canvas import (
    SUPERSAMPLING,
    Canvas,
    ellipse,
    hull,
    noise,
    resampled,
    spline,
    tinted,
)
from landmark_kd.data.synthetic.head import Look, forehead_line, skull_points
from landmark_kd.data.synthetic.shape import Head

KINDS = (
    "bald",
    "buzz",
    "short",
    "quiff",
    "fringe",
    "long",
    "curly",
    "bun",
    "beanie",
    "cap",
    "veil",
)
PLAIN_SHARE = np.array([0.07, 0.09, 0.2, 0.1, 0.1, 0.17, 0.11, 0.05, 0.04, 0.03, 0.04])
BEARDED_SHARE = np.array([0.13, 0.16, 0.3, 0.15, 0.04, 0.05, 0.08, 0.0, 0.05, 0.04, 0.0])


@dataclass(frozen=True)
class Hair:
    """Hair or what covers it.

    Attributes:
        kind: one of KINDS.
        height: of the hair line above the jaw line's ends, units.
        squareness: of the hair line, see `forehead_line`.
        volume: of hair over skull, 1 is none.
        length: how far long hair hangs, head coordinate y.
        parting: head coordinate x.
        texture: (S, S, 3) float32 colour of hair or cloth.
    """

    kind: str
    height: float
    squareness: float
    volume: float
    length: float
    parting: float
    texture: np.ndarray


def sample_hair(rng: np.random.Generator, head: Head, look: Look, side: int) -> Hair:
    """Sample hair or headgear that suits the look; `side` is the canvas's."""
    kind = str(rng.choice(KINDS, p=PLAIN_SHARE if look.beard == "none" else BEARDED_SHARE))
    height = rng.uniform(0.58, 0.76)
    if kind == "bald" or (look.beard != "none" and rng.random() < 0.15):
        height = rng.uniform(0.76, 0.86)
    if kind in ("beanie", "cap", "veil"):
        cloth = rng.uniform(15, 225, 3)
        weave = noise(rng, side // 3, side // 5, side) * 0.06
        texture = tinted(cloth, 1 + weave)
    elif kind == "curly":
        curls = (
            noise(rng, side // 7, side // 7, side) * 0.28
            + noise(rng, side // 3, side // 3, side) * 0.2
        )
        texture = tinted(look.hair, np.maximum(1 + curls, 0.55))
    else:
        # Strands run away from the crown: noise that is fine in angle and coarse in radius.
        polar = noise(rng, 7, 240, side) * 0.17 + noise(rng, 4, 50, side) * 0.12
        x, y = head.project(np.array([[0.1, -2.0, -1.1]]))[0] * SUPERSAMPLING
        # Without the fill flag, pixels beyond the largest radius keep what was in memory.
        flags = cv2.WARP_POLAR_LINEAR | cv2.WARP_INVERSE_MAP | cv2.WARP_FILL_OUTLIERS
        strands = cv2.warpPolar(polar, (side, side), (float(x), float(y)), 1.5 * side, flags)
        texture = tinted(look.hair, 1.05 + strands)
    return Hair(
        kind=kind,
        height=height,
        squareness=rng.uniform(0.7, 1.1),
        volume={"curly": rng.uniform(1.15, 1.5), "buzz": 1.01, "bald": 1.0}.get(
            kind, rng.uniform(1.05, 1.16)
        ),
        length=rng.uniform(0.5, 2.3),
        parting=rng.uniform(-0.4, 0.4),
        texture=texture,
    )


def _rough(rng: np.random.Generator, contour: np.ndarray, depth: float, waves: int) -> np.ndarray:
    """Push a contour's points in and out by about `depth` pixels, `waves` times around."""
    ring = resampled(contour, 4 * waves)
    steps = rng.uniform(-1, 1, waves)
    push = spline(np.column_stack([steps, steps]), closed=True, steps=4)[:, :1]
    away = ring - ring.mean(axis=0)
    return np.asarray(
        ring + away / (np.linalg.norm(away, axis=1, keepdims=True) + 1e-9) * push * depth
    )


def _cap(head: Head, grow: float, front: float, back: float) -> np.ndarray:
    """Outline of what covers the skull down to heights `front` and `back` (head coordinate y)."""
    points, flat = skull_points(head, grow)
    keep = points[:, 1] < np.where(points[:, 2] < -0.8, back, front)
    return hull(flat[keep])


def draw_hair_behind(
    canvas: Canvas, head: Head, look: Look, hair: Hair, rng: np.random.Generator
) -> None:
    """The skull, and hair that hangs behind neck and shoulders."""
    unit = head.unit
    if hair.kind in ("long", "veil"):
        side = np.array([[-0.9, -0.9], [-1.02, -0.3], [-1.04, 0.3], [-1.08, hair.length]])
        if hair.kind == "veil":
            side = np.array([[-0.95, -0.9], [-1.0, -0.3], [-0.98, 0.5], [-1.3, 2.0], [-1.6, 4.0]])
        left = np.column_stack([side, np.full(len(side), -0.75)])
        right = left[::-1] * (-1, 1, 1)
        curtain = spline(np.concatenate([head.project(left), head.project(right)]))
        canvas.fill(_rough(rng, curtain, 0.02 * unit, 24), hair.texture, blur=0.01 * unit)


def draw_hair_around(
    canvas: Canvas, head: Head, look: Look, hair: Hair, rng: np.random.Generator
) -> None:
    """Hair and skull behind ears and face, over the neck."""
    unit = head.unit
    skull = _cap(head, 1.0, -0.2, 0.2)
    canvas.fill(skull, look.skin * 0.97)
    if hair.kind == "bald":
        if look.age > 0.4:
            ring = _cap(head, 1.02, -9.0, 0.2)
            canvas.fill(ring, hair.texture, alpha=0.5, blur=0.03 * unit)
        return
    if hair.kind == "buzz":
        canvas.fill(_cap(head, 1.01, -0.5, 0.2), hair.texture, alpha=0.75, blur=0.012 * unit)
        return
    if hair.kind == "bun":
        bun = ellipse(head.project(np.array([[0, -1.65, -0.9]]))[0], *(np.eye(2) * 0.36 * unit))
        canvas.fill(_rough(rng, bun, 0.02 * unit, 16), hair.texture, blur=0.008 * unit)
    roughness = {"curly": 0.06, "quiff": 0.04, "short": 0.025}.get(hair.kind, 0.012)
    crown = _cap(head, hair.volume, -0.55, 0.25)
    canvas.fill(_rough(rng, crown, roughness * unit, 36), hair.texture, blur=0.008 * unit)
    if hair.kind == "veil":
        chin = head.landmarks[2:15] + (head.landmarks[8] - head.landmarks[27]) * 0.1
        low = head.torso.project(np.array([[1.2, 1.9, -0.4], [0.0, 2.4, -0.2], [-1.2, 1.9, -0.4]]))
        canvas.fill(hull(np.concatenate([chin, low, crown])), hair.texture, blur=0.008 * unit)


def draw_hair_front(
    canvas: Canvas, head: Head, hair: Hair, face: np.ndarray, rng: np.random.Generator
) -> None:
    """The hair line on the forehead, fringe, locks and hats, over the face."""
    unit = head.unit
    line = spline(forehead_line(head, hair.height, hair.squareness))
    if hair.kind == "bald":
        return
    shadow = forehead_line(head, hair.height - 0.03, hair.squareness)
    canvas.stroke(spline(shadow), (15, 20, 35), 0.08 * unit, 0.35, 0.04 * unit, clip=face)
    if hair.kind == "buzz":
        canvas.stroke(line, hair.texture, 0.07 * unit, 0.5, 0.025 * unit)
        return
    if hair.kind in ("beanie", "cap"):
        _draw_hat(canvas, head, hair)
        return
    if hair.kind == "veil":
        edge = np.concatenate([head.landmarks[:17], forehead_line(head, hair.height)[::-1]])
        hem = spline(edge, closed=True)
        canvas.stroke(hem, hair.texture * 0.8, 0.05 * unit, 1.0, 0.008 * unit, closed=True)
        return

    # Hairs that cross the line keep it from looking cut out.
    inward = forehead_line(head, hair.height - 0.12, hair.squareness, count=91)
    roots = forehead_line(head, hair.height + 0.08, hair.squareness, count=91)
    lean = rng.integers(-5, 6)
    hairs = []
    for i in range(2, 89):
        tip = inward[int(np.clip(i + lean + rng.integers(-3, 4), 1, 89))]
        hairs.append(np.array([roots[i], roots[i] + (tip - roots[i]) * rng.uniform(0.4, 1.0)]))
    canvas.stroke(hairs, hair.texture, 0.014 * unit, alpha=0.7, blur=0.006 * unit)
    if hair.kind in ("fringe", "quiff") or (hair.kind == "curly" and rng.random() < 0.5):
        top = forehead_line(head, hair.height + 0.12, hair.squareness, count=25)
        drop = rng.uniform(0.22, 0.42) if hair.kind == "fringe" else rng.uniform(0.02, 0.14)
        tilt = rng.uniform(-0.12, 0.12)
        bottom = np.empty_like(top)
        for i in range(25):
            low = hair.height - drop + tilt * (i - 12) / 12 + rng.uniform(-0.035, 0.035)
            bottom[i] = forehead_line(head, low, 0.9, count=25)[i]
        shape = np.concatenate([spline(top, steps=2), spline(bottom[::-1], steps=4)])
        canvas.fill(shape + np.array([0, 0.02 * unit]), (15, 18, 28), 0.35, 0.03 * unit, clip=face)
        canvas.fill(shape, hair.texture, blur=0.006 * unit)
    if hair.kind == "long":
        for side in (-1, 1):
            tuck = rng.uniform(0.0, 0.12)
            # (x, y, z) down the inner edge of the lock, then up its outer edge.
            lock = np.array(
                [
                    [side * hair.parting, -1.5, -0.25],
                    [side * hair.parting + 0.05, -0.45 - hair.height, 0.02],
                    [0.6, -0.95, -0.05],
                    [0.78 + tuck, -0.4, -0.4],
                    [0.86 + tuck, 0.3, -0.45],
                    [0.7 + tuck, hair.length, -0.4],
                    [1.16, hair.length, -0.55],
                    [1.08, 0.0, -0.6],
                    [0.98, -0.9, -0.65],
                    [0.5, -1.5, -0.6],
                ]
            )
            shape = head.project(lock * (side, 1, 1))
            canvas.fill(
                _rough(rng, spline(shape, True), 0.015 * unit, 24), hair.texture, blur=0.008 * unit
            )


def _draw_hat(canvas: Canvas, head: Head, hair: Hair) -> None:
    unit = head.unit
    rim = -0.42 - hair.height * 0.8
    points, flat = skull_points(head, 1.1)
    dome = hull(flat[points[:, 1] < rim])
    canvas.fill(dome, hair.texture, blur=0.006 * unit)
    if hair.kind == "beanie":
        band = hull(flat[(points[:, 1] < rim) & (points[:, 1] > rim - 0.3)])
        canvas.fill(band, hair.texture * 0.8, blur=0.008 * unit)
        return
    brim = np.array(
        [
            [-0.74, rim + 0.02, -0.1],
            [-0.62, rim + 0.16, 0.35],
            [0, rim + 0.2, 0.6],
            [0.62, rim + 0.16, 0.35],
            [0.74, rim + 0.02, -0.1],
            [0.4, rim - 0.02, 0.2],
            [0, rim - 0.05, 0.28],
            [-0.4, rim - 0.02, 0.2],
        ]
    )
    canvas.fill(spline(head.project(brim), True), hair.texture * 0.65, blur=0.006 * unit)
