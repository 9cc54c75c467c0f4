"""Faces that no face can be are told apart from real ones, by bounds that real faces set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import FaceRecord, Part
from landmark_kd.data.datasets.plausible import check_plausible, distances_from_others
from landmark_kd.data.inspection.check import check_data
from landmark_kd.imaging.images import ImageFile
from landmark_kd.landmarks.head import load_prior
from landmark_kd.landmarks.scheme import IBUG_68, SCHEMES
from tests.support.raw_custom import table_lines, write_table

PART = Part("train", "train", "train", None)
# A frontal face of 68 points, about 100 pixels high, from (60, 60) on.
FACE = load_prior().mean[:, :2]
FACE = 60 + 100 * (FACE - FACE.min(axis=0)) / np.ptp(FACE, axis=0).max()


def record(landmarks: np.ndarray, **more: object) -> FaceRecord:
    image = ImageFile(Path("a.jpg"))
    whole = FaceRecord("face", image, landmarks, "a", PART, where="list.csv, line 7")
    return replace(whole, **more)  # type: ignore[arg-type]


def moved(row: int, *to: float) -> np.ndarray:
    landmarks = FACE.copy()
    landmarks[row] = to
    return landmarks


def refused(face: FaceRecord) -> str:
    with pytest.raises(UserError) as caught:
        check_plausible(face, IBUG_68)
    said = str(caught.value)
    assert said.startswith("list.csv, line 7: the landmarks of face in a.jpg")
    return said


@pytest.mark.parametrize("size", [0.0, 1e-3, 5.0])
def test_a_face_without_size_is_refused_with_its_place(size: float) -> None:
    said = refused(record(FACE[:1] + size * (FACE - 60) / 100))
    assert f"lie within {size:.3g} pixels" in said
    assert "a face needs 8" in said


@pytest.mark.parametrize(("scale", "offset"), [(1 / 200, 0), (1 / 100, -1), (1 / 200, -0.5)])
def test_shares_of_the_image_have_a_message_of_their_own(scale: float, offset: float) -> None:
    said = refused(record(FACE * scale + offset))
    assert "look like shares of the image's width and height" in said
    assert "multiply x by the width" in said


@pytest.mark.parametrize("first_pixel", [0, 1])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_point_where_tools_put_missing_ones_is_named_with_the_key_to_set(
    first_pixel: int, value: float
) -> None:
    landmarks = moved(30, value - first_pixel, value - first_pixel)
    landmarks[3] = landmarks[30]
    said = refused(record(landmarks, first_pixel=first_pixel))
    assert f"point 3 (jaw_3) and 1 more lie at [{value:g}, {value:g}]" in said
    assert f"missing: [{value:g}, {value:g}]" in said


@pytest.mark.parametrize("to", [(900.0, 90.0), (-400.0, 100.0), (110.0, 1e6)])
def test_a_point_far_from_all_others_is_named_with_its_value(to: tuple[float, float]) -> None:
    said = refused(record(moved(8, *to)))
    assert "point 8 (jaw_8) lies at [" in said
    assert f"[{to[0]:.10g}, {to[1]:.10g}]" in said


def test_several_points_in_one_far_place_hide_none_of_them() -> None:
    landmarks = FACE.copy()
    landmarks[40:60] = (2000, 2000)
    assert "point 40 (left_eye_4) and 19 more" in refused(record(landmarks))


@pytest.mark.parametrize("apart", [0.0, 1e-4, 0.5])
def test_a_normalizer_of_next_to_no_length_is_refused(apart: float) -> None:
    said = refused(record(moved(45, *(FACE[36] + [apart, 0]))))
    assert "both outer eye corners in one place: points 36 and 45" in said
    assert f"{apart:.3g} pixels apart" in said


@pytest.mark.parametrize(
    "box", [(500, 500, 600, 600), (60, 60, 80, 80), (0, 0, 70, 200), (60, 150, 400, 500)]
)
def test_a_box_that_hardly_meets_the_landmarks_is_refused(box: tuple[float, ...]) -> None:
    said = refused(record(FACE, box=np.array(box, float)))
    assert "the data set's box do not fit together" in said


@pytest.mark.parametrize("box", [(60, 60, 160, 160), (0, 0, 800, 2000), (60, 60, 160, 110)])
def test_a_face_and_a_box_around_it_or_most_of_it_are_good(box: tuple[float, ...]) -> None:
    check_plausible(record(FACE, box=np.array(box, float)), IBUG_68)


def test_a_face_cut_off_at_the_corner_of_its_image_is_good() -> None:
    at_the_edge = (FACE - 75).clip(min=0)
    at_the_edge[0] = 0
    check_plausible(record(at_the_edge), IBUG_68)


@pytest.mark.parametrize("points", [300, 98, 29])
def test_all_real_shapes_are_good(shared: Path, points: int) -> None:
    files = {300: ("300w_68", "pts"), 98: ("wflw_test_98", "pts"), 29: ("cofw_29", "train")}
    name, key = files[points]
    shapes = np.load(shared / f"data/shapes/{name}.npz")[key].astype(float)
    for landmarks in shapes:
        check_plausible(record(landmarks), SCHEMES[shapes.shape[1]])


def test_no_point_is_far_from_too_few_others_to_say() -> None:
    assert not distances_from_others(np.array([[0.0, 0], [1, 0], [900, 0]])).any()


def test_a_set_in_percent_is_refused_as_a_whole_and_small_faces_in_a_corner_are_not(
    tmp_path: Path,
) -> None:
    folder = write_table(tmp_path, table_lines(["a", "b", "c"]))
    assert not check_data(folder).broken
    cv2.imwrite(str(folder / "images/p000.png"), np.zeros((300, 400, 3), np.uint8))
    assert not check_data(folder).broken
    for name in ("p001", "p002"):
        cv2.imwrite(str(folder / f"images/{name}.png"), np.zeros((300, 400, 3), np.uint8))
    with pytest.raises(UserError, match="look like percent of the image's width and height"):
        check_data(folder)
