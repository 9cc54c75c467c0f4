"""The reproduction of the paper: regions of KD-Loss, what is written down, tables and diagrams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from benchmarks.markdown_blocks import filled
from benchmarks.reproduction.plots import draw_teacher_errors
from benchmarks.reproduction.record import file_name, recorded, row_name
from benchmarks.reproduction.regions import EDGES, cumulative, histogram, region_shares
from benchmarks.reproduction.report import PAGE, RECORDS
from benchmarks.reproduction.tables import blocks, read_protocols, region_table, score_table
from landmark_kd.config import paths
from landmark_kd.config.params import Params
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import write_json
from landmark_kd.distillation.losses import KDLoss
from landmark_kd.faces.prepared import load_faces
from landmark_kd.landmarks import metrics
from landmark_kd.models.network import load_network, predict_faces
from tests.support.prepared_faces import prepared_faces
from tests.support.tiny_training import tiny_params, tiny_train

SETTINGS = {
    "dataset": "300w",
    "resolution": 64,
    "train_faces": 90,
    "teacher": {"backbone": "large", "epochs": 4, "batch_size": 16},
    "student": {"backbone": "small", "epochs": 3, "batch_size": 8},
}


def made_up(row: str, seed: int, errors: list[float], **more: Any) -> dict[str, Any]:
    """A record of four test faces."""
    return {
        "row": row,
        "protocol": SETTINGS,
        "seed": seed,
        "errors": {"common": errors},
        "validation_nme": [9.0, 6.0, 5.0],
        **more,
    }


def test_each_coordinate_is_in_the_region_where_the_loss_has_it() -> None:
    d = np.full((1, 2, 2), 0.10)
    e = np.array([[[0.01, 0.05], [0.10, 0.20]]])
    found = region_shares(e, {"tough": d, "tolerant": d / 20}, beta=0.4)
    assert found["tough"] == {"positive": 0.25, "negative": 0.5, "low": 0.25}
    # Of the tolerant one, d = 0.005: all are beyond it.
    assert found["tolerant"] == {"positive": 1.0, "negative": 0.0, "low": 0.0}
    assert found["beyond_all"] == 0.25


def test_beyond_both_teachers_the_gradient_of_kd_loss_is_that_of_l1_times_a_constant() -> None:
    hard = torch.zeros(1, 3, 2)
    pred = torch.tensor([[[0.2, -0.3], [0.4, 0.1], [-0.2, 0.15]]], requires_grad=True)
    teacher = torch.full((1, 3, 2), 0.05)
    loss = KDLoss(
        variant="paper",
        beta=0.4,
        tough=(1.0, -0.45),
        tolerant=(1.0, -0.4),
        weights={"main": 2.0, "tough": 1.0, "tolerant": 1.0},
    )
    loss(pred, hard, teacher, teacher)[0].backward()
    gradient = pred.grad
    assert gradient is not None
    np.testing.assert_allclose(gradient, (2.0 + 1.0 + 1.0) * torch.sign(pred.detach()) / 6)


def test_missing_landmarks_count_nowhere() -> None:
    e = np.array([[[np.nan, np.nan], [0.2, 0.2]]])
    d = np.array([[[0.3, 0.3], [0.1, 0.1]]])
    assert region_shares(e, {"tough": d}, beta=0.4)["beyond_all"] == 1.0
    assert sum(histogram(e)) == pytest.approx(1)


def test_a_histogram_keeps_errors_beyond_its_edges() -> None:
    shares = histogram(np.array([0.0, 1e-3, 5.0, 5.0]))
    assert (shares[0], shares[-1]) == (0.25, 0.5)
    total = cumulative(shares)
    assert (len(total), total[0], total[-1]) == (len(EDGES), 0, 1)
    assert total[np.searchsorted(EDGES, 0.01)] == 0.5


def kd_params(**kd: Any) -> Params:
    content = tiny_params().model_dump()
    for key, value in kd.items():
        if isinstance(value, dict):
            content["kd"][key] |= value
        else:
            content["kd"][key] = value
    return Params.model_validate(content)


def test_rows_are_named_after_what_differs() -> None:
    assert row_name("tough", kd_params()) == "tough teacher"
    assert row_name("baseline", tiny_params(loss="l2")) == "no teacher, L2"
    assert row_name("kd", kd_params()) == "KD-Loss, paper's form, both teachers"
    alone = kd_params(weights={"tolerant": 0.0})
    assert row_name("kd", alone) == "KD-Loss, paper's form, tough teacher alone"
    alone = kd_params(variant="code", weights={"tough": 0.0})
    assert row_name("kd", alone) == "KD-Loss, code's form, tolerant teacher alone"
    assert row_name("kd", kd_params(variant="points")) == "points, both teachers"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which a baseline has been trained, and teachers have spoken."""
    monkeypatch.chdir(tmp_path)
    train = prepared_faces(paths.TRAIN_FACES, 20, subsets=("train",), validation=4, seed=1)
    prepared_faces(paths.TEST_FACES, 6, subsets=("common|full", "full"), seed=2)
    tiny_train(train, tmp_path)
    paths.MODELS.mkdir()
    (tmp_path / "model").rename(paths.MODELS / "baseline")
    paths.CURVES.mkdir(parents=True)
    (tmp_path / "curves").rename(paths.CURVES / "baseline")
    paths.TEACHER_PREDICTIONS.mkdir(parents=True)
    for name, away in (("tough", 0.0), ("tolerant", 2.0)):
        np.save(paths.TEACHER_PREDICTIONS / f"{name}.npy", train.crop_landmarks() + away)
    return tmp_path


@pytest.mark.seconds
def test_a_trained_network_is_written_down(folder: Path) -> None:
    record = recorded("baseline", tiny_params())
    assert (record["row"], record["seed"]) == ("no teacher, L1", 1)
    assert record["protocol"]["train_faces"] == 16
    assert {name: len(found) for name, found in record["errors"].items()} == {
        "common": 3,
        "full": 6,
    }
    test = load_faces(paths.TEST_FACES)
    points = test.to_image(predict_faces(load_network(paths.MODELS / "baseline"), test))
    distance = metrics.normalizing_distance(test.landmarks, test.info.scheme)
    expected = metrics.nme(points, test.landmarks, distance)
    np.testing.assert_allclose(record["errors"]["full"], expected, atol=6e-4)
    assert len(record["validation_nme"]) == 2
    for kind in ("crops", "views"):
        found = record["regions"][kind]
        assert found["tough"]["positive"] == 1  # a teacher without error
        assert found["tolerant"]["low"] == 1  # one that is two crops away
        assert sum(record["student_errors"][kind]) == pytest.approx(1, abs=1e-4)
    views = record["student_errors"]["views"]
    assert record["student_errors"]["crops"] != views
    # Those of the last epoch.
    assert recorded("baseline", tiny_params(epochs=1))["student_errors"]["views"] != views
    assert record["beta"] == tiny_params().kd.beta
    assert file_name(record) == (
        "tiny_32px_tf_efficientnetv2_b0_test_efficientnet_2e_no_teacher_l1_s1"
    )


@pytest.mark.seconds
def test_of_a_teacher_the_distances_from_the_landmarks_are_written_down(folder: Path) -> None:
    for given, place in (
        (paths.MODELS / "baseline", paths.MODELS / "tough"),
        (paths.CURVES / "baseline", paths.CURVES / "tough"),
        (paths.TRAIN_FACES, paths.TEACHER_TRAIN_FACES),
        (paths.TEST_FACES, paths.TEACHER_TEST_FACES),
    ):
        given.rename(place)
    record = recorded("tough", tiny_params())
    assert record["row"] == "tough teacher"
    train = load_faces(paths.TEACHER_TRAIN_FACES)
    found = predict_faces(load_network(paths.MODELS / "tough"), train)
    away = np.abs(found - train.crop_landmarks())
    for name, rows in (("train", train.train_rows()), ("validation", train.validation_rows())):
        np.testing.assert_allclose(record["distances"][name], histogram(away[rows]), atol=1e-6)


@pytest.mark.seconds
def test_a_network_whose_curve_is_missing_is_refused(folder: Path) -> None:
    for path in paths.CURVES.rglob("nme.tsv"):
        path.unlink()
    with pytest.raises(UserError, match=r"baseline/plots/metrics/val/nme.tsv is missing"):
        recorded("baseline", tiny_params())


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A folder of made-up records: teachers, both controls, and KD-Loss with two seeds."""
    tenth = len(EDGES) // 10
    spike = [1.0 if i == 6 * tenth else 0.0 for i in range(len(EDGES) - 1)]
    shares = {"positive": 0.7, "negative": 0.2, "low": 0.1}
    regions = {"tough": shares, "tolerant": shares, "beyond_all": 0.65}
    of_student = {
        "student_errors": {"crops": spike, "views": spike},
        "beta": 0.4,
        "regions": {"crops": regions, "views": regions},
    }
    kd = "KD-Loss, paper's form, both teachers"
    distances = {"distances": {"train": spike, "validation": spike}}
    for number, record in enumerate(
        [
            made_up(kd, 2, [4.0, 4.0, 4.0, 12.0], **of_student)
            | {"validation_nme": [7.0, 6.0, 5.0]},
            made_up(kd, 1, [2.0, 4.0, 4.0, 10.0], **of_student),
            made_up("no teacher, L1", 1, [4.0, 5.0, 5.0, 12.0], **of_student),
            made_up("no teacher, L2", 1, [8.0, 8.0, 8.0, 16.0], **of_student),
            made_up("tolerant teacher", 1, [3.0, 3.0, 3.0, 7.0], **distances),
            made_up("tough teacher", 1, [2.0, 2.0, 2.0, 6.0], **distances),
        ]
    ):
        write_json(tmp_path / f"{number}.json", record)
    return tmp_path


def test_the_table_has_means_over_seeds_and_paired_differences(records: Path) -> None:
    [protocol] = read_protocols(records)
    assert list(protocol.rows) == [
        "tough teacher",
        "tolerant teacher",
        "no teacher, L2",
        "no teacher, L1",
        "KD-Loss, paper's form, both teachers",
    ]
    rows = [line.split(" | ") for line in score_table(protocol, "common").splitlines()]
    kd = rows[-1]
    assert kd[1] == "5.00 / 6.00"
    assert kd[2].startswith("5.50 [")
    assert kd[3] == "25.00"
    # 10 of L2 and 6.5 of L1, each in a column of its own.
    assert [cell.split(" [")[0] for cell in kd[5:]] == ["-4.50", "-1.00"]
    assert rows[-2][6].strip(" |") == ""  # L1 beside itself
    assert region_table(protocol).splitlines()[-1].split(" | ")[1:5] == ["65", "70", "20", "10"]


def test_all_tables_are_blocks_of_the_page(records: Path) -> None:
    made = blocks(read_protocols(records))
    assert (
        "90 train faces; teachers large, 4 epochs in batches of 16; students small"
        in made["reproduction"]
    )
    assert "test: common, n = 4" in made["reproduction"]
    assert "beyond both teachers" in made["reproduction regions"]


def test_other_test_faces_are_not_mixed(records: Path) -> None:
    write_json(records / "x.json", made_up("no teacher, L1", 2, [1.0, 2.0, 3.0]))
    with pytest.raises(UserError, match="L1, seed 2, was measured on other test faces than tough"):
        read_protocols(records)


def test_without_records_it_says_who_writes_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no records; `python -m .*record` writes them"):
        read_protocols(tmp_path)


def test_errors_are_not_drawn_before_both_teachers_are_known(records: Path, tmp_path: Path) -> None:
    (records / "5.json").unlink()
    [protocol] = read_protocols(records)
    with pytest.raises(UserError, match="no record of tough teacher yet"):
        draw_teacher_errors(tmp_path / "teachers.png", protocol)


def test_curves_are_means_over_seeds_and_the_ced_is_of_all_errors(records: Path) -> None:
    [protocol] = read_protocols(records)
    kd = protocol.curves()["KD-Loss, paper's form, both teachers"]
    assert kd["nme"].tolist() == [8.0, 6.0, 5.0]
    shares = protocol.ced("common")
    assert shares["no teacher, L2"].iloc[-1] == 0.75
    kd_shares = shares["KD-Loss, paper's form, both teachers"]
    assert kd_shares[shares["error"] < 4].max() == 1 / 8
    assert kd_shares.iloc[-1] == 1


def test_the_errors_of_teachers_and_student_are_drawn(records: Path, tmp_path: Path) -> None:
    [protocol] = read_protocols(records)
    draw_teacher_errors(tmp_path / "teachers.png", protocol)
    image = cv2.imread(str(tmp_path / "teachers.png"))
    assert image is not None
    assert image.std() > 5


@pytest.mark.seconds
def test_the_page_has_the_tables_of_the_committed_records() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, block in blocks(read_protocols(RECORDS)).items():
        assert filled(page, name, block, str(PAGE)) == page
