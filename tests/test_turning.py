"""Turned heads: angles, silhouettes, and that picture and landmarks move together."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from landmark_kd import geometry
from landmark_kd.augment import Augmenter
from landmark_kd.errors import UserError
from landmark_kd.head_pose import head_pose
from landmark_kd.params import AugmentParams
from landmark_kd.synthetic_shape import JAW, load_prior, rotation_matrix
from landmark_kd.topology import IBUG_68, WFLW_98
from landmark_kd.turning import FARTHEST, TURN, draw_turn

SIDE = 160
NOSE_TIP = 30


def face(yaw: float = 0.0, roll: float = 0.0, scale: float = 55.0) -> np.ndarray:
    """The mean head's landmarks (68, 2) in a picture of SIDE pixels."""
    flat = load_prior().mean @ rotation_matrix(yaw, 0.0, roll).T
    return flat[:, :2] * scale + SIDE / 2


def yaw_of(landmarks: np.ndarray) -> float:
    return float(head_pose(landmarks[None])[0, 0])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("yaw", [-20.0, 0.0, 12.0])
def test_a_head_is_turned_further_away_by_an_angle_of_the_range(yaw: float, seed: int) -> None:
    landmarks = face(yaw)
    turned = draw_turn(landmarks, SIDE, np.random.default_rng(seed))
    assert turned is not None
    after = yaw_of(turned.points(landmarks))
    if yaw:
        assert np.sign(after) == np.sign(yaw)
    # Orthographic and with rows that move alone: some degrees are lost far out.
    gained = abs(after) - abs(yaw)
    assert TURN[0] - 3 < gained < TURN[1] + 3
    assert abs(after) < FARTHEST + 3


def test_frontal_heads_turn_to_both_sides_and_by_many_angles() -> None:
    rng = np.random.default_rng(0)
    turns = [draw_turn(face(), SIDE, rng) for _ in range(40)]
    angles = np.array([yaw_of(turned.points(face())) for turned in turns if turned])
    assert len(angles) == 40
    assert 10 <= (angles > 0).sum() <= 30
    assert np.ptp(np.abs(angles)) > 15


@pytest.mark.parametrize("yaw", [50.0, -60.0])
def test_a_head_that_is_far_turned_stays_as_it_is(yaw: float) -> None:
    assert draw_turn(face(yaw), SIDE, np.random.default_rng(0)) is None


@pytest.mark.parametrize("roll", [0.0, 25.0, -40.0])
def test_roll_and_size_of_the_face_move_the_result_with_them(roll: float) -> None:
    plain, other = face(8.0), face(8.0, roll, 40.0)
    first = draw_turn(plain, SIDE, np.random.default_rng(3))
    second = draw_turn(other, SIDE, np.random.default_rng(3))
    assert first is not None
    assert second is not None
    a, b = first.points(plain), second.points(other)
    assert yaw_of(b) == pytest.approx(yaw_of(a), abs=1.5)
    assert head_pose(b[None])[0, 2] == pytest.approx(roll, abs=3)


@pytest.mark.parametrize("seed", range(6))
def test_the_landmarks_box_keeps_its_centre_and_its_longer_side(seed: int) -> None:
    landmarks = face(5.0, 10.0)
    turned = draw_turn(landmarks, SIDE, np.random.default_rng(seed))
    assert turned is not None
    was = geometry.landmarks_box(landmarks)
    box = geometry.landmarks_box(turned.points(landmarks))
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, (was[:2] + was[2:]) / 2, atol=1e-6)
    assert (box[2:] - box[:2]).max() == pytest.approx((was[2:] - was[:2]).max())


def test_the_averted_jaw_stays_on_the_edge_of_the_face() -> None:
    landmarks = face()
    far = 0
    for seed in range(20):
        turned = draw_turn(landmarks, SIDE, np.random.default_rng(seed))
        assert turned is not None
        moved = turned.points(landmarks)
        way = np.sign(yaw_of(moved))
        if abs(yaw_of(moved)) < 25:
            continue
        far += 1
        # Turned with the skin, the jaw's end would be far behind the eye's outer corner by now.
        jaw, eye = (16, 45) if way > 0 else (0, 36)
        assert way * (moved[jaw] - moved[eye])[0] > -1
    assert far > 4


@pytest.mark.parametrize("seed", range(10))
def test_what_is_drawn_at_a_visible_landmark_is_found_where_the_landmark_went(seed: int) -> None:
    rng = np.random.default_rng(seed)
    landmarks = face(rng.uniform(-15, 15), rng.uniform(-20, 20))
    turned = draw_turn(landmarks, SIDE, rng)
    assert turned is not None
    moved = turned.points(landmarks)
    # Of the side that is seen: outer corner of the eye, corner of the mouth; and the chin.
    for point in (36, 48, 8) if yaw_of(moved) > 0 else (45, 54, 8):
        picture = np.zeros((SIDE, SIDE, 3), np.uint8)
        at = [round(float(v) * 16) for v in landmarks[point]]
        cv2.circle(picture, at, 24, (255, 255, 255), -1, cv2.LINE_AA, shift=4)
        shown = turned.picture(picture)[:, :, 0].astype(float)
        y, x = np.mgrid[:SIDE, :SIDE]
        found = np.array([(shown * x).sum(), (shown * y).sum()]) / shown.sum()
        assert np.linalg.norm(found - moved[point]) < 0.5


def test_what_surrounds_the_head_is_at_rest() -> None:
    landmarks = face(scale=35.0)
    turned = draw_turn(landmarks, SIDE, np.random.default_rng(1))
    assert turned is not None
    corners = np.tile([[2.0, 2.0]], (68, 1))
    after = turned.points(corners)
    # It moves with the whole picture alone, so that the new box comes to the old one's place.
    np.testing.assert_allclose(after, geometry.apply(turned.whole, corners), atol=1e-6)


def augmenter(turn: float, flip: np.ndarray = IBUG_68.flip) -> Augmenter:
    still = {
        "rotation": 0.0,
        "scale_min": 1.0,
        "scale_max": 1.0,
        "shift": 0.0,
        "flip": 0.0,
        "colour": 0.0,
        "blur": 0.0,
        "occlusion": 0.0,
    }
    return Augmenter(AugmentParams(**still, turn=turn), 96, 32, flip)


def test_the_augmenter_turns_the_share_of_the_faces_that_it_is_told() -> None:
    stored = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    points = geometry.to_network(face(scale=40.0) - 32, 96)[None, None]

    def turned(turn: float) -> int:
        made = augmenter(turn)
        count = 0
        for seed in range(60):
            _, moved = made([stored], points, [np.random.default_rng(seed)])
            count += not np.allclose(moved, points)
        return count

    assert turned(0.0) == 0
    assert turned(1.0) == 60
    assert 8 <= turned(0.3) <= 28


def test_a_teachers_points_turn_with_the_hard_landmarks_and_the_callers_stay() -> None:
    stored = np.zeros((SIDE, SIDE, 3), np.uint8)
    hard = geometry.to_network(face(scale=40.0) - 32, 96)
    teacher = hard + np.random.default_rng(0).normal(0, 0.004, hard.shape)
    points = np.stack([hard, hard, teacher])[None]
    given = points.copy()
    _, moved = augmenter(1.0)([stored], points, [np.random.default_rng(2)])
    np.testing.assert_array_equal(points, given)
    np.testing.assert_allclose(moved[0, 0], moved[0, 1])
    inner = np.delete(np.arange(68), JAW)
    apart = (moved[0, 2] - moved[0, 0])[inner]
    assert np.abs(apart - (teacher - hard)[inner]).max() < 0.012
    assert np.abs(moved[0, 0] - hard).max() > 0.03


def test_faces_of_another_scheme_are_not_turned() -> None:
    with pytest.raises(UserError, match=r"augment\.turn is 0\.3, .*98 of another scheme"):
        augmenter(0.3, WFLW_98.flip)
    augmenter(0.0, WFLW_98.flip)
