"""The active shape model: measured numbers, and what softening must and must not change."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.metrics import nme, normalizing_distance
from landmark_kd.landmarks.procrustes import Align
from landmark_kd.landmarks.scheme import SCHEMES
from landmark_kd.soft_landmarks.shape_model import ShapeModel
from tests.support.prepared_faces import real_shapes

ALIGNMENTS: list[Literal["similarity", "none"]] = ["similarity", "none"]


@pytest.fixture(scope="module")
def shapes() -> np.ndarray:
    return real_shapes(300)


@pytest.fixture(scope="module")
def real(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """300-W's 3148 train and 689 test shapes."""
    with np.load(shared / "data/shapes/300w_68.npz", allow_pickle=False) as stored:
        names, points = stored["name"], stored["pts"].astype(float)
    train = np.array([n.startswith("AFW") or "/trainset/" in n for n in names])
    assert train.sum() == 3148
    return points[train], points[~train]


def moved(model: ShapeModel, shapes: np.ndarray) -> float:
    distance = normalizing_distance(shapes, SCHEMES[68])
    return float(nme(model.soften(shapes), shapes, distance).mean())


def similarity(shapes: np.ndarray, scale: float, angle: float, shift: float) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * shapes @ turn.T + shift


# Measured when the project was designed (DESIGN section 3).
@pytest.mark.parametrize(
    ("variance", "modes", "train_nme", "test_nme"),
    [(0.80, 5, 3.68, 3.91), (0.90, 10, 2.69, 2.92), (0.95, 17, 1.97, 2.17), (0.99, 45, 0.90, 1.07)],
)
def test_on_300w_it_keeps_the_modes_and_moves_landmarks_as_far_as_measured(
    real: tuple[np.ndarray, np.ndarray],
    variance: float,
    modes: int,
    train_nme: float,
    test_nme: float,
) -> None:
    train, test = real
    model = ShapeModel.fit(train, variance)
    assert len(model.modes) == modes
    assert moved(model, train) == pytest.approx(train_nme, abs=0.12)
    assert moved(model, test) == pytest.approx(test_nme, abs=0.12)


def test_on_300w_without_alignment_it_keeps_four_modes_of_crop_coordinates(
    real: tuple[np.ndarray, np.ndarray],
) -> None:
    boxes = geometry.landmarks_box(real[0])
    crops = np.stack([geometry.square_crop(box, 0.25, 224) for box in boxes])
    in_crop = geometry.to_network(geometry.apply(crops, real[0]), 224)
    model = ShapeModel.fit(in_crop, 0.9, align="none")
    assert len(model.modes) == 4
    assert moved(model, in_crop) == pytest.approx(5.2, abs=0.1)


@pytest.mark.parametrize("align", ALIGNMENTS)
@pytest.mark.parametrize("limit", [3.0, 0.5])
def test_softening_a_soft_shape_leaves_it_as_it_is(
    shapes: np.ndarray, align: Align, limit: float
) -> None:
    model = ShapeModel.fit(shapes, 0.9, align, limit)
    once = model.soften(shapes)
    assert np.abs(once - shapes).max() > 1
    np.testing.assert_allclose(model.soften(once), once, rtol=0, atol=1e-9)


def test_softening_moves_with_the_shapes_similarity(shapes: np.ndarray) -> None:
    model = ShapeModel.fit(shapes)
    elsewhere = similarity(shapes, 0.01, 1.0, -3.0)
    np.testing.assert_allclose(
        model.soften(elsewhere), similarity(model.soften(shapes), 0.01, 1.0, -3.0), atol=1e-9
    )


def test_a_fit_does_not_depend_on_where_each_training_shape_lies(shapes: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    scattered = np.stack(
        [similarity(s, rng.uniform(0.2, 5), rng.uniform(-1, 1), rng.normal()) for s in shapes]
    )
    model, other = ShapeModel.fit(shapes), ShapeModel.fit(scattered)
    assert len(model.modes) == len(other.modes)
    np.testing.assert_allclose(model.soften(shapes), other.soften(shapes), atol=1e-6)


def test_the_mean_shape_stands_upright_whatever_shape_comes_first(shapes: np.ndarray) -> None:
    first_turned = np.concatenate([similarity(shapes[:1], 1, 2.5, 0), shapes])
    mean = ShapeModel.fit(first_turned).mean
    eyes = mean[45] - mean[36]
    assert abs(np.arctan2(eyes[1], eyes[0])) < np.radians(5)
    np.testing.assert_allclose(mean.mean(axis=0), 0, atol=1e-12)
    assert np.linalg.norm(mean) == pytest.approx(1)


def test_modes_are_orthonormal_and_free_of_shift_size_and_rotation(shapes: np.ndarray) -> None:
    model = ShapeModel.fit(shapes, 0.99)
    modes = model.modes.reshape(len(model.modes), -1)
    np.testing.assert_allclose(modes @ modes.T, np.eye(len(modes)), atol=1e-10)
    turned = np.stack([-model.mean[:, 1], model.mean[:, 0]], axis=1)
    for direction in (model.mean, turned):
        np.testing.assert_allclose(modes @ direction.ravel(), 0, atol=1e-10)
    np.testing.assert_allclose(model.modes.sum(axis=1), 0, atol=1e-10)


def test_all_modes_without_a_limit_give_the_shapes_back(shapes: np.ndarray) -> None:
    for align in ALIGNMENTS:
        model = ShapeModel.fit(shapes, 1.0, align, limit=100.0)
        np.testing.assert_allclose(model.soften(shapes), shapes, atol=1e-6)


def test_modes_are_the_fewest_that_explain_the_variance(shapes: np.ndarray) -> None:
    for variance in (0.5, 0.9, 0.97):
        model = ShapeModel.fit(shapes, variance)
        assert model.explained >= variance
        assert model.truncated(len(model.modes) - 1).explained < variance
        assert len(model.variances) == len(model.modes)


def test_coefficients_are_clipped_to_the_limit() -> None:
    # One mode: the upper of three points on a line moves up and down.
    line = np.zeros((200, 4, 2))
    line[:, :, 0] = [0, 1, 2, 3]
    height = np.random.default_rng(0).standard_normal(200)
    line[:, 1, 1] = height
    model = ShapeModel.fit(line, 1.0, align="none", limit=2.0)
    assert len(model.modes) == 1
    bound = 2.0 * height.std(ddof=1)
    np.testing.assert_allclose(
        model.soften(line)[:, 1, 1],
        np.clip(height, height.mean() - bound, height.mean() + bound),
        atol=1e-12,
    )


def test_a_saved_model_softens_to_the_same_bits(shapes: np.ndarray, tmp_path: Path) -> None:
    model = ShapeModel.fit(shapes, 0.95, limit=2.5)
    model.save(tmp_path / "model.npz")
    loaded = ShapeModel.load(tmp_path / "model.npz")
    assert (loaded.align, loaded.limit) == ("similarity", 2.5)
    np.testing.assert_array_equal(loaded.soften(shapes), model.soften(shapes))


def test_a_missing_or_damaged_file_is_named(shapes: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    with pytest.raises(UserError, match=r"model\.npz is missing"):
        ShapeModel.load(path)
    ShapeModel.fit(shapes).save(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"model\.npz holds no shape model"):
        ShapeModel.load(path)
    np.savez(path, mean=np.zeros((68, 2)))
    with pytest.raises(UserError, match="holds no shape model"):
        ShapeModel.load(path)


def test_shapes_that_cannot_be_fitted_are_refused(shapes: np.ndarray) -> None:
    hole = shapes.copy()
    hole[3, 5, 1] = np.nan
    point = shapes.copy()
    point[7] = 4.0
    cases = [
        (shapes[0], r"must be \(N, K, 2\)"),
        (shapes[:, :, :1], r"must be \(N, K, 2\)"),
        (hole, "shape 3 has coordinates that are not finite"),
        (point, "shape 7 are one point"),
        (shapes[:1], "at least two"),
        (shapes[:0], "at least two"),
        (np.repeat(shapes[:1], 5, axis=0), "do not differ"),
    ]
    for bad, message in cases:
        with pytest.raises(ValueError, match=message):
            ShapeModel.fit(bad)


def test_arguments_out_of_range_are_refused(shapes: np.ndarray) -> None:
    for variance in (0.0, 1.1, np.nan):
        with pytest.raises(ValueError, match="variance is"):
            ShapeModel.fit(shapes, variance)
    with pytest.raises(ValueError, match="limit is"):
        ShapeModel.fit(shapes, limit=0)
    with pytest.raises(ValueError, match="align is 'affine'"):
        ShapeModel.fit(shapes, align="affine")  # type: ignore[arg-type]


def test_shapes_that_cannot_be_softened_are_refused(shapes: np.ndarray) -> None:
    model = ShapeModel.fit(shapes)
    with pytest.raises(ValueError, match="67 landmarks, the shape model 68"):
        model.soften(shapes[:, 1:])
    with pytest.raises(ValueError, match="one point"):
        model.soften(np.ones((1, 68, 2)))
    with pytest.raises(ValueError, match="not finite"):
        model.soften(np.full((1, 68, 2), np.inf))


def test_no_shapes_soften_to_no_shapes(shapes: np.ndarray) -> None:
    assert ShapeModel.fit(shapes).soften(shapes[:0]).shape == (0, 68, 2)
