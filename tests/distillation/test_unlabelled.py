"""Unlabelled faces beside the train faces: which are kept, and that nobody mistakes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from landmark_kd.core.errors import UserError
from landmark_kd.distillation.unlabelled import join_faces, load_unlabelled
from landmark_kd.faces.prepared import Faces
from landmark_kd.models.network import build_network
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.loader import train_loader
from landmark_kd.training.resume.fingerprint import fingerprint
from landmark_kd.training.trainer import validation_nme
from tests.support.prepared_faces import BORDER, SIZE, prepared_faces, without_landmarks
from tests.support.tiny_training import tiny_params

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return prepared_faces(tmp_path_factory.mktemp("train") / "faces", 12, validation=3)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return without_landmarks(
        prepared_faces(tmp_path_factory.mktemp("unlabelled") / "faces", 10, seed=7)
    )


def predictions(folder: Path, disagreement: np.ndarray) -> Path:
    """Write what the stage teacher_predictions does: face i has points 0.01 i, -0.01 i."""
    folder.mkdir(parents=True)
    count = len(disagreement)
    points = np.arange(count)[:, None, None] * np.full((68, 2), 0.01)
    np.save(folder / "unlabelled_tough.npy", points)
    np.save(folder / "unlabelled_tolerant.npy", -points)
    np.save(folder / "unlabelled_disagreement.npy", disagreement)
    return folder


def test_all_faces_come_with_both_teachers_points(unlabelled: Faces, tmp_path: Path) -> None:
    folder = predictions(tmp_path / "predictions", np.linspace(1, 0, 10))
    faces, points = load_unlabelled(unlabelled, folder, 1.0)
    assert faces is unlabelled
    assert points.shape == (10, 2, 68, 2)
    np.testing.assert_allclose(points[3, 0], 0.03)
    np.testing.assert_allclose(points[3, 1], -0.03)


def test_a_share_keeps_the_faces_that_the_mirror_image_changes_least(
    unlabelled: Faces, tmp_path: Path
) -> None:
    apart = np.array([5, 1, 9, 2, 8, 3, 7, 4, 6, 0]) / 100
    faces, points = load_unlabelled(unlabelled, predictions(tmp_path / "predictions", apart), 0.4)
    kept = [1, 3, 5, 9]
    assert len(faces) == 4
    np.testing.assert_allclose(points[:, 0, 0, 0], np.array(kept) / 100)
    assert faces.table["name"].tolist() == [f"face_{i:03d}" for i in kept]
    np.testing.assert_array_equal(faces.images[:], unlabelled.images[kept])
    np.testing.assert_array_equal(faces.crop_to_image, unlabelled.crop_to_image[kept])
    np.testing.assert_array_equal(faces.crops(np.array([2])), unlabelled.crops(np.array([5])))


@pytest.mark.parametrize(("keep", "count"), [(0.01, 1), (0.25, 2), (0.99, 10)])
def test_a_share_is_rounded_and_never_none(
    unlabelled: Faces, tmp_path: Path, keep: float, count: int
) -> None:
    folder = predictions(tmp_path / "predictions", np.zeros(10))
    faces, points = load_unlabelled(unlabelled, folder, keep)
    assert len(faces) == len(points) == count


def test_of_no_faces_none_are_kept_and_the_train_faces_stay_themselves(
    train: Faces, unlabelled: Faces, tmp_path: Path
) -> None:
    nobody = without_landmarks(unlabelled, count=0)
    folder = predictions(tmp_path / "predictions", np.zeros(0))
    faces, points = load_unlabelled(nobody, folder, 0.5)
    assert points.shape == (0, 2, 68, 2)
    assert join_faces(train, faces) is train


@pytest.mark.parametrize("name", ["tough", "tolerant", "disagreement"])
def test_predictions_of_other_faces_are_refused(
    unlabelled: Faces, tmp_path: Path, name: str
) -> None:
    folder = predictions(tmp_path / "predictions", np.zeros(10))
    path = folder / f"unlabelled_{name}.npy"
    np.save(path, np.load(path)[:9])
    with pytest.raises(UserError, match=rf"unlabelled_{name}\.npy holds .*run `dvc repro`"):
        load_unlabelled(unlabelled, folder, 1.0)


def test_joined_faces_are_the_train_faces_and_after_them_the_unlabelled(
    train: Faces, unlabelled: Faces
) -> None:
    faces = join_faces(train, unlabelled)
    assert len(faces) == 22
    assert faces.labelled is not None
    assert faces.labelled.tolist() == [True] * 12 + [False] * 10
    assert faces.validation_rows().tolist() == [0, 1, 2]
    assert faces.train_rows().tolist() == list(range(3, 22))
    np.testing.assert_array_equal(faces.landmarks[:12], train.landmarks)
    assert np.isnan(faces.landmarks[12:]).all()
    assert np.isnan(faces.crop_landmarks()[12:]).all()
    rows = np.array([15, 4])
    expected = np.stack([unlabelled.crops(np.array([3]))[0], train.crops(np.array([4]))[0]])
    np.testing.assert_array_equal(faces.crops(rows), expected)
    points = np.zeros((2, 68, 2))
    np.testing.assert_array_equal(
        faces.to_image(points, rows)[0], unlabelled.to_image(points[:1], np.array([3]))[0]
    )


def test_landmarks_of_unlabelled_faces_are_not_taken_over_whatever_they_are(
    train: Faces, unlabelled: Faces
) -> None:
    told = replace(unlabelled, landmarks=np.zeros_like(unlabelled.landmarks))
    assert np.isnan(join_faces(train, told).landmarks[12:]).all()


def test_marked_occlusion_of_the_train_faces_stays(train: Faces, unlabelled: Faces) -> None:
    marked = np.arange(12 * 68).reshape(12, 68) % 3 == 0
    faces = join_faces(replace(train, occluded=marked), unlabelled)
    assert faces.occluded is not None
    np.testing.assert_array_equal(faces.occluded[:12], marked)
    assert not faces.occluded[12:].any()


def test_faces_in_other_crops_are_refused(train: Faces, tmp_path: Path) -> None:
    other = without_landmarks(prepared_faces(tmp_path / "faces", 3, crop_size=48))
    with pytest.raises(UserError, match=r"are \(48, 8, 68\), but the train faces' \(32, 8, 68\)"):
        join_faces(train, other)


def test_validation_is_that_of_the_train_faces_alone(train: Faces, unlabelled: Faces) -> None:
    torch.manual_seed(0)
    net = build_network("test_efficientnet", "pool", "random", "auto", points=68, size=SIZE)
    net.eval()
    faces = join_faces(train, unlabelled)
    alone = validation_nme(net, train, train.crop_landmarks())
    assert np.isfinite(alone)
    assert validation_nme(net, faces, faces.crop_landmarks()) == alone


def test_an_epoch_is_as_long_as_without_unlabelled_faces_and_draws_from_all(
    train: Faces, unlabelled: Faces
) -> None:
    faces = join_faces(train, unlabelled)
    still = tiny_params().augment.model_copy(
        update={"rotation": 0, "scale_min": 1, "scale_max": 1, "shift": 0}
        | dict.fromkeys(("flip", "color_jitter", "blur", "random_erasing"), 0)
    )
    targets = np.arange(22)[:, None, None, None] * np.full((1, 68, 2), 0.01)
    for workers in (0, 1):
        loader, sampler = train_loader(
            faces,
            targets,
            Augmenter(still, SIZE, BORDER, faces.info.scheme.flip),
            batch_size=3,
            seed=1,
            workers=workers,
            pin_memory=False,
        )
        assert sampler.steps == 3  # 9 labelled faces are trained on
        seen = set()
        for sampler.epoch in range(1, 9):
            batches = list(loader)
            rows = torch.cat([batch.rows for batch in batches]).tolist()
            assert len(set(rows)) == len(rows) == 9
            seen |= set(rows)
            for batch in batches:
                np.testing.assert_array_equal(batch.images, faces.crops(batch.rows.numpy()))
                np.testing.assert_allclose(batch.targets[:, 0, 0, 0], batch.rows / 100, atol=1e-6)
        assert seen == set(range(3, 22))


def test_the_hash_of_a_training_sees_the_unlabelled_images(train: Faces, unlabelled: Faces) -> None:
    targets = np.zeros((22, 1, 68, 2))
    images = np.array(unlabelled.images)
    images[-1, 0, 0, 0] ^= 1
    hashes = [
        fingerprint({}, join_faces(train, faces), targets, {}, torch.device("cpu"))
        for faces in (unlabelled, unlabelled, replace(unlabelled, images=images))
    ]
    assert hashes[0] == hashes[1] != hashes[2]
