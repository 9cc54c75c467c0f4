"""Training: it learns, repeats to the last bit, keeps the best epoch, stops at a broken loss."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from landmark_kd.config.params import KDParams
from landmark_kd.config.paths import TEACHERS
from landmark_kd.core.errors import UserError
from landmark_kd.distillation.losses import distillation_loss
from landmark_kd.distillation.task import Distillation, kd_task
from landmark_kd.distillation.teacher_predictions import write_predictions
from landmark_kd.faces.prepared import Faces, landmarks_file
from landmark_kd.models.heads import Details, IntegralHead
from landmark_kd.models.network import (
    LandmarkNet,
    build_network,
    load_network,
    predict_faces,
    save_network,
)
from landmark_kd.training import trainer
from landmark_kd.training.resume.scratch import VARIABLE
from landmark_kd.training.tasks import Likelihood, Task, regression_task
from landmark_kd.training.trainer import validation_nme
from tests.support.prepared_faces import SIZE, prepared_faces, without_landmarks
from tests.support.tiny_training import (
    NETWORK,
    curve,
    curve_files,
    tiny_params,
    tiny_train,
    weights,
)

pytestmark = pytest.mark.seconds


@pytest.fixture(autouse=True, scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Checkpoints of these tests lie in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("scratch")
        patch.setenv(VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return prepared_faces(tmp_path_factory.mktemp("faces"), 40, validation=8)


def test_training_learns_more_than_the_mean_shape(tmp_path: Path) -> None:
    faces = prepared_faces(tmp_path / "faces", 250, validation=50)
    # A residual network learns from few faces; MobileNetV2 needs thousands of steps.
    settings = tiny_params(backbone="resnet10t", epochs=10, learning_rate=0.002, batch_size=16)
    result = tiny_train(faces, tmp_path, settings=settings)
    truth = faces.crop_landmarks()
    mean = np.broadcast_to(truth[faces.train_rows()].mean(axis=0), truth.shape)
    rows = faces.validation_rows()
    floor = np.linalg.norm(mean - truth, axis=2)[rows].mean()
    net = load_network(tmp_path / "model")
    found = np.linalg.norm(predict_faces(net, faces, rows) - truth[rows], axis=2).mean()
    assert found < 0.6 * floor
    assert result.best_nme == pytest.approx(validation_nme(net, faces, truth), abs=1e-4)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    faces: Faces, tmp_path: Path
) -> None:
    tiny_train(faces, tmp_path / "a")
    tiny_train(faces, tmp_path / "b")
    tiny_train(faces, tmp_path / "c", seed=2)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_the_number_of_loader_processes_and_of_minutes_changes_no_bit(
    faces: Faces, tmp_path: Path
) -> None:
    tiny_train(faces, tmp_path / "a")
    others = tiny_params({"workers": 2, "checkpoint_minutes": 0.0001})
    tiny_train(faces, tmp_path / "b", settings=others)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert curve_files(tmp_path / "a") == curve_files(tmp_path / "b")


def test_curves_hold_every_named_part_the_learning_rate_and_validation_nme(
    faces: Faces, tmp_path: Path
) -> None:
    tiny_train(faces, tmp_path)
    for name, column in [
        ("train/loss", "loss"),
        ("learning_rate", "learning_rate"),
        ("val/nme", "nme"),
    ]:
        assert len(curve(tmp_path, name)[column]) == NETWORK["epochs"]


def test_the_weights_kept_are_those_of_the_best_epoch_by_validation_nme(
    faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, seen = [5.0, 3.0, 4.0], []

    def scripted(net: LandmarkNet, faces: Faces, truth: np.ndarray, fabric: Fabric) -> float:
        assert isinstance(net.head, IntegralHead)
        seen.append(net.head.scores.weight.detach().clone())
        return errors[len(seen) - 1]

    monkeypatch.setattr(trainer, "validation_nme", scripted)
    result = tiny_train(faces, tmp_path, settings=tiny_params(epochs=3))
    assert (result.best_epoch, result.best_nme) == (2, 3.0)
    kept = load_network(tmp_path / "model").head.state_dict()["scores.weight"]
    torch.testing.assert_close(kept, seen[1], rtol=0, atol=0)
    assert not torch.equal(kept, seen[2])


def test_a_loss_that_is_not_finite_stops_with_the_batch_and_faces_and_keeps_old_weights(
    faces: Faces, tmp_path: Path
) -> None:
    tiny_train(faces, tmp_path)
    before = weights(tmp_path)
    broken = faces.crop_landmarks()
    broken[faces.train_rows()[3]] = 1e300  # beyond float32, in which targets are
    with pytest.raises(
        UserError, match=r"the loss is (inf|nan) in epoch 1, batch \d \(faces face_"
    ):
        tiny_train(faces, tmp_path, task=regression_task(broken, "l1"))
    assert weights(tmp_path) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves", "model"]


def test_the_moving_average_is_what_is_kept(faces: Faces, tmp_path: Path) -> None:
    tiny_train(faces, tmp_path / "with", settings=tiny_params(ema_decay=0.999))
    tiny_train(faces, tmp_path / "without", settings=tiny_params(ema_decay=0.0))
    assert weights(tmp_path / "with") != weights(tmp_path / "without")


@pytest.fixture(scope="module")
def trained(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `models` with two trained teachers, and their predictions in `predictions`."""
    folder = tmp_path_factory.mktemp("teachers")
    for seed, name in enumerate(TEACHERS):
        tiny_train(faces, folder / name, seed=seed)
        save_network(load_network(folder / name / "model"), folder / "models" / name)
    device = torch.device("cpu")
    nobody = without_landmarks(faces, count=0)
    write_predictions(faces, nobody, folder / "models", folder / "predictions", device)
    return folder


def task_of(kd: KDParams, faces: Faces, trained: Path) -> Task:
    """Return what a student learns where there are no unlabelled faces."""
    return all_of(kd, faces, without_landmarks(faces, count=0), trained)[1]


def all_of(kd: KDParams, faces: Faces, more: Faces, trained: Path) -> tuple[Faces, Task]:
    return kd_task(
        kd,
        faces,
        more,
        keep=1.0,
        predictions=trained / "predictions",
        models=trained / "models",
    )


def tiny_network(backbone: str = "test_efficientnet") -> LandmarkNet:
    return build_network(backbone, "integral", "random", "auto", points=68, size=SIZE)


def test_teacher_predictions_are_those_of_the_teachers_on_the_plain_crops(
    faces: Faces, trained: Path
) -> None:
    for name in TEACHERS:
        found = landmarks_file(trained / "predictions" / f"{name}.npy", faces)
        net = load_network(trained / "models" / name)
        np.testing.assert_array_equal(found, predict_faces(net, faces))


def test_kd_trains_with_cached_and_with_online_predictions(
    faces: Faces, trained: Path, tmp_path: Path
) -> None:
    kd = tiny_params().kd
    for mode in ("cached", "online"):
        settings = kd.model_copy(update={"teacher_predictions": mode})
        task = task_of(settings, faces, trained)
        assert task.targets.shape[1] == (3 if mode == "cached" else 1)
        tiny_train(faces, tmp_path / mode, task=task)
        parts = [curve(tmp_path / mode, f"train/{p}")[p] for p in ("main", "tough", "tolerant")]
        total = curve(tmp_path / mode, "train/loss")["loss"]
        np.testing.assert_allclose(sum(parts), total, rtol=1e-5)
    assert weights(tmp_path / "cached") != weights(tmp_path / "online")


def test_the_students_objective_gives_each_teacher_its_own_place(
    faces: Faces, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kd = tiny_params().kd
    task = task_of(kd, faces, trained)
    targets = torch.from_numpy(task.targets)
    hard = torch.from_numpy(faces.crop_landmarks())
    tough, tolerant = (
        torch.from_numpy(np.load(trained / "predictions" / f"{name}.npy"))
        for name in ("tough", "tolerant")
    )
    pred = hard + 0.01 * torch.randn(hard.shape, generator=torch.Generator().manual_seed(0))
    student = tiny_network()
    objective = task.objective(student, torch.device("cpu"))
    monkeypatch.setattr(student, "detailed", lambda _: Details(pred, [], None))
    found = objective(torch.from_numpy(faces.crops(np.arange(len(faces)))), targets)[1]
    expected = distillation_loss(kd)(pred, hard, tough, tolerant)[1]
    for part, value in expected.items():
        torch.testing.assert_close(found[part], value)


def test_the_likelihood_of_a_kd_student_is_that_of_a_student_without_a_teacher(
    faces: Faces, trained: Path
) -> None:
    """Of the hard-landmarks, and a missing one adds nothing."""
    task = task_of(tiny_params().kd.model_copy(update={"likelihood": 0.5}), faces, trained)
    student = tiny_network()
    objective = task.objective(student, torch.device("cpu"))
    assert isinstance(objective, Distillation)
    assert objective.density is not None
    images = torch.from_numpy(faces.crops(np.arange(6)))
    targets = torch.from_numpy(task.targets[:6].astype(np.float32))
    targets[1, 0, 3] = torch.nan
    student.eval()
    total, parts = objective(images, targets)
    torch.testing.assert_close(total, sum(parts.values()))
    alone = Likelihood(student)
    alone.density.load_state_dict(objective.density.state_dict())
    torch.testing.assert_close(parts["likelihood"], 0.5 * alone(images, targets[:, :1])[0])
    total.backward()
    assert objective.density.weight.grad is not None
    assert objective.density.weight.grad.abs().sum() > 0


def test_kd_with_both_teachers_weights_zero_and_main_weight_one_is_the_baseline(
    faces: Faces, trained: Path, tmp_path: Path
) -> None:
    """Same initialisation, order and augmentation: without teachers the two are one run."""
    kd = tiny_params().kd
    alone = kd.weights.model_copy(update={"main": 1.0, "tough": 0.0, "tolerant": 0.0})
    # A network that starts in the crop's centre has errors above params.yaml's tau, too, from where
    # on the main part is no longer l1.
    settings = kd.model_copy(update={"weights": alone, "tau": 2.0})
    task = task_of(settings, faces, trained)
    tiny_train(faces, tmp_path / "kd", task=task)
    tiny_train(faces, tmp_path / "baseline")
    kd_weights = load_network(tmp_path / "kd" / "model").state_dict()
    for name, value in load_network(tmp_path / "baseline" / "model").state_dict().items():
        torch.testing.assert_close(kd_weights[name], value, rtol=1e-4, atol=1e-5)


def test_an_unlabelled_face_has_the_tough_teachers_points_for_hard_landmarks(
    faces: Faces, trained: Path, tmp_path: Path
) -> None:
    more = without_landmarks(prepared_faces(tmp_path / "more", 10, seed=5))
    folder = tmp_path / "trained"
    (folder / "models").mkdir(parents=True)
    for name in TEACHERS:
        save_network(load_network(trained / "models" / name), folder / "models" / name)
    device = torch.device("cpu")
    write_predictions(faces, more, folder / "models", folder / "predictions", device)
    joined, task = all_of(tiny_params().kd, faces, more, folder)
    assert (len(joined), task.targets.shape) == (50, (50, 3, 68, 2))
    assert np.isfinite(task.targets).all()
    np.testing.assert_array_equal(
        task.targets[:40], task_of(tiny_params().kd, faces, trained).targets
    )
    tough, tolerant = (
        predict_faces(load_network(folder / "models" / name), more) for name in TEACHERS
    )
    np.testing.assert_array_equal(task.targets[40:], np.stack([tough, tough, tolerant], axis=1))
    tiny_train(joined, tmp_path / "with", task=task)
    assert np.isfinite(curve(tmp_path / "with", "val/nme")["nme"]).all()


def matched(net: LandmarkNet, images: Tensor, *, same_backbone: bool) -> list[Tensor]:
    """Return the maps that students match, computed step by step."""
    assert isinstance(net.head, IntegralHead)
    maps = net._maps(net.normalize(images))
    return [*(maps if same_backbone else []), net.head.fusion(maps)]


@pytest.mark.parametrize(("backbone", "count"), [("test_efficientnet", 4), ("test_resnet", 1)])
def test_matched_features_are_those_of_the_same_augmented_images(
    faces: Faces, trained: Path, backbone: str, count: int
) -> None:
    """All maps of the teacher's own backbone, of another one the one that they fuse them to."""
    kd = tiny_params().kd.model_copy(update={"features": 3.0})
    task = task_of(kd, faces, trained)
    student, teacher = tiny_network(backbone), load_network(trained / "models" / "tough")
    rows = torch.arange(6)
    images = torch.from_numpy(faces.crops(rows.numpy()))
    targets = torch.from_numpy(task.targets[:6].astype(np.float32))
    objective = task.objective(student, torch.device("cpu"))
    student.train()
    total, parts = objective(images, targets)
    torch.testing.assert_close(total, sum(parts.values()))
    with torch.no_grad():
        same = backbone == teacher.config.backbone
        own, its = (matched(net, images, same_backbone=same) for net in (student, teacher))
    apart = [((a - b) ** 2).mean() / b.var().clamp_min(0.01) for a, b in zip(own, its, strict=True)]
    assert len(apart) == count
    torch.testing.assert_close(parts["features"], 3 * sum(apart) / count)
    total.backward()
    grads = {name: p.grad for name, p in student.named_parameters()}
    assert all(grad is not None for grad in grads.values())
    assert all(p.grad is None for p in teacher.parameters())


def test_a_student_that_matches_features_trains_and_its_result_depends_on_the_teacher(
    faces: Faces, trained: Path, tmp_path: Path
) -> None:
    kd = tiny_params().kd.model_copy(update={"features": 1.0})
    task = task_of(kd, faces, trained)
    assert task.depends_on["teachers"]
    tiny_train(faces, tmp_path / "features", task=task)
    found = curve(tmp_path / "features", "train/features")["features"]
    assert found.iloc[-1] < found.iloc[0]


@pytest.mark.parametrize("predictions", ["cached", "online"])
def test_what_is_matched_is_part_of_the_loss_with_cached_and_with_online_predictions(
    faces: Faces, trained: Path, tmp_path: Path, predictions: str
) -> None:
    kd = tiny_params().kd.model_copy(update={"teacher_predictions": predictions})
    more = kd.model_copy(update={"features": 0.5, "heatmap": 1.0})
    for name, settings in (("without", kd), ("with", more)):
        task = task_of(settings, faces, trained)
        tiny_train(faces, tmp_path / name, task=task)
    assert task.depends_on["teachers"]
    points, matched = ["main", "tough", "tolerant"], ["features", "heatmap"]
    parts = [curve(tmp_path / "with", f"train/{p}")[p] for p in points + matched]
    total = curve(tmp_path / "with", "train/loss")["loss"]
    np.testing.assert_allclose(sum(parts), total, rtol=1e-5)
    assert weights(tmp_path / "with") != weights(tmp_path / "without")


def test_what_is_matched_counts_less_and_less_where_its_weights_decay(
    faces: Faces, trained: Path
) -> None:
    images = torch.from_numpy(faces.crops(np.arange(6)))
    found = {}
    for decay in (False, True):
        weights_of = {"features": 0.5, "heatmap": 2.0, "likelihood": 0.1, "decay": decay}
        task = task_of(tiny_params().kd.model_copy(update=weights_of), faces, trained)
        torch.manual_seed(0)
        objective = task.objective(tiny_network(), torch.device("cpu"))
        targets = torch.from_numpy(task.targets[:6].astype(np.float32))
        for progress in (0.0, 0.75):
            objective.progress = progress
            with torch.no_grad():
                total, parts = objective(images, targets)
            torch.testing.assert_close(total, sum(parts.values()))
            found[decay, progress] = parts
    for name, value in found[False, 0.0].items():
        torch.testing.assert_close(found[False, 0.75][name], value)
        torch.testing.assert_close(found[True, 0.0][name], value)
        left = 0.25 if name in ("features", "heatmap") else 1
        torch.testing.assert_close(found[True, 0.75][name], left * value)


def test_a_student_begins_with_its_teachers_head_where_nothing_is_matched(
    faces: Faces, trained: Path
) -> None:
    task = task_of(tiny_params().kd.model_copy(update={"head": "teacher"}), faces, trained)
    assert task.depends_on["teachers"]
    student, teacher = tiny_network(), load_network(trained / "models" / "tough")
    task.objective(student, torch.device("cpu"))
    for name, value in teacher.head.state_dict().items():
        torch.testing.assert_close(student.head.state_dict()[name], value, rtol=0, atol=0)


def test_predictions_for_other_faces_are_refused(faces: Faces, tmp_path: Path) -> None:
    np.save(tmp_path / "tough.npy", np.zeros((3, 68, 2)))
    with pytest.raises(UserError, match="run `dvc repro`"):
        landmarks_file(tmp_path / "tough.npy", faces)


def test_a_network_says_where_its_first_weights_came_from(faces: Faces, tmp_path: Path) -> None:
    tiny_train(faces, tmp_path)
    config = json.loads((tmp_path / "model" / "network.json").read_text())
    assert config["init"] == "random"
    assert config["backbone"] == NETWORK["backbone"]
