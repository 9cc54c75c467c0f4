"""Heads in 3D for the synthetic faces: shape, expression, pose and camera.

Head coordinates: unit is the mean face's distance of the outer eye corners (about 90 mm), x to
the right of the image, y down, z towards the viewer, origin at the centroid of the landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landmark_kd.landmarks.head import JAW, load_prior

# Skull of the mean face as an ellipsoid, head coordinates: 92 mm a unit, a head of 156 mm breadth
# and 197 mm length whose top lies 225 mm above the chin (adult means).
SKULL_CENTRE = np.array([0.0, -0.62, -0.82])
SKULL_RADII = np.array([0.85, 0.93, 1.07])

MODE_LIMIT = 2.2  # standard deviations; beyond it faces turn into caricatures
MAX_YAW, MAX_PITCH, MAX_ROLL = 40.0, 20.0, 25.0  # degrees
FACE_SPAN = (0.46, 0.58)  # longer side of the landmarks' box, of the image's width
FACE_OFFSET = 0.06  # of the box's centre from the image's centre, of the image's width
EYES = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
# (inner upper, inner lower, outer upper, outer lower) of the lips' left, middle and right.
LIP_COLUMNS = ((61, 67, 50, 58), (62, 66, 51, 57), (63, 65, 52, 56))
LIP_SIDES = ((49, 59, 0), (53, 55, 2))  # outer upper, outer lower, the column they follow
CHIN = {6: 0.4, 7: 0.8, 8: 1.0, 9: 0.8, 10: 0.4}  # share of the lower lip's way


@dataclass(frozen=True)
class Camera:
    """Weak perspective view: turn by `rotation`, scale, put the head's origin at `centre`.

    Attributes:
        rotation: (3, 3).
        scale: pixels a unit.
        centre: (2,) pixels.
        distance: from the viewer to the head, in units.
    """

    rotation: np.ndarray
    scale: float
    centre: np.ndarray
    distance: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project (..., 3) points in head coordinates to (..., 2) pixels."""
        turned = points @ self.rotation.T
        nearness = self.distance / (self.distance - turned[..., 2:])
        return turned[..., :2] * nearness * self.scale + self.centre


@dataclass(frozen=True)
class Head:
    """One sampled head.

    Attributes:
        points: (68, 3) landmarks in head coordinates, before the jaw slides to the silhouette.
        landmarks: (68, 2) pixels.
        camera: the view of the head.
        upright: the same view before roll, scale and shift.
        torso: the view of neck and shoulders, which follow a turning head only in part.
        yaw, pitch, roll: degrees; the nose of a positive yaw points right, of a positive pitch
            up; a positive roll turns the head clockwise.
        breadth: width of the jaw line, of the mean face's.
    """

    points: np.ndarray
    landmarks: np.ndarray
    camera: Camera
    upright: Camera
    torso: Camera
    yaw: float
    pitch: float
    roll: float
    breadth: float

    @property
    def unit(self) -> float:
        """Pixels a unit."""
        return self.camera.scale

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project (N, 3) points of the mean head's surroundings, fitted to this head's breadth."""
        return self.camera.project(np.asarray(points) * (self.breadth, 1.0, 1.0))

    def project_contour(self, points: np.ndarray) -> np.ndarray:
        """Project (N, 3) points of this head's outline, slid to the silhouette like the jaw."""
        flat = slide_to_silhouette(points, self.upright)
        return _rolled(flat, self.roll) * self.camera.scale + self.camera.centre


def rotation_matrix(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Turn about the vertical axis, then the horizontal one, then the line of sight (degrees)."""
    (cy, cp, cr) = np.cos(np.radians([yaw, pitch, roll]))
    (sy, sp, sr) = np.sin(np.radians([yaw, pitch, roll]))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def _rolled(flat: np.ndarray, roll: float) -> np.ndarray:
    return flat @ rotation_matrix(0.0, 0.0, roll)[:2, :2].T


def front_depth(y: np.ndarray) -> np.ndarray:
    """Depth z of the face's front, the nose left out, at heights `y`."""
    # Skull top, hair line, brows, eyes, upper lip, chin of the mean face.
    return np.interp(y, [-1.45, -1.05, -0.6, -0.4, 0.25, 0.86], [-0.5, 0.05, 0.27, 0.22, 0.24, 0.0])


def slide_to_silhouette(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Project (N, 3) contour points; those hidden behind the cheek move onto its silhouette.

    `camera` must be without roll: outward is then simply left or right.

    People mark the jaw line of the averted side where the cheek ends in the image. Each point
    may therefore wander along the face's horizontal cross-section towards the front, and stays
    where it reaches farthest out.

    Returns:
        (N, 2) pixels.
    """
    angle = np.linspace(0.0, np.pi / 2, 16)
    # Fuller than an ellipse, as cheeks are.
    along, forward = np.cos(angle) ** 0.8, np.sin(angle) ** 0.8
    front = np.maximum(front_depth(points[:, 1]), points[:, 2])
    section = np.empty((len(points), len(angle), 3))
    section[..., 0] = points[:, :1] * along
    section[..., 1] = points[:, 1:2]
    section[..., 2] = points[:, 2:] + (front - points[:, 2])[:, None] * forward
    outward = np.sign(points[:, :1] + 1e-9) * (section @ camera.rotation.T)[..., 0]
    farthest = outward.argmax(axis=1)
    return camera.project(section[np.arange(len(points)), farthest])


def _set_eye(points: np.ndarray, eye: tuple[int, ...], openness: float) -> None:
    """Scale the lids' distance from the line between the corners; lids never cross."""
    outer, upper_a, upper_b, inner, lower_b, lower_a = eye
    for upper, lower, share in ((upper_a, lower_a, 1 / 3), (upper_b, lower_b, 2 / 3)):
        line = points[outer, 1] * (1 - share) + points[inner, 1] * share
        # A lid that closes comes down to the lower one, which hardly moves.
        low = max(points[lower, 1] - line, 0.015)
        high = max(line - points[upper, 1], 0.015)
        points[lower, 1] = line + low * (0.6 + 0.4 * min(openness, 1.0))
        points[upper, 1] = line + low * 0.6 * (1 - min(openness, 1.0)) - high * openness


def _set_mouth(points: np.ndarray, openness: float, extra: float) -> None:
    """Scale the gap between the lips and add `extra` (units); lips keep their thickness."""
    moves = []
    for upper, lower, outer_upper, outer_lower in LIP_COLUMNS:
        gap = points[lower, 1] - points[upper, 1]
        wanted = max(gap, 0.0) * openness + extra
        move = wanted - gap
        moves.append(move)
        # The lower lip moves with the jaw, the upper one only a little.
        points[[lower, outer_lower], 1] += 0.75 * move
        points[[upper, outer_upper], 1] -= 0.25 * move
    for outer_upper, outer_lower, column in LIP_SIDES:
        points[outer_lower, 1] += 0.4 * moves[column]
        points[outer_upper, 1] -= 0.12 * moves[column]
    for point, share in CHIN.items():
        points[point, 1] += 0.6 * share * moves[1]


def _sample_points(rng: np.random.Generator) -> np.ndarray:
    """Sample identity and expression: (68, 3) head coordinates."""
    prior = load_prior()
    b = np.clip(rng.standard_normal(len(prior.variances)), -MODE_LIMIT, MODE_LIMIT)
    points = prior.mean.copy()
    points[:, :2] += np.tensordot(b * np.sqrt(prior.variances), prior.modes, axes=1)

    # A linear model holds few closed eyes and mouths, and lets lids and lips cross.
    blink = rng.random()
    openness = rng.uniform(0.0, 0.25) if blink < 0.1 else rng.uniform(0.85, 1.5)
    for side, eye in enumerate(EYES):
        wink = blink > 0.97 and side == int(blink > 0.985)
        _set_eye(points, eye, 0.1 if wink else openness * rng.uniform(0.93, 1.07))
    mouth = rng.random()
    if mouth < 0.4:
        _set_mouth(points, 0.0, 0.0)
    elif mouth < 0.85:
        _set_mouth(points, rng.uniform(0.4, 1.2), 0.0)
    else:
        _set_mouth(points, 1.0, rng.uniform(0.05, 0.3))
    points[17:27, 1] -= np.clip(rng.normal(0.0, 0.03), -0.05, 0.08)
    return points


def _sample_angle(rng: np.random.Generator, spread: float, limit: float) -> float:
    """Mostly near zero, for a quarter of the faces anywhere up to the limit (degrees)."""
    if rng.random() < 0.25:
        return float(rng.uniform(-limit, limit))
    return float(np.clip(rng.normal(0.0, spread), -limit, limit))


def sample_head(rng: np.random.Generator, size: int) -> Head:
    """Sample a head whose landmarks lie inside an image of `size` × `size` pixels."""
    points = _sample_points(rng)
    yaw = _sample_angle(rng, 13.0, MAX_YAW)
    pitch = _sample_angle(rng, 6.0, MAX_PITCH)
    roll = _sample_angle(rng, 7.0, MAX_ROLL)
    distance = rng.uniform(7.0, 20.0)  # 0.6 to 1.8 m
    rotation = rotation_matrix(yaw, pitch, roll)

    upright = Camera(rotation_matrix(yaw, pitch, 0.0), 1.0, np.zeros(2), distance)
    flat = upright.project(points)
    flat[JAW] = slide_to_silhouette(points[JAW], upright)
    flat = _rolled(flat, roll)

    low, high = flat.min(axis=0), flat.max(axis=0)
    scale = rng.uniform(*FACE_SPAN) * size / float((high - low).max())
    middle = (size - 1) / 2 + rng.uniform(-FACE_OFFSET, FACE_OFFSET, 2) * size
    centre = middle - scale * (low + high) / 2
    torso = rotation_matrix(0.5 * yaw, 0.2 * pitch, 0.3 * roll)
    mean = load_prior().mean
    return Head(
        points=points,
        landmarks=flat * scale + centre,
        camera=Camera(rotation, scale, centre, distance),
        upright=upright,
        torso=Camera(torso, scale, centre, distance),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        breadth=float(np.ptp(points[JAW, 0]) / np.ptp(mean[JAW, 0])),
    )
