"""Faces of photos turned further about their upright axis, to learn turned heads from.

Photos show few turned heads, and small networks fail on them. Here the mean head in space is laid
on a face's 68 landmarks; its depth says how far each place of the picture moves when the head
turns, and the picture is sampled anew (face profiling, Zhu et al. 2016, "Face Alignment Across
Large Poses", by rows of the picture instead of a mesh). A head is turned further away from the
camera, never back: what a photo does not show, it cannot show.

In a row of the face's own upright frame a place at distance u from the turning axis, z in front of
it, comes to u cos(a) + z sin(a). Where that goes back although u goes on, the face hides what lies
behind its edge: the farthest place so far covers it. Jaw landmarks of the averted side stay on that
edge, as people mark them; all others stay on the skin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator, RectBivariateSpline

from landmark_kd import geometry
from landmark_kd.head_pose import cameras
from landmark_kd.synthetic_shape import JAW, SKULL_CENTRE, SKULL_RADII, front_depth, load_prior

# Degrees: how far a head is turned, and how far it may be turned in the end.
TURN = (10.0, 45.0)
FARTHEST = 55.0
# Rows and columns at which the movement is worked out; splines between them fill a finer table.
KNOWN_ROWS, KNOWN_COLUMNS = 13, 25
ROWS, COLUMNS = 37, 145
# Heights and distances from the middle at which the forehead's depth is given, head coordinates.
FOREHEAD = ((-0.9, (-0.55, 0.0, 0.55)), (-1.25, (-0.5, 0.0, 0.5)))
# The surroundings are at rest from an ellipse on, in radii of the skull: across, and up and down.
AT_REST = np.array([1.45, 1.9])
RING_PLACES = 24
# Of the movement's surface: it need not go through each landmark, whose depth is the mean head's.
SMOOTHING = 1e-3
# What is hidden is drawn together to this share of its width, so that rows can be inverted.
HIDDEN = 1e-3


@dataclass(frozen=True)
class Turned:
    """How a picture and the points in it move; both in its pixels.

    Attributes:
        frame: (2, 3) map from the picture to the face's upright frame (u, v).
        whole: (2, 3) map of the picture after that, which gives the landmarks' box the centre and
            the longer side that it had.
        low, step: (2,) first place of the tables in u and v, and the distance between places.
        moved: (ROWS, COLUMNS) the u to which the places go.
        visible: the same, but where what covers a hidden place goes; grows along each row.
    """

    frame: np.ndarray
    whole: np.ndarray
    low: np.ndarray
    step: np.ndarray
    moved: np.ndarray
    visible: np.ndarray

    @property
    def _back(self) -> np.ndarray:
        """The map (2, 3) from the upright frame to the turned picture."""
        return geometry.compose(self.whole, geometry.invert(self.frame))

    def points(self, points: np.ndarray) -> np.ndarray:
        """Move landmarks (…, 68, 2) of the 300-W scheme."""
        upright = geometry.apply(self.frame, points)
        turned = upright.copy()
        turned[..., 0] = self._at(self.moved, upright)
        turned[..., JAW, 0] = self._at(self.visible, upright[..., JAW, :])
        return geometry.apply(self._back, turned)

    def picture(self, picture: np.ndarray) -> np.ndarray:
        """Sample the turned picture (S, S, 3) uint8."""
        height, width = picture.shape[:2]
        u = self.low[0] + self.step[0] * np.arange(COLUMNS)
        # From which u each place of a row comes.
        origin = np.stack([np.interp(u, row, u) for row in self.visible]).astype(np.float32)
        x = np.arange(width, dtype=np.float32)
        y = np.arange(height, dtype=np.float32)[:, None]
        to_table = geometry.invert(self._back)
        to_table[:, 2] -= self.low
        column, row = _apply((to_table / self.step[:, None]).astype(np.float32), x, y)
        found = cv2.remap(origin, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        # Back from the frame: u as found, v as it was.
        v = row * np.float32(self.step[1]) + np.float32(self.low[1])
        from_x, from_y = _apply(geometry.invert(self.frame).astype(np.float32), found, v)
        return cv2.remap(picture, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _at(self, table: np.ndarray, upright: np.ndarray) -> np.ndarray:
        """Read a table at points (…, 2) of the frame; what lies outside moves as the rim does."""
        last = np.array([COLUMNS, ROWS]) - 1
        place = np.clip((upright - self.low) / self.step, 0, last)
        whole = np.minimum(place.astype(int), last - 1)
        right, down = np.moveaxis(place - whole, -1, 0)
        c, r = np.moveaxis(whole, -1, 0)
        upper = table[r, c] * (1 - right) + table[r, c + 1] * right
        lower = table[r + 1, c] * (1 - right) + table[r + 1, c + 1] * right
        beyond = upright[..., 0] - (self.low[0] + self.step[0] * place[..., 0])
        return upper * (1 - down) + lower * down + beyond


def draw_turn(landmarks: np.ndarray, side: int, rng: np.random.Generator) -> Turned | None:
    """Draw by how much a face is turned further; None where it is turned far already.

    Args:
        landmarks: (68, 2) of the 300-W scheme, pixels of the picture.
        side: of the square picture, pixels.
    """
    laid = _laid(landmarks)
    share, other_way = rng.random(2).tolist()
    yaw = float(np.degrees(np.arctan2(-laid.rotation[2, 0], laid.rotation[2, 2])))
    way = 1.0 if yaw >= 0 else -1.0
    if abs(yaw) < TURN[0] and other_way < 0.5:
        way = -way
    degrees = min(TURN[0] + (TURN[1] - TURN[0]) * share, FARTHEST - abs(yaw))
    if degrees < TURN[0]:
        return None
    turned = _turned(landmarks, laid, way * float(np.radians(degrees)), side)
    return replace(turned, whole=_keep_box(landmarks, turned.points(landmarks)))


@dataclass(frozen=True)
class _Laid:
    """The mean head laid on a face's landmarks, the jaw left out (see `head_pose`).

    Attributes:
        middle: (3,) the point of the head that comes to `centre` (2,) in the picture.
        scale: pixels a unit of head coordinates.
        rotation: (3, 3).
        frame: (2, 3) map from the picture to the upright frame, whose origin is `centre`.
    """

    middle: np.ndarray
    centre: np.ndarray
    scale: float
    rotation: np.ndarray
    frame: np.ndarray

    def place(self, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where points (N, 3) of the head lie in the frame (N, 2), and their depths (N,)."""
        turned = self.scale * (head - self.middle) @ self.rotation.T
        return turned[:, :2] @ self.frame[:, :2].T, turned[:, 2]


def _laid(landmarks: np.ndarray) -> _Laid:
    head = np.delete(load_prior().mean, JAW, axis=0)
    shown = np.delete(landmarks, JAW, axis=0)
    middle, centre = head.mean(axis=0), shown.mean(axis=0)
    scales, rotations = cameras((shown - centre)[None], head - middle)
    right, down = (axis := rotations[0][:2, 1] / np.linalg.norm(rotations[0][:2, 1]))[::-1], axis
    linear = np.stack([right * (1, -1), down])
    frame = np.column_stack([linear, -linear @ centre])
    return _Laid(middle, centre, float(scales[0]), rotations[0], frame)


def _turned(landmarks: np.ndarray, laid: _Laid, angle: float, side: int) -> Turned:
    """Work out the movement; `angle` in radians, positive where the nose goes to the right."""
    head = load_prior().mean
    upright = geometry.apply(laid.frame, landmarks)
    forehead = np.array([(x, y, float(front_depth(np.array(y)))) for y, xs in FOREHEAD for x in xs])
    (_, depth), (above, depth_above) = laid.place(head), laid.place(forehead)
    # The axis goes through the ends of the jaw, at the ears, which therefore hardly move.
    z = np.concatenate([depth, depth_above]) - depth[[0, 16]].mean()
    known = np.concatenate([upright, above])
    movement = (known[:, 0] - upright[[0, 16], 0].mean()) * (np.cos(angle) - 1)
    movement += z * np.sin(angle)
    # Around the middle between the top of the skull and the chin.
    top = SKULL_CENTRE[1] - SKULL_RADII[1]
    middle, _ = laid.place(np.array([[0.0, (top + head[8, 1]) / 2, 0.0]]))
    radii = laid.scale * AT_REST * SKULL_RADII[:2]
    around = np.linspace(0, 2 * np.pi, RING_PLACES, endpoint=False)
    ring = middle + radii * np.stack([np.cos(around), np.sin(around)], axis=1)
    surface = RBFInterpolator(
        np.concatenate([known, ring]) / laid.scale,
        np.concatenate([movement, np.zeros(RING_PLACES)]),
        kernel="thin_plate_spline",
        smoothing=SMOOTHING,
    )

    last = side - 1.0
    corners = np.array([[0, 0], [last, 0], [0, last], [last, last]])
    corners = geometry.apply(laid.frame, corners)
    low, high = corners.min(axis=0), corners.max(axis=0)
    some_u, some_v = (
        np.linspace(low[i], high[i], n) for i, n in enumerate((KNOWN_COLUMNS, KNOWN_ROWS))
    )
    places = np.stack(np.meshgrid(some_u, some_v), axis=-1).reshape(-1, 2)
    some = surface(places / laid.scale).reshape(KNOWN_ROWS, KNOWN_COLUMNS)
    u, v = (np.linspace(low[i], high[i], n) for i, n in enumerate((COLUMNS, ROWS)))
    outside = np.linalg.norm((np.stack(np.meshgrid(u, v), -1) - middle) / radii, axis=-1) >= 1
    moved = u + np.where(outside, 0.0, RectBivariateSpline(some_v, some_u, some)(v, u))
    step = (high - low) / (COLUMNS - 1, ROWS - 1)
    # From the side that is seen to the averted one, what has come farthest covers the rest.
    slope = HIDDEN * step[0] * np.arange(COLUMNS)
    if angle > 0:
        visible = np.maximum.accumulate(moved - slope, axis=1) + slope
    else:
        visible = np.minimum.accumulate((moved - slope)[:, ::-1], axis=1)[:, ::-1] + slope
    still = np.eye(2, 3)
    return Turned(laid.frame, still, low, step, moved, visible)


def _keep_box(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the map (2, 3) that gives the box of `after` the centre and longer side of `before`.

    Args:
        before, after: (68, 2).
    """
    (x0, y0, x1, y1), new = (geometry.landmarks_box(points) for points in (before, after))
    grown = max(x1 - x0, y1 - y0) / max(new[2] - new[0], new[3] - new[1])
    centre = np.array([x0 + x1, y0 + y1]) / 2 - grown * (new[:2] + new[2:]) / 2
    return np.column_stack([grown * np.eye(2), centre])


def _apply(matrix: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map coordinates that broadcast with each other."""
    (a, b, c), (d, e, f) = matrix
    return a * x + b * y + c, d * x + e * y + f
