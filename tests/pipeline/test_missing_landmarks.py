"""Faces with missing landmarks, from the losses to the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from landmark_kd.config.params import BoxJitterParams
from landmark_kd.core.errors import UserError
from landmark_kd.distillation.losses import KDLoss, PointsLoss
from landmark_kd.evaluation.evaluate import (
    FLOOR,
    NETWORKS,
    Evaluation,
    ced_table,
    intervals,
    metrics_table,
    per_landmark_table,
    summary,
)
from landmark_kd.faces.prepared import Faces, load_faces
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.missing import present
from landmark_kd.soft_landmarks.shape_model import ShapeModel
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.losses import REGRESSION_LOSSES, known_targets
from landmark_kd.training.trainer import measurable
from tests.support.prepared_faces import SIZE, prepared_faces, real_shapes
from tests.support.tiny_training import tiny_params, tiny_train

pytestmark = pytest.mark.seconds

WEIGHTS = {"main": 2.5, "tough": 1.0, "tolerant": 1.0}


def kd(variant: str) -> KDLoss:
    return KDLoss(variant=variant, beta=0.4, tough=(1, -0.45), tolerant=(1, -0.4), weights=WEIGHTS)


LOSSES: dict[str, KDLoss | PointsLoss] = {
    "paper": kd("paper"),
    "code": kd("code"),
    **{name: PointsLoss(loss=name, share=0.5, weights=WEIGHTS) for name in REGRESSION_LOSSES},
}


def partial(faces: Faces, *rows: int) -> Faces:
    """The faces, of some of which the jaw and the outer corner of an eye are missing."""
    landmarks = faces.landmarks.copy()
    landmarks[list(rows), :17] = np.nan
    landmarks[rows[0], 36] = np.nan
    return replace(faces, landmarks=landmarks)


@pytest.mark.parametrize("name", LOSSES)
def test_a_missing_landmark_gives_no_loss_and_no_gradient_and_others_their_own(name: str) -> None:
    rng = torch.Generator().manual_seed(0)
    hard, tough, tolerant = torch.randn(3, 4, 68, 2, generator=rng)
    missing = hard.clone()
    missing[1, 5] = torch.nan
    found = {}
    for label, target in (("all", hard), ("some", missing)):
        pred = torch.zeros(4, 68, 2, requires_grad=True)
        known = [known_targets(pred, given, target) for given in (target, tough, tolerant)]
        total, _ = LOSSES[name](pred, *known)
        total.backward()
        assert torch.isfinite(total)
        found[label] = pred.grad
    some, every = found["some"], found["all"]
    assert some is not None
    assert every is not None
    assert (some[1, 5] == 0).all()
    there = ~missing.isnan()
    assert torch.equal(some[there], every[there])


def test_soft_landmarks_of_what_is_there_are_those_of_the_whole_soft_shape() -> None:
    shapes = real_shapes(80)
    model = ShapeModel.fit(shapes[:60], 0.9)
    soft = model.soften(shapes[60:])
    holes = soft.copy()
    holes[:, 60:] = np.nan
    holes[3, :10] = np.nan
    again = model.soften(holes)
    np.testing.assert_array_equal(present(again), present(holes))
    size = np.ptp(soft, axis=1).max()
    assert np.nanmax(np.abs(again - holes)) < 1e-3 * size


def test_softening_is_the_nearest_to_the_landmarks_that_are_there() -> None:
    shapes = real_shapes(80)
    model = ShapeModel.fit(shapes[:60], 0.9, limit=1e6)
    holes = shapes[60:64].copy()
    holes[:, 30:40] = np.nan
    apart = np.nansum((model.soften(holes) - holes) ** 2, axis=(1, 2))
    # Softening as if nothing were missing stays further off.
    whole = np.nansum((model.soften(shapes[60:64]) - holes) ** 2, axis=(1, 2))
    assert (apart <= whole * (1 + 1e-6)).all()


def test_mirroring_takes_missing_landmarks_along() -> None:
    flip = np.array([1, 0, 2])
    augmenter = Augmenter(tiny_params().augment, 32, 0, flip)
    points = np.array([[[0.1, 0.1], [np.nan, np.nan], [0.0, 0.3]]])
    mirror = np.array([[-1.0, 0, 31], [0, 1, 0]])
    moved = augmenter.move(points, mirror, True)
    assert np.isnan(moved[0, 0]).all()
    np.testing.assert_allclose(moved[0, 1], [-0.1, 0.1], atol=1e-6)


def test_a_box_is_that_of_the_landmarks_that_are_there() -> None:
    points = np.array([[1.0, 9], [np.nan, np.nan], [5, 2]])
    assert geometry.landmarks_box(points).tolist() == [1, 2, 5, 9]
    assert np.isnan(geometry.landmarks_box(points * np.nan)).all()


def test_a_network_trains_on_faces_with_missing_landmarks(tmp_path: Path) -> None:
    faces = prepared_faces(tmp_path / "faces", 20, validation=4)
    some = partial(faces, 1, 7, 12)
    tiny_train(some, tmp_path / "partial")
    assert (tmp_path / "partial/model").is_dir()


def test_validation_faces_without_the_normalizer_do_not_count(tmp_path: Path) -> None:
    faces = prepared_faces(tmp_path / "faces", 6, validation=3)
    nobody = faces.landmarks.copy()
    nobody[:, 45] = np.nan
    with pytest.raises(UserError, match="none of the 3 validation faces has both outer eye"):
        measurable(replace(faces, landmarks=nobody), faces.crop_landmarks())
    some = partial(faces, 1, 2)
    assert measurable(some, some.crop_landmarks()).tolist() == [0, 2]
    assert measurable(faces, faces.crop_landmarks()).tolist() == [0, 1, 2]


def test_prepared_faces_with_missing_landmarks_are_told_from_damaged_ones(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    faces = prepared_faces(folder, 4)
    landmarks = faces.landmarks.copy()
    landmarks[2, 5] = np.nan
    np.save(folder / "landmarks.npy", landmarks)
    with pytest.raises(UserError, match="not finite"):
        load_faces(folder)
    info = json.loads((folder / "info.json").read_text())
    assert "missing_landmarks" not in info
    (folder / "info.json").write_text(json.dumps({**info, "missing_landmarks": 1}))
    assert np.isnan(load_faces(folder).landmarks[2, 5]).all()
    landmarks[2, 5, 0] = 7
    np.save(folder / "landmarks.npy", landmarks)
    with pytest.raises(UserError, match=r"landmarks\.npy"):
        load_faces(folder)


def test_tables_count_what_is_there_and_say_how_many_faces_have_an_error(tmp_path: Path) -> None:
    faces = prepared_faces(tmp_path / "faces", 8)
    some = partial(faces, 2, 5)
    noise = np.random.default_rng(0).normal(0, 3, faces.landmarks.shape)
    predictions = dict.fromkeys((*NETWORKS, FLOOR), faces.landmarks + noise)
    jitter = BoxJitterParams(shift=0, scale=0)
    evaluation = Evaluation.of(some, predictions, jitter, SIZE)
    whole = Evaluation.of(faces, predictions, jitter, SIZE)
    assert np.isnan(evaluation.errors["kd"][2])
    untouched = [0, 1, 3, 4, 6, 7]
    assert (evaluation.errors["kd"][untouched] == whole.errors["kd"][untouched]).all()
    table = metrics_table(evaluation)
    row = table["kd"]["test"]
    assert (row["n_measured"], row["n"]) == (7, 8)
    assert row["nme"] == pytest.approx(np.nanmean(evaluation.errors["kd"]), abs=1e-6)
    assert "7 of 8" in summary(evaluation, table)
    found = intervals(evaluation, resamples=200, seed=0)
    assert found["networks"]["kd"]["test"]["nme"]["value"] == pytest.approx(row["nme"], abs=1e-6)
    assert not ced_table(evaluation).isna().any().any()
    assert not per_landmark_table(evaluation).isna().any().any()
