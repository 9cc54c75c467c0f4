"""Evaluation of four tiny networks on a few faces: numbers, files, and that they repeat."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from landmark_kd.config import paths
from landmark_kd.config.params import BoxJitterParams
from landmark_kd.core.errors import UserError
from landmark_kd.distillation.losses import KDLoss, assistive_loss
from landmark_kd.evaluation.cost import cpu_name
from landmark_kd.evaluation.evaluate import (
    FLOOR,
    NETWORKS,
    Evaluation,
    ced_table,
    costs,
    error_table,
    faces_title,
    intervals,
    load_networks,
    metrics_table,
    per_landmark_table,
    predict_all,
    protocol,
    reliability_table,
    summary,
    times,
)
from landmark_kd.evaluation.report import (
    TEACHER_DISTANCES,
    kd_loss_curve,
    write_evaluation_report,
    write_kd_loss_report,
)
from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks import metrics
from landmark_kd.landmarks.uncertainty import LEVELS
from landmark_kd.models.network import build_network, load_network, predict_faces, save_network
from tests.support.prepared_faces import SIZE, prepared_faces

pytestmark = pytest.mark.seconds

PUBLISHED: dict[str, int | None] = {"common": 554, "challenging": 135, "full": 689}
ALL = (*NETWORKS, FLOOR)
NO_JITTER = BoxJitterParams(shift=0, scale=0)
# Stands for what `intervals` returns where a test is about files.
SCORES = {"protocol": {"dataset": "tiny"}}


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    folder = tmp_path_factory.mktemp("train") / "faces"
    return prepared_faces(folder, 20, subsets=("train",), validation=5, seed=1)


@pytest.fixture(scope="module")
def faces_of_test(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """Twelve faces laid out as 300W's test set is: two of three common, one challenging."""
    folder = tmp_path_factory.mktemp("test") / "faces"
    subsets = ("common|full", "common|full", "challenging|full")
    return prepared_faces(folder, 12, subsets=subsets, published=PUBLISHED, seed=2)


@pytest.fixture(scope="module")
def evaluation(faces_of_test: Faces) -> Evaluation:
    """Predictions that are the hard-landmarks and noise, less of it for better networks."""
    rng = np.random.default_rng(0)
    spread = {"tough": 4.0, "tolerant": 6.0, "baseline": 8.0, "kd": 5.0, FLOOR: 30.0}
    size = metrics.box_size(faces_of_test.landmarks)[:, None, None] / 200
    predictions = {
        name: faces_of_test.landmarks + sigma * size * rng.standard_normal((12, 68, 2))
        for name, sigma in spread.items()
    }
    sigmas = {name: np.full((12, 68), spread[name]) * size[:, 0] for name in NETWORKS}
    regions = {name: np.sqrt(-2 * np.log(1 - np.array(LEVELS))) for name in NETWORKS}
    return Evaluation.of(
        faces_of_test, predictions, NO_JITTER, SIZE, sigmas=sigmas, regions=regions
    )


@pytest.fixture
def curves() -> dict[str, pd.DataFrame]:
    """Curves of validation NME, as `validation_curves` reads them."""
    return {name: pd.DataFrame({"step": [0.0, 1.0], "nme": [20.5, 8.0]}) for name in NETWORKS}


@pytest.fixture
def kd_loss() -> KDLoss:
    return KDLoss(
        variant="paper",
        beta=0.4,
        tough=(1.0, -0.45),
        tolerant=(1.0, -0.4),
        weights={"main": 2.5, "tough": 1.0, "tolerant": 1.0},
    )


def test_predictions_of_all_networks_come_in_pixels_of_the_original_image(
    train: Faces, faces_of_test: Faces, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    net = build_network("mobilenetv2_035", "pool", "random", "auto", points=68, size=32).eval()
    shape = train.crop_landmarks()[7]
    net.start_at(shape)
    for name in NETWORKS:
        save_network(net, tmp_path / name)
    found, _ = predict_all(train, [faces_of_test], load_networks(tmp_path, torch.device("cpu")))
    assert list(found) == list(ALL)
    expected = faces_of_test.to_image(predict_faces(net, faces_of_test))
    np.testing.assert_allclose(found["kd"], expected, atol=1e-3)
    # The untrained network knows one shape; it must land on the face, not in the crop's corner.
    placed = faces_of_test.to_image(np.broadcast_to(shape, (12, 68, 2)))
    assert np.abs(found["kd"] - placed).max() < 30


def test_each_network_sees_the_faces_in_its_own_size(
    train: Faces, faces_of_test: Faces, tmp_path: Path
) -> None:
    large = prepared_faces(tmp_path / "large", 12, crop_size=64, seed=2)
    torch.manual_seed(0)
    for name in NETWORKS:
        size = 64 if name in ("tough", "tolerant") else 32
        net = build_network("mobilenetv2_035", "pool", "random", "auto", points=68, size=size)
        save_network(net, tmp_path / name)
    found, _ = predict_all(
        train, [large, faces_of_test], load_networks(tmp_path, torch.device("cpu"))
    )
    for name, faces in (("tough", large), ("kd", faces_of_test)):
        expected = faces.to_image(predict_faces(load_network(tmp_path / name), faces))
        np.testing.assert_array_equal(found[name], expected)
    with pytest.raises(UserError, match=r"tough sees crops of 64 pixels, .* faces have 32; run"):
        predict_all(train, [faces_of_test], load_networks(tmp_path, torch.device("cpu")))


def test_another_size_of_the_teachers_is_said_in_the_protocol(evaluation: Evaluation) -> None:
    assert "teacher_crop_size" not in intervals(evaluation, resamples=100, seed=1)["protocol"]
    found = intervals(replace(evaluation, teacher_size=64), resamples=100, seed=1)["protocol"]
    assert (found["crop_size"], found["teacher_crop_size"]) == (32, 64)


def test_the_floor_is_the_mean_of_the_train_rows_in_each_test_crop(
    train: Faces, faces_of_test: Faces, tmp_path: Path
) -> None:
    net = build_network("mobilenetv2_035", "pool", "random", "auto", points=68, size=32)
    for name in NETWORKS:
        save_network(net, tmp_path / name)
    floor = predict_all(train, [faces_of_test], load_networks(tmp_path, torch.device("cpu")))[0][
        FLOOR
    ]
    mean = train.crop_landmarks()[5:].mean(axis=0)
    for face in range(12):
        in_crop = (mean + 0.5) * 32 - 0.5
        linear, offset = np.split(faces_of_test.crop_to_image[face], [2], axis=1)
        np.testing.assert_allclose(floor[face], in_crop @ linear.T + offset[:, 0], atol=1e-9)


def test_the_metrics_have_the_networks_subsets_and_names_of_the_design(
    evaluation: Evaluation,
) -> None:
    table = metrics_table(evaluation)
    assert list(table) == list(ALL)
    for name, subsets in table.items():
        assert set(subsets) == {"common", "challenging", "full"}
        for scores in subsets.values():
            assert list(scores) == [
                *("nme", "fr8", "fr10", "auc8", "auc10", "nme_pupil"),
                *(() if name == FLOOR else ("cover50", "cover90")),
                *("n", "n_published"),
            ]
    assert {s: v["n"] for s, v in table["kd"].items()} == {
        "common": 8,
        "challenging": 4,
        "full": 12,
    }
    assert {s: v["n_published"] for s, v in table["kd"].items()} == PUBLISHED


def test_the_metrics_are_those_of_each_subsets_faces_in_original_pixels(
    evaluation: Evaluation, faces_of_test: Faces
) -> None:
    rows = faces_of_test.subset_rows()["challenging"]
    true, pred = faces_of_test.landmarks[rows], evaluation.predictions["kd"][rows]
    distance = np.linalg.norm(true[:, 36] - true[:, 45], axis=1)
    errors = 100 * np.linalg.norm(pred - true, axis=2).mean(axis=1) / distance
    scores = metrics_table(evaluation)["kd"]["challenging"]
    assert scores["nme"] == pytest.approx(errors.mean(), abs=1e-6)
    assert scores["fr8"] == pytest.approx(100 * (errors > 8).mean(), abs=1e-6)
    assert scores["auc10"] == pytest.approx(100 * np.maximum(0, 1 - errors / 10).mean(), abs=1e-6)


def test_a_subset_without_a_published_count_has_none(evaluation: Evaluation) -> None:
    faces = evaluation.faces
    unpublished = replace(faces, info=replace(faces.info, published={"common": None}))
    table = metrics_table(replace(evaluation, faces=unpublished))
    assert list(table["kd"]) == ["common", "full", "challenging"]
    assert "n_published" not in table["kd"]["common"]


def test_the_summary_has_a_line_a_network_and_subset_with_n_and_the_published_count(
    evaluation: Evaluation,
) -> None:
    table = metrics_table(evaluation)
    how, head, *lines = summary(evaluation, table).splitlines()
    assert how == "box: landmarks, margin 0.25; normaliser: outer eye corners"
    assert head.split()[3:] == ["nme", "fr8", "fr10", "auc8", "auc10", "pupil"]
    assert len(lines) == len(ALL) * 3
    kd = next(line for line in lines if line.split()[:2] == ["kd", "common"])
    assert " 8 of 554 " in kd
    assert f"{table['kd']['common']['nme']:.2f}" in kd.split()


def test_a_face_that_decides_a_table_is_named_beside_it(evaluation: Evaluation) -> None:
    assert "decides" not in summary(evaluation, metrics_table(evaluation))
    assert "deciding_faces" not in protocol(evaluation, 0)
    errors = {name: found.copy() for name, found in evaluation.errors.items()}
    errors["kd"][4] = 5e5
    strange = replace(evaluation, errors=errors)
    said = summary(strange, metrics_table(strange))
    assert "one face decides: face_004 makes 100 % of the mean NME of kd on common" in said
    assert protocol(strange, 0)["deciding_faces"][0].startswith("face_004 ")


def test_errors_of_visible_and_of_occluded_landmarks_stand_apart(
    evaluation: Evaluation, faces_of_test: Faces
) -> None:
    occluded = np.zeros((12, 68), dtype=bool)
    occluded[:6, :10] = True
    occluded[2, 10:30] = True
    faces = replace(faces_of_test, occluded=occluded)
    table = metrics_table(replace(evaluation, faces=faces))
    true, pred = faces.landmarks, evaluation.predictions["kd"]
    distance = np.linalg.norm(true[:, 36] - true[:, 45], axis=1)[:, None]
    errors = 100 * np.linalg.norm(pred - true, axis=2) / distance
    full = table["kd"]["full"]
    assert full["nme_occluded"] == pytest.approx(errors[occluded].mean(), abs=1e-6)
    assert full["nme_visible"] == pytest.approx(errors[~occluded].mean(), abs=1e-6)
    # Of each subset its own landmarks only; no number where a subset has none of a kind.
    rows = faces.subset_rows()["challenging"]
    wanted = errors[rows][occluded[rows]].mean()
    assert table["kd"]["challenging"]["nme_occluded"] == pytest.approx(wanted, abs=1e-6)
    none = replace(faces, occluded=np.zeros((12, 68), dtype=bool))
    assert "nme_occluded" not in metrics_table(replace(evaluation, faces=none))["kd"]["full"]
    assert "occluded" in summary(replace(evaluation, faces=faces), table).splitlines()[1]


def test_landmarks_without_pupils_have_no_error_by_the_pupils(
    evaluation: Evaluation, faces_of_test: Faces
) -> None:
    scheme = replace(faces_of_test.info.scheme, pupils=None, normalizer_name="two ears")
    faces = replace(faces_of_test, info=replace(faces_of_test.info, scheme=scheme))
    found = Evaluation.of(faces, evaluation.predictions, NO_JITTER, SIZE)
    assert "nme_pupil" not in metrics_table(found)["kd"]["full"]
    scores = intervals(found, resamples=100, seed=1)
    assert "nme_pupil" not in scores["networks"]["kd"]["full"]
    assert scores["protocol"]["normalizer"] == "two ears"
    assert "normaliser: two ears" in faces_title(found)


def test_jittered_boxes_are_said_wherever_numbers_stand(evaluation: Evaluation) -> None:
    jitter = BoxJitterParams(shift=0.1, scale=0.05)
    found = replace(evaluation, jitter=jitter)
    sentence = "boxes jittered: shift 0.1, scale 0.05"
    assert sentence in summary(found, metrics_table(found))
    assert sentence in faces_title(found)
    how = intervals(found, resamples=100, seed=7)["protocol"]["box_jitter"]
    assert how == {"shift": 0.1, "scale": 0.05, "seed": 7}


def test_intervals_hold_the_metrics_and_say_how_they_were_measured(
    evaluation: Evaluation,
) -> None:
    found = intervals(evaluation, resamples=200, seed=3)
    table = metrics_table(evaluation)
    for name in ALL:
        for subset in ("common", "challenging", "full"):
            scores = found["networks"][name][subset]
            assert set(scores) == {"nme", "nme_pupil", "nme_box", "fr8", "fr10", "auc8", "auc10"}
            for measure, interval in scores.items():
                assert interval["low"] <= interval["value"] <= interval["high"]
                if measure in table[name][subset]:
                    assert interval["value"] == pytest.approx(table[name][subset][measure])
    protocol = found["protocol"]
    assert protocol["dataset"] == "tiny"
    assert protocol["subsets"]["common"] == {"n": 8, "n_published": 554}
    assert (protocol["seed"], protocol["bootstrap"], protocol["level"]) == (3, 200, 0.95)
    assert (protocol["crop_size"], protocol["margin"], protocol["box"]) == (32, 0.25, "landmarks")
    assert protocol["normalizer"] == "outer eye corners"
    assert protocol["box_jitter"] == {"shift": 0, "scale": 0, "seed": 3}


def test_normalisers_of_the_intervals_are_not_mixed_up(evaluation: Evaluation) -> None:
    true = evaluation.faces.landmarks
    pixels = np.linalg.norm(evaluation.predictions["kd"] - true, axis=2).mean(axis=1)
    eyes = [true[:, a:b].mean(axis=1) for a, b in ((36, 42), (42, 48))]
    pupil = np.linalg.norm(eyes[0] - eyes[1], axis=1)
    box = np.sqrt(np.prod(true.max(axis=1) - true.min(axis=1), axis=1))
    scores = intervals(evaluation, resamples=100, seed=1)["networks"]["kd"]["full"]
    assert scores["nme_pupil"]["value"] == pytest.approx((100 * pixels / pupil).mean(), abs=1e-6)
    assert scores["nme_box"]["value"] == pytest.approx((100 * pixels / box).mean(), abs=1e-6)


def test_kd_is_compared_with_the_baseline_on_the_same_faces(evaluation: Evaluation) -> None:
    paired = intervals(evaluation, resamples=200, seed=1)["kd_against_baseline"]["full"]
    kd, baseline = evaluation.errors["kd"], evaluation.errors["baseline"]
    assert paired["difference"]["value"] == pytest.approx((kd - baseline).mean(), abs=1e-6)
    assert paired["difference"]["high"] < 0
    assert paired["ratio"]["value"] == pytest.approx(kd.mean() / baseline.mean(), abs=1e-6)
    assert paired["better"]["value"] == pytest.approx((kd < baseline).mean(), abs=1e-6)


def test_tables_agree_with_the_metrics(evaluation: Evaluation) -> None:
    full = metrics_table(evaluation)["kd"]["full"]
    errors = error_table(evaluation)
    assert list(errors.columns) == ["name", "subsets", *ALL]
    assert errors["kd"].mean() == pytest.approx(full["nme"], abs=1e-6)
    ced = ced_table(evaluation)
    assert list(ced.columns) == ["error", *ALL]
    at_8 = ced[np.isclose(ced["error"], 8)].iloc[0]
    assert 100 * (1 - at_8["kd"]) == pytest.approx(full["fr8"], abs=1e-6)
    landmarks = per_landmark_table(evaluation)
    assert list(landmarks.columns) == ["landmark", "name", *ALL]
    assert landmarks["name"][36] == "left_eye_0"
    assert landmarks["kd"].mean() == pytest.approx(full["nme"], abs=1e-6)


def test_costs_are_of_the_networks_and_times_of_the_machine(tmp_path: Path) -> None:
    sizes = dict(zip(NETWORKS, (48, 40, 32, 32), strict=True))
    for name, size in sizes.items():
        net = build_network("mobilenetv2_035", "pool", "random", "auto", points=68, size=size)
        save_network(net, tmp_path / name)
    networks = load_networks(tmp_path, torch.device("cpu"))
    found = costs(networks)
    assert set(found) == set(NETWORKS)
    assert found == costs(networks)
    assert found["kd"]["parameters"] == sum(p.numel() for p in net.parameters())
    assert found["kd"]["macs"] == found["baseline"]["macs"] < found["tough"]["macs"]
    taken = times(networks)
    assert taken["machine"] == {"cpu": cpu_name(), "threads": torch.get_num_threads()}
    assert taken["kd"]["median"] > 0


def test_coverage_is_that_of_the_regions_and_only_where_a_network_says_any(
    evaluation: Evaluation,
) -> None:
    table = metrics_table(evaluation)
    assert table["kd"]["full"]["cover50"] == pytest.approx(50, abs=5)
    assert table["kd"]["full"]["cover90"] == pytest.approx(90, abs=3)
    assert "cover50" not in table[FLOOR]["full"]
    found = reliability_table(evaluation)
    assert list(found) == ["level", *NETWORKS]
    np.testing.assert_allclose(found["kd"], found["level"], atol=0.06)


def test_the_title_says_aloud_that_faces_are_missing(evaluation: Evaluation) -> None:
    first, second = faces_title(evaluation).splitlines()
    assert first == "tiny, test faces: common 8 of 554, challenging 4 of 135, full 12 of 689"
    assert second == "box: landmarks, margin 0.25; normaliser: outer eye corners"


def test_the_report_folder_holds_its_tables_and_images(
    evaluation: Evaluation, curves: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    out = tmp_path / "report"
    write_evaluation_report(evaluation, SCORES, curves, out)
    images = ["best", "ced", "median", "per_landmark", "reliability", "training_curves", "worst"]
    tables = ["ced", "errors", "per_landmark", "reliability"]
    assert sorted(p.name for p in out.iterdir()) == sorted(
        [
            *("intervals.json", "predictions.npz"),
            *(f"{n}.png" for n in images),
            *(f"{n}.csv" for n in tables),
        ]
    )
    for name in images:
        drawn = cv2.imread(str(out / f"{name}.png"))
        assert drawn is not None
        assert drawn.std() > 5
    assert paths.EVALUATION_REPORT / "intervals.json" == paths.EVALUATION_REPORT / "intervals.json"
    assert json.loads((out / "intervals.json").read_text()) == SCORES
    errors = pd.read_csv(out / "errors.csv")
    np.testing.assert_allclose(errors["kd"], evaluation.errors["kd"], atol=1e-6)
    with np.load(out / "predictions.npz") as found:
        assert sorted(found) == sorted(NETWORKS)
        for name in NETWORKS:
            np.testing.assert_allclose(found[name], evaluation.predictions[name], atol=1e-3)


def test_three_test_faces_are_enough_for_a_report(
    evaluation: Evaluation, curves: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    faces = prepared_faces(tmp_path / "faces", 3)
    few = Evaluation.of(faces, dict.fromkeys(ALL, faces.landmarks + 3), NO_JITTER, SIZE)
    write_evaluation_report(few, intervals(few, resamples=100, seed=1), curves, tmp_path / "report")
    assert (tmp_path / "report/median.png").is_file()
    assert json.loads((tmp_path / "report/intervals.json").read_text())["networks"]["kd"]["test"]


def test_numbers_repeat_to_the_last_bit(evaluation: Evaluation) -> None:
    for make in (
        lambda: json.dumps(metrics_table(evaluation)),
        lambda: json.dumps(intervals(evaluation, resamples=300, seed=1)),
    ):
        assert make() == make()


def test_the_kd_loss_curve_is_the_loss_that_trains(kd_loss: KDLoss, tmp_path: Path) -> None:
    curve = kd_loss_curve(kd_loss)
    assert list(curve.columns) == ["error", "total", "main", "tough", "tolerant"]
    assert curve["error"].iloc[0] == 0
    np.testing.assert_allclose(
        curve["total"], curve[["main", "tough", "tolerant"]].sum(axis=1), atol=1e-12
    )
    np.testing.assert_allclose(curve["main"], 2.5 * curve["error"], atol=1e-12)
    row = curve[np.isclose(curve["error"], 0.015)].iloc[0]
    one = torch.full((1, 1, 2), 1.0, dtype=torch.float64)
    tough = assistive_loss(
        0.015 * one, 0 * one, TEACHER_DISTANCES["tough"] * one, positive=1, negative=-0.45, beta=0.4
    )
    assert row["tough"] == pytest.approx(float(tough))
    write_kd_loss_report(kd_loss, tmp_path / "kd_loss")
    names = sorted(p.name for p in (tmp_path / "kd_loss").iterdir())
    assert names == ["kd_loss.csv", "kd_loss.png"]
    written = pd.read_csv(tmp_path / "kd_loss/kd_loss.csv")
    np.testing.assert_allclose(written["total"], curve["total"], atol=1e-6)
