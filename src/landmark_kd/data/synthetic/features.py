"""The features of a face, each painted on its landmarks: eyes, brows, nose, mouth and beard.

Lengths are in head units (`Head.unit` pixels, the outer eye corners' distance). `face` is always
the (S, S) uint8 mask of the face's skin, which `draw_skin` returns.
"""

from __future__ import annotations

import numpy as np

from landmark_kd.data.synthetic.canvas import Canvas, ellipse, noise, spline, tinted
from landmark_kd.data.synthetic.head import Look
from landmark_kd.data.synthetic.shape import Head

WHITE = np.array([255.0, 255.0, 255.0])
PUPIL = np.full(3, 8.0)
LASH_SHADOW = np.full(3, 20.0)


def draw_eye(
    canvas: Canvas,
    head: Head,
    look: Look,
    eye: np.ndarray,
    gaze: np.ndarray,
    *,
    face: np.ndarray,
) -> None:
    """One eye on its six landmarks, in the order outer or inner corner, upper lid, corner, lower.

    Args:
        canvas: where to.
        head: the head.
        look: colours.
        eye: (6, 2) pixels.
        gaze: (2,) shift of the iris from the eye's middle, units.
        face: the face's mask.
    """
    unit = head.unit
    corners = eye[3] - eye[0]
    length = float(np.linalg.norm(corners))
    along = corners / max(length, 1e-6)
    down = np.array([-along[1], along[0]])
    middle = eye.mean(axis=0)
    upper, lower = spline(eye[:4]), spline(eye[[3, 4, 5, 0]])
    opening = float((eye[[4, 5]].mean(axis=0) - eye[[1, 2]].mean(axis=0)) @ down) / unit

    # Sockets lie in the brow's shadow.
    socket = ellipse(middle - down * 0.05 * unit, along * 0.72 * length, down * 0.14 * unit)
    canvas.fill(socket, look.skin * (0.45, 0.46, 0.54), 0.55, blur=0.06 * unit, clip=face)
    lid = np.concatenate([upper, spline((eye[:4] - down * 0.07 * unit)[::-1])])
    shade = (look.lip * 0.5 + look.hair * 0.3) if look.made_up else look.skin * (0.6, 0.62, 0.72)
    canvas.fill(lid, shade, 0.5, blur=0.012 * unit, clip=face)
    crease = spline(eye[:4] - down * 0.062 * unit)
    canvas.stroke(crease, look.skin * 0.4, 0.018 * unit, alpha=0.6, blur=0.006 * unit, clip=face)

    if opening > 0.025:
        ball = canvas.mask([np.concatenate([upper, lower])])
        canvas.fill(np.concatenate([upper, lower]), np.array([205.0, 212.0, 220.0]))
        # A turned eye's iris is as narrow as the eye itself.
        narrow = np.clip(length / (0.29 * unit), 0.45, 1.0)
        radius = 0.072 * unit
        iris = middle + along * gaze[0] * unit * narrow + down * (gaze[1] - 0.004) * unit
        across, upright = along * radius * narrow, down * radius
        canvas.fill(ellipse(iris, across, upright), look.iris * 0.5, clip=ball)
        canvas.fill(ellipse(iris, across * 0.82, upright * 0.82), look.iris * 1.15, clip=ball)
        canvas.fill(ellipse(iris, across * 0.48, upright * 0.48), PUPIL, clip=ball)
        canvas.stroke(
            upper + down * 0.012 * unit, LASH_SHADOW, 0.035 * unit, 0.5, 0.012 * unit, clip=ball
        )
        spark = iris + along * look.light[0] * 0.035 * unit - down * 0.03 * unit
        canvas.fill(ellipse(spark, *(np.eye(2) * 0.016 * unit)), WHITE, 0.95, clip=ball)
        corner = (
            eye[3]
            if np.linalg.norm(eye[3] - head.landmarks[27])
            < np.linalg.norm(eye[0] - head.landmarks[27])
            else eye[0]
        )
        canvas.fill(
            ellipse(corner, *(np.eye(2) * 0.02 * unit)), look.skin * (0.5, 0.5, 0.8), clip=ball
        )
    lash = look.hair * 0.25
    canvas.stroke(lower, look.skin * (0.35, 0.36, 0.45), 0.014 * unit, alpha=0.75)
    canvas.stroke(upper, lash, (0.04 if look.made_up else 0.028) * unit, alpha=0.95)


def draw_eyes(
    canvas: Canvas, head: Head, look: Look, face: np.ndarray, rng: np.random.Generator
) -> None:
    """Both eyes, looking the same way."""
    gaze = np.clip(rng.normal(0, (0.03, 0.012)), -0.06, 0.06)
    draw_eye(canvas, head, look, head.landmarks[36:42], gaze, face=face)
    draw_eye(canvas, head, look, head.landmarks[42:48], gaze, face=face)


def draw_brows(canvas: Canvas, head: Head, look: Look, rng: np.random.Generator) -> None:
    """Brows whose middle line runs through their five landmarks."""
    unit, points = head.unit, head.landmarks
    thick = rng.uniform(0.025, 0.06) * (0.8 if look.made_up else 1.0)
    colour = np.clip(look.hair * rng.uniform(0.45, 0.85), 10, 140)
    for brow, outward in ((points[17:22], 1), (points[22:27], -1)):
        line = spline(brow[::outward])  # from the temple to the nose
        tangent = np.gradient(line, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
        normal = np.column_stack([-tangent[:, 1], tangent[:, 0]])
        width = np.interp(np.linspace(0, 1, len(line)), [0, 0.5, 0.92, 1], [0.25, 0.85, 1, 0.6])
        half = normal * (width * thick * unit)[:, None]
        shape = np.concatenate([line + half, (line - half)[::-1]])
        canvas.fill(shape, colour, alpha=0.55, blur=0.02 * unit)
        canvas.fill(shape, colour, alpha=0.7, blur=0.006 * unit)
        hairs = [
            np.array([line[i] + half[i] * 0.9, line[max(i - 2, 0)] - half[i] * 1.1])
            for i in range(1, len(line), 2)
        ]
        canvas.stroke(hairs, colour * 0.6, 0.01 * unit, alpha=0.6)


def draw_nose(
    canvas: Canvas, head: Head, look: Look, face: np.ndarray, rng: np.random.Generator
) -> None:
    """Ridge, flanks, wings and nostrils."""
    unit, points = head.unit, head.landmarks
    up = points[27] - points[33]
    up = up / (np.linalg.norm(up) + 1e-9)
    dark, bright = look.skin * (0.5, 0.52, 0.6), np.minimum(look.skin * 1.16 + 10, 255)
    ridge, tip, base = points[27:31], points[30], points[31:36]
    wing_points = {}
    for side, wing, corner, sign in ((0, 31, 39, -1), (1, 35, 42, 1)):
        flank = np.array(
            [
                points[27] * 0.75 + points[corner] * 0.25,
                points[28] * 0.8 + points[corner] * 0.2,
                points[29] * 0.55 + points[wing] * 0.45,
                points[wing] + up * 0.1 * unit,
                points[30] * 0.6 + points[wing] * 0.4,
                points[29],
                points[28],
            ]
        )
        turned_away = np.clip(0.35 - 0.9 * sign * look.light[0], 0.15, 0.9)
        canvas.fill(flank, dark, 0.6 * turned_away, blur=0.03 * unit, clip=face)
        across = points[wing] - points[33]
        arc = np.array(
            [
                points[wing] + up * 0.13 * unit - across * 0.1,
                points[wing] + up * 0.07 * unit + across * 0.22,
                points[wing] + across * 0.12,
                points[wing],
            ]
        )
        wing_points[side] = arc
        canvas.stroke(spline(arc), dark * 0.8, 0.028 * unit, 0.75, 0.012 * unit, clip=face)
    canvas.stroke(spline(ridge), bright, 0.07 * unit, 0.5, 0.03 * unit, clip=face)
    canvas.fill(ellipse(tip, *(np.eye(2) * 0.05 * unit)), bright, 0.5, 0.03 * unit, clip=face)

    under = np.concatenate([spline(base), spline(base)[::-1] - up * 0.06 * unit])
    canvas.fill(under, look.skin * (0.45, 0.45, 0.52), 0.55, blur=0.025 * unit, clip=face)
    canvas.stroke(spline(base), dark * 0.85, 0.02 * unit, 0.7, 0.006 * unit, clip=face)
    size = rng.uniform(0.75, 1.1)
    for wing, inner in ((31, 32), (35, 34)):
        centre = 0.35 * points[wing] + 0.65 * points[inner] + up * 0.018 * unit
        across = (points[inner] - points[wing]) * 0.5 * size
        nostril = ellipse(centre, across, up * 0.024 * unit * size)
        canvas.fill(nostril, look.skin * (0.16, 0.16, 0.22), 0.92, blur=0.006 * unit, clip=face)


def draw_mouth(
    canvas: Canvas, head: Head, look: Look, face: np.ndarray, rng: np.random.Generator
) -> None:
    """Lips between their outer and inner landmarks; teeth and tongue where they part."""
    unit, points = head.unit, head.landmarks
    outer_up, outer_low = spline(points[48:55]), spline(points[[*range(54, 60), 48]])
    inner_up, inner_low = spline(points[60:65]), spline(points[[64, 65, 66, 67, 60]])
    down = (points[8] - points[33]) / np.linalg.norm(points[8] - points[33])

    below = outer_low + down * 0.05 * unit
    canvas.stroke(
        below[6:-6], look.skin * (0.5, 0.5, 0.58), 0.06 * unit, 0.6, 0.03 * unit, clip=face
    )
    groove = np.array([points[33] + down * 0.04 * unit, points[51]])
    canvas.stroke(groove, look.skin * (0.7, 0.7, 0.76), 0.05 * unit, 0.4, 0.02 * unit, clip=face)

    upper = np.concatenate([outer_up, inner_up[::-1]])
    lower = np.concatenate([outer_low, inner_low[::-1]])
    canvas.fill(upper, look.lip * 0.8, blur=0.004 * unit)
    canvas.fill(lower, look.lip * 0.98, blur=0.004 * unit)
    canvas.stroke(outer_low, look.lip * 0.7, 0.014 * unit, 0.5)
    canvas.stroke(outer_up, look.lip * 0.7, 0.012 * unit, 0.4)
    shine = 0.45 * points[[65, 66, 67]] + 0.55 * points[[56, 57, 58]]
    gloss = np.minimum(look.lip * 1.35 + 18, 255)
    canvas.stroke(spline(shine), gloss, 0.035 * unit, 0.65, 0.014 * unit)

    opening = np.concatenate([inner_up, inner_low])
    gap = float(((points[65:68] - points[[63, 62, 61]]) @ down).mean()) / unit
    if gap > 0.015:
        hollow = canvas.mask([opening])
        canvas.fill(opening, np.array([22.0, 16.0, 40.0]))
        if gap > 0.12:
            tongue = points[66] + down * 0.01 * unit
            shape = ellipse(tongue, (points[64] - points[60]) * 0.3, down * 0.32 * gap * unit)
            canvas.fill(shape, np.array([90.0, 80.0, 165.0]), 0.85, 0.012 * unit, clip=hollow)
        if rng.random() < 0.8:
            depth = min(rng.uniform(0.35, 0.95) * gap, 0.11) * unit
            drop = down * depth * np.sin(np.linspace(0, np.pi, len(inner_up)))[:, None] ** 0.5
            teeth = np.concatenate([inner_up, inner_up[::-1] + drop])
            canvas.fill(teeth, np.array([195.0, 215.0, 222.0]), 0.95, 0.006 * unit, clip=hollow)
        canvas.stroke(inner_up, look.lip * 0.35, 0.016 * unit, 0.7)
        canvas.stroke(inner_low, look.lip * 0.5, 0.012 * unit, 0.6)
    else:
        canvas.stroke(inner_up, look.lip * 0.28, 0.024 * unit, 0.95)
    for corner in (48, 54):
        dot = ellipse(points[corner], *(np.eye(2) * 0.022 * unit))
        canvas.fill(dot, look.lip * 0.45, 0.6, 0.012 * unit)


def draw_beard(
    canvas: Canvas, head: Head, look: Look, face: np.ndarray, rng: np.random.Generator
) -> None:
    """Stubble, moustache, goatee or beard; a full one hides the jaw line's lower part."""
    if look.beard == "none":
        return
    unit, points = head.unit, head.landmarks
    down = (points[8] - points[33]) / np.linalg.norm(points[8] - points[33])
    side = canvas.image.shape[0]
    hairs = 1 + 0.2 * noise(rng, side // 2, side // 4, side)
    texture = tinted(look.hair * 0.8, hairs)

    moustache = np.concatenate(
        [
            points[[48]] + down * 0.03 * unit,
            points[[31, 33, 35]] + down * 0.05 * unit,
            points[[54]] + down * 0.03 * unit,
            points[53:48:-1] - down * 0.008 * unit,
        ]
    )
    cheek_line = np.array(
        [
            0.72 * points[2] + 0.28 * points[48],
            0.5 * points[3] + 0.5 * points[48],
            points[48] - (points[54] - points[48]) * 0.06,
        ]
    )
    cheek_right = np.array(
        [
            points[54] + (points[54] - points[48]) * 0.06,
            0.5 * points[13] + 0.5 * points[54],
            0.72 * points[14] + 0.28 * points[54],
        ]
    )
    under_lip = points[[59, 58, 57, 56, 55]] + down * 0.05 * unit
    whole = np.concatenate([points[2:15], cheek_right[::-1], under_lip[::-1], cheek_line[::-1]])
    tip = points[6:11]
    chin = np.concatenate([tip, points[[54]], under_lip[::-1], points[[48]]])

    soft = 0.022 * unit
    if look.beard == "stubble":
        strength = rng.uniform(0.25, 0.5)
        canvas.fill([whole], texture, strength, blur=0.04 * unit, clip=face)
        canvas.fill([moustache], texture, strength, blur=0.025 * unit, clip=face)
        return
    if look.beard != "moustache" or rng.random() < 0.3:
        clip = face
        shape = chin if look.beard in ("goatee", "moustache") else whole
        if look.beard == "full":
            hang = rng.uniform(0.1, 0.45) * unit
            lower = points[3:14] + down * hang * np.sin(np.linspace(0.3, np.pi - 0.3, 11))[:, None]
            shape = np.concatenate([points[2:3], lower, whole[12:]])
            clip = np.full_like(face, 255)
        alpha = 0.35 if look.beard == "moustache" else 0.92
        canvas.fill([shape], texture, alpha, blur=soft, clip=clip)
    if look.beard != "goatee" or rng.random() < 0.8:
        canvas.fill([moustache], texture, 0.92, blur=soft * 0.8, clip=face)
