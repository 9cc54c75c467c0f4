"""What hides parts of a face: glasses, hands and things in front of it."""

from __future__ import annotations

import numpy as np

from landmark_kd.data.synthetic.canvas import Canvas, ellipse, spline
from landmark_kd.data.synthetic.head import Look
from landmark_kd.data.synthetic.shape import EYES, Head

WHITE = np.array([255.0, 255.0, 255.0])


def draw_glasses(canvas: Canvas, head: Head, face: np.ndarray, rng: np.random.Generator) -> None:
    """Glasses or sunglasses before both eyes."""
    unit = head.unit
    dark = rng.random() < 0.3
    width, height = rng.uniform(0.2, 0.26), rng.uniform(0.12, 0.2)
    squareness = rng.uniform(0.5, 1.0)
    frame = rng.uniform(5, 60, 3) if rng.random() < 0.75 else rng.uniform(40, 210, 3)
    thick = rng.choice([0.016, 0.03, 0.05]) * unit
    flat = ellipse(np.zeros(2), np.array([width, 0]), np.array([0, height]), squareness)
    lenses, bridge = [], []
    for side, eye in ((-1, EYES[0]), (1, EYES[1])):
        middle = head.points[list(eye)].mean(axis=0) + np.array([side * 0.015, 0.03, 0.13])
        # Lenses curve back a little towards the temples.
        outline = np.column_stack([flat, -0.25 * np.maximum(side * flat[:, 0], 0)])
        lenses.append(head.camera.project(middle + outline))
        bridge.append(head.camera.project(middle + np.array([-side * width, -0.03, 0.02])))
        hinge = head.camera.project(middle + np.array([side * width, -0.04, -0.06]))
        ear = head.project(np.array([side * 0.83, -0.48, -0.75]))
        # On the averted side the arm runs behind the face.
        if side * (ear - hinge) @ (head.landmarks[45] - head.landmarks[36]) > 0:
            canvas.stroke(np.array([hinge, ear]), frame, thick, 0.9, clip=face)
    if dark:
        tint = rng.uniform(5, 60, 3)
        canvas.fill(lenses, tint, alpha=rng.uniform(0.8, 0.97))
    else:
        canvas.fill(lenses, WHITE, alpha=rng.uniform(0.02, 0.12))
    if rng.random() < 0.5:
        for lens in lenses:
            low, high = lens.min(axis=0), lens.max(axis=0)
            glint = low + (high - low) * np.array(
                [[0.2, 0.7], [0.45, 0.2], [0.6, 0.2], [0.35, 0.7]]
            )
            canvas.fill(glint, WHITE, alpha=rng.uniform(0.08, 0.4), blur=0.012 * unit)
    canvas.stroke(lenses, frame, thick, 0.95, closed=True)
    middle = np.mean(bridge, axis=0) - (0, 0.02 * unit)
    canvas.stroke(spline(np.array([bridge[0], middle, bridge[1]])), frame, thick, 0.95)


def draw_occluder(canvas: Canvas, head: Head, look: Look, rng: np.random.Generator) -> None:
    """One thing in front of the face; the points behind it stay where they are."""
    unit, points = head.unit, head.landmarks
    kind = rng.choice(["hand", "bar", "scarf", "mask", "microphone", "phone"])
    cloth = rng.uniform(15, 235, 3)
    side = rng.choice([-1, 1])
    if kind == "hand":
        _draw_hand(canvas, head, look, rng, side)
    elif kind == "bar":
        angle, middle = rng.uniform(0, np.pi), points[rng.integers(68)]
        along = np.array([np.cos(angle), np.sin(angle)]) * 4 * unit
        line = np.array([middle - along, middle + along])
        width = rng.uniform(0.08, 0.22) * unit
        canvas.stroke(line + 0.03 * unit, (15, 15, 20), width, 0.4, 0.04 * unit)
        canvas.stroke(line, cloth, width)
        canvas.stroke(line, np.minimum(cloth * 1.3, 255), width * 0.3, 0.5, 0.02 * unit)
    elif kind in ("scarf", "mask"):
        nose = points[29:31].mean(axis=0) if rng.random() < 0.6 else points[51]
        if kind == "scarf":
            nose = points[[57, 33]].mean(axis=0)
        top = np.array([0.5 * (points[1] + points[2]), nose, 0.5 * (points[14] + points[15])])
        if kind == "mask":
            cloth = np.array(
                [[225, 215, 190], [235, 235, 235], [35, 35, 38]][rng.integers(3)], float
            )
            low = points[13:2:-1] + (points[8] - points[33]) * 0.04
        else:
            low = head.torso.project(
                np.array(
                    [
                        [0.9, 0.8, -0.6],
                        [1.7, 1.6, -0.6],
                        [0.0, 4.0, -0.4],
                        [-1.7, 1.6, -0.6],
                        [-0.9, 0.8, -0.6],
                    ]
                )
            )
        shape = np.concatenate([spline(top), spline(low)])
        canvas.fill(shape, cloth, blur=0.006 * unit)
        for share in (0.3, 0.55, 0.8):
            low_line = np.array(
                [points[3], points[57] + (points[8] - points[57]) * share, points[13]]
            )
            fold = top * (1 - share) + low_line * share
            canvas.stroke(spline(fold), cloth * 0.75, 0.03 * unit, 0.6, 0.02 * unit)
    elif kind == "microphone":
        aside, below = rng.uniform((-0.1, 0.0), (0.35, 0.35)) * unit
        head_at = points[57] + np.array([side * aside, below])
        foot = head_at + np.array([side * rng.uniform(0.1, 0.9), 1.8]) * unit
        canvas.stroke(np.array([head_at, foot]), (30, 28, 28), 0.14 * unit)
        ball = np.eye(2) * 0.16 * unit
        canvas.fill(ellipse(head_at, *ball), (55, 55, 58), blur=0.006 * unit)
        canvas.fill(ellipse(head_at - 0.06 * unit, *ball * 0.4), (170, 170, 175), 0.5, 0.04 * unit)
    else:
        middle = points[[2, 14][(side + 1) // 2]] * 0.6 + points[30] * 0.4
        tilt = rng.uniform(-0.5, 0.5)
        right = np.array([np.cos(tilt), np.sin(tilt)]) * rng.uniform(0.2, 0.32) * unit
        down = np.array([-right[1], right[0]]) * rng.uniform(1.5, 2.0)
        body = ellipse(middle, right, down, 0.25)
        canvas.fill(body + 0.04 * unit, (15, 15, 20), 0.4, 0.04 * unit)
        canvas.fill(body, cloth * 0.5)
        canvas.stroke(body, cloth * 0.3, 0.02 * unit, closed=True)
        canvas.fill(
            ellipse(middle - 0.6 * down - 0.5 * right, right * 0.2, down * 0.1), (10, 10, 10)
        )


def _draw_hand(canvas: Canvas, head: Head, look: Look, rng: np.random.Generator, side: int) -> None:
    """A hand that reaches in from below or from the side."""
    unit, points = head.unit, head.landmarks
    wrist_side = points[8] + np.array([side * rng.uniform(0.3, 1.0), 0.9]) * unit
    target = points[[48, 57, 54, 4, 12, 33][rng.integers(6)]]
    along = target - wrist_side
    along = along / np.linalg.norm(along)
    across = np.array([-along[1], along[0]])
    palm = target - along * 0.45 * unit
    skin, dark = look.skin * 0.95, look.skin * (0.5, 0.5, 0.58)
    arm = [palm - along * 2.5 * unit, palm]
    canvas.stroke(np.array(arm), skin * 0.92, 0.38 * unit, blur=0.006 * unit)
    canvas.fill(ellipse(palm, across * 0.32 * unit, along * 0.36 * unit, 0.8), skin)
    for i, reach in enumerate((0.42, 0.52, 0.5, 0.38)):
        root = palm + across * (i - 1.5) * 0.15 * unit + along * 0.2 * unit
        spread = across * (i - 1.5) * 0.06
        finger = np.array([root, root + (along * reach + spread) * unit])
        canvas.stroke(finger, dark, 0.155 * unit, 0.8, 0.008 * unit)
        canvas.stroke(finger, skin, 0.125 * unit, blur=0.004 * unit)
    thumb = np.array([palm, palm + (along * 0.25 - side * across * 0.42) * unit])
    canvas.stroke(thumb, dark, 0.155 * unit, 0.8, 0.008 * unit)
    canvas.stroke(thumb, skin, 0.13 * unit, blur=0.004 * unit)
