"""Faces of photos turned further about their upright axis, for training on turned heads.

Photos show few turned heads, and small networks fail on them. Here the mean head in space is laid
on a face's 68 landmarks; its depth says how far each place of the picture moves when the head
turns, and the picture is sampled anew (face profiling, Zhu et al. 2016, "Face Alignment Across
Large Poses", by rows of the picture instead of a mesh). A head is turned away from the camera, never
back: what the photo does not show, it cannot show.

In a row of the face's own upright frame a place at distance u from the turning axis, z in front of
it, comes to u cos(a) + z sin(a). Where that goes back although u goes on, the face hides what lies
behind its edge: the farthest place so far covers it. Jaw landmarks of the averted side stay on that
edge, as people mark them; all others stay on the skin.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from landmark_kd import geometry
from landmark_kd.head_pose import cameras
from landmark_kd.synthetic_shape import JAW, SKULL_CENTRE, SKULL_RADII, front_depth, load_prior

# Degrees: how far a head is turned, and how far it may be turned in the end.
TURN = (10.0, 45.0)
FARTHEST = 55.0
# Rows and columns at which the movement is worked out; between them it is interpolated.
ROWS, COLUMNS = 17, 49
# Heights (head coordinates) and distances from the middle at which the forehead's depth is given.
FOREHEAD = ((-0.9, (-0.55, 0.0, 0.55)), (-1.25, (-0.5, 0.0, 0.5)))
# The surroundings are at rest on an ellipse so many times as large as the skull.
AT_REST = 1.45
# What is hidden is drawn together to this share of its width, so that rows can be inverted.
HIDDEN = 1e-3


@dataclass(frozen=True)
class Turned:
    """How a picture moves; points in its pixels.

    Attributes:
        frame: (2, 3) map from the picture to the face's upright frame (u, v).
        back: (2, 3) map from the upright frame to the turned picture, in which the landmarks' box
            has the centre and the longer side that it had.
        low, step: (2,) first place of the table in u and v, and the distance between places.
        moved, visible: (ROWS, COLUMNS) where the places go in u, and where the edge that covers
            them goes.
        found: (ROWS, COLUMNS) which u comes to each place.
    """

    frame: np.ndarray
    back: np.ndarray
    low: np.ndarray
    step: np.ndarray
    moved: np.ndarray
    visible: np.ndarray
    found: np.ndarray

    def points(self, points: np.ndarray) -> np.ndarray:
        """Move landmarks (…, 68, 2)."""
        upright = geometry.apply(self.frame, points)
        flat = upright.reshape(-1, 2)
        jaw = np.zeros(points.shape[:-1], bool)
        jaw[..., JAW] = True
        u = np.where(jaw.ravel(), self._at(self.visible, flat), self._at(self.moved, flat))
        turned = np.stack([u, flat[:, 1]], axis=1).reshape(points.shape)
        return geometry.apply(self.back, turned)

    def picture(self, picture: np.ndarray) -> np.ndarray:
        """Sample the turned picture (S, S, 3) uint8."""
        height, width = picture.shape[:2]
        # Wherever a pixel of the turned picture lies in the frame, and from which u it comes.
        to_frame = geometry.invert(self.back)
        x, y = np.arange(width), np.arange(height)[:, None]
        u = to_frame[0, 0] * x + to_frame[0, 1] * y + to_frame[0, 2]
        v = to_frame[1, 0] * x + to_frame[1, 1] * y + to_frame[1, 2]
        came = cv2.remap(
            self.found.astype(np.float32),
            ((u - self.low[0]) / self.step[0]).astype(np.float32),
            ((v - self.low[1]) / self.step[1]).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        to_picture = geometry.invert(self.frame)
        from_x = to_picture[0, 0] * came + to_picture[0, 1] * v + to_picture[0, 2]
        from_y = to_picture[1, 0] * came + to_picture[1, 1] * v + to_picture[1, 2]
        return cv2.remap(
            picture,
            from_x.astype(np.float32),
            from_y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def _at(self, table: np.ndarray, upright: np.ndarray) -> np.ndarray:
        """Read a table at points (N, 2) of the frame; what lies outside moves as the rim does."""
        column, row = ((upright - self.low) / self.step).T
        column = np.clip(column, 0, COLUMNS - 1.001)
        row = np.clip(row, 0, ROWS - 1.001)
        c, r = column.astype(int), row.astype(int)
        right, down = column - c, row - r
        upper = table[r, c] * (1 - right) + table[r, c + 1] * right
        lower = table[r + 1, c] * (1 - right) + table[r + 1, c + 1] * right
        inside = upper * (1 - down) + lower * down
        # A point beyond the table keeps its distance from the rim.
        return inside + (upright[:, 0] - (self.low[0] + column * self.step[0]))


def draw_turn(landmarks: np.ndarray, side: int, rng: np.random.Generator) -> Turned | None:
    """Draw by how much a face is turned further; None where it is turned too far already.

    Args:
        landmarks: (68, 2) of the 300-W scheme, pixels of the picture.
        side: of the square picture, pixels.
    """
    prior = load_prior()
    inner = np.delete(np.arange(len(prior.mean)), JAW)
    middle = prior.mean[inner].mean(axis=0)
    centre = landmarks[inner].mean(axis=0)
    scales, rotations = cameras((landmarks[inner] - centre)[None], prior.mean[inner] - middle)
    scale, rotation = float(scales[0]), rotations[0]
    yaw = float(np.degrees(np.arctan2(-rotation[2, 0], rotation[2, 2])))
    share, other_way = rng.random(2).tolist()
    amount = TURN[0] + (TURN[1] - TURN[0]) * share
    way = np.sign(yaw) or 1.0
    if abs(yaw) < TURN[0] and other_way < 0.5:
        way = -way
    amount = min(amount, FARTHEST - abs(yaw))
    if amount < TURN[0]:
        return None
    return _turned(landmarks, centre, scale, rotation, middle, way * np.radians(amount), side)


def _turned(
    landmarks: np.ndarray,
    centre: np.ndarray,
    scale: float,
    rotation: np.ndarray,
    middle: np.ndarray,
    angle: float,
    side: int,
) -> Turned:
    """Work out the movement; `angle` in radians, positive where the nose goes to the right."""
    prior = load_prior()
    down = rotation[:2, 1] / np.linalg.norm(rotation[:2, 1])
    linear = np.array([[down[1], -down[0]], [down[0], down[1]]])
    frame = np.column_stack([linear, -linear @ centre])
    upright = geometry.apply(frame, landmarks)

    def seen(head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places (N, 2) in the frame and depths (N,) of points in head coordinates."""
        turned = scale * (head - middle) @ rotation.T
        return turned[:, :2] @ linear.T, turned[:, 2]

    _, depth = seen(prior.mean)
    forehead = np.array([(x, y, float(front_depth(y))) for y, xs in FOREHEAD for x in xs])
    places, depths = seen(forehead)
    # The axis goes through the ends of the jaw, at the ears, which therefore hardly move.
    axis_depth = depth[[0, 16]].mean()
    axis = upright[[0, 16], 0].mean()
    known = np.concatenate([upright, places])
    z = np.concatenate([depth, depths]) - axis_depth
    movement = (known[:, 0] - axis) * (np.cos(angle) - 1) + z * np.sin(angle)
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    # From the top of the skull to the chin.
    head = np.array([0.0, (SKULL_CENTRE[1] - SKULL_RADII[1] + prior.mean[8, 1]) / 2, 0.0])
    skull, _ = seen(head[None])
    ring = skull + AT_REST * scale * SKULL_RADII[:2] * (1.0, 1.3) * np.stack(
        [np.cos(around), np.sin(around)], axis=1
    )
    field = RBFInterpolator(
        np.concatenate([known, ring]) / scale,
        np.concatenate([movement, np.zeros(len(ring))]) / scale,
        kernel="thin_plate_spline",
        smoothing=1e-3,
    )

    corners = geometry.apply(
        frame, np.array([[0, 0], [side - 1, 0], [0, side - 1], [side - 1, side - 1]], float)
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    u = np.linspace(low[0], high[0], COLUMNS)
    v = np.linspace(low[1], high[1], ROWS)
    grid = np.stack(np.meshgrid(u, v), axis=-1)
    offset = np.abs((grid - skull[0]) / (AT_REST * scale * SKULL_RADII[:2] * (1.0, 1.3)))
    inside = np.linalg.norm(offset, axis=-1) < 1
    at_rest = np.where(inside, field(grid.reshape(-1, 2) / scale).reshape(ROWS, COLUMNS), 0.0)
    moved = u + at_rest * scale
    step = np.array([u[1] - u[0], v[1] - v[0]])
    # From the near side to the averted one, each place is covered by what has come farther.
    slope = HIDDEN * step[0] * np.arange(COLUMNS)
    if angle > 0:
        visible = np.maximum.accumulate(moved - slope, axis=1) + slope
    else:
        visible = np.minimum.accumulate((moved - slope)[:, ::-1], axis=1)[:, ::-1] + slope
    found = np.stack([np.interp(u, row, u) for row in visible])
    turned = Turned(frame, geometry.invert(frame), low, step, moved, visible, found)
    box, was = (geometry.landmarks_box(p) for p in (turned.points(landmarks), landmarks))
    grown = np.ptp(was.reshape(2, 2), axis=0).max() / np.ptp(box.reshape(2, 2), axis=0).max()
    centred = np.column_stack(
        [np.eye(2) * grown, (was[:2] + was[2:]) / 2 - grown * (box[:2] + box[2:]) / 2]
    )
    return Turned(frame, geometry.compose(centred, turned.back), low, step, moved, visible, found)
