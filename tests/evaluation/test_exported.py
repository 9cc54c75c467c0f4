"""An exported network against data sets, by networks whose errors are known in advance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmark_kd.core.boxes import BoxName
from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import Split
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.data.synthetic.shape import rotation_matrix
from landmark_kd.evaluation.box_jitter import jitter_boxes
from landmark_kd.evaluation.exported import BoxJitter, OnnxEvaluation, evaluate_onnx
from landmark_kd.evaluation.exported_report import protocol, scores_table, summary
from landmark_kd.imaging import face_detector
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.head import load_prior
from landmark_kd.landmarks.metrics import normalizing_distance
from landmark_kd.landmarks.scheme import IBUG_68, WFLW_98, LandmarkScheme, convert
from tests.support.constant_model import constant_model
from tests.support.raw_cofw_wflw import face_landmarks, write_cofw, write_wflw
from tests.support.raw_faces import landmarks_in, write_300w, write_face, write_pts

pytestmark = pytest.mark.seconds

# What every face of `write_300w` has.
FACE = landmarks_in(80, 60)
# A .pts file has three decimals, the network float32.
CLOSE = 5e-3
EYES = float(np.linalg.norm(FACE[36] - FACE[45]))
# Points in no order, in which a head turned so far fits best.
ITS_YAW = "yaw ≥ 30°"


def evaluate(
    folder: Path,
    model: Path,
    *,
    split: Split = "test",
    box: BoxName | None = None,
    jitter: BoxJitter | None = None,
) -> OnnxEvaluation:
    _, dataset = recognised(folder)
    return evaluate_onnx(
        LandmarkDetector.load(model),
        dataset,
        folder,
        split=split,
        box=box,
        jitter=jitter or BoxJitter(),
    )


def model_of(
    folder: Path, shape: np.ndarray = FACE, scheme: LandmarkScheme = IBUG_68, **info: Any
) -> Path:
    return constant_model(folder / "model.onnx", shape, scheme, **info)


def moved_by(pixels: float) -> np.ndarray:
    """The face with one landmark that does not touch the box moved; NME 100/68 pixels / EYES."""
    landmarks = FACE.copy()
    inner = int(np.abs(FACE - geometry.landmarks_box(FACE).reshape(2, 2).mean(0)).sum(1).argmin())
    landmarks[inner, 0] += pixels
    return landmarks


def test_a_network_that_is_right_makes_no_error_and_a_known_one_its_own(tmp_path: Path) -> None:
    folder = write_300w(tmp_path / "300w")
    write_pts(folder / "ibug/image_003_1.pts", moved_by(3.0))
    evaluation = evaluate(folder, model_of(tmp_path))
    expected = dict.fromkeys((face.name for face in evaluation.faces), 0.0)
    expected["ibug/image_003_1"] = 100 * 3.0 / 68 / EYES
    found = {f.name: e for f, e in zip(evaluation.faces, evaluation.errors, strict=True)}
    assert found == pytest.approx(expected, abs=CLOSE)
    moved = [face.name for face in evaluation.faces].index("ibug/image_003_1")
    np.testing.assert_allclose(evaluation.true[moved], moved_by(3.0), atol=CLOSE)
    np.testing.assert_allclose(evaluation.pred, np.tile(FACE, (5, 1, 1)), atol=CLOSE)
    table = scores_table(evaluation)
    assert list(table) == ["common", "challenging", "full", ITS_YAW]
    assert table["challenging"]["nme"] == pytest.approx(expected["ibug/image_003_1"] / 2, abs=CLOSE)
    assert table["full"]["nme"] == pytest.approx(expected["ibug/image_003_1"] / 5, abs=CLOSE)
    assert {name: (row["n"], row.get("n_published")) for name, row in table.items()} == {
        "common": (3, 554),
        "challenging": (2, 135),
        "full": (5, 689),
        ITS_YAW: (5, None),
    }
    assert list(table["common"]) == ["nme", "fr8", "fr10", "auc8", "auc10", "n", "n_published"]


def test_failures_and_areas_are_counted_at_both_thresholds(tmp_path: Path) -> None:
    folder = write_300w(tmp_path / "300w", without=("ibug",))
    evaluation = evaluate(folder, model_of(tmp_path))
    table = scores_table(replace(evaluation, errors=np.array([0.0, 9.0, 12.0])))["common"]
    assert table["nme"] == 7
    assert table["fr8"] == pytest.approx(200 / 3, abs=1e-5)
    assert table["fr10"] == pytest.approx(100 / 3, abs=1e-5)
    assert table["auc8"] == pytest.approx(100 / 3, abs=1e-5)
    assert table["auc10"] == pytest.approx(110 / 3, abs=1e-5)


def test_train_faces_are_measured_when_asked_for(tmp_path: Path) -> None:
    table = scores_table(evaluate(write_300w(tmp_path / "a"), model_of(tmp_path), split="train"))
    assert {name: row["n"] for name, row in table.items()} == {"train": 10, ITS_YAW: 10}
    assert table["train"]["n_published"] == 3148


def test_jittered_boxes_move_the_prediction_as_the_boxes_move(tmp_path: Path) -> None:
    folder = write_300w(tmp_path / "300w")
    evaluation = evaluate(folder, model_of(tmp_path), jitter=BoxJitter(0.2, 0.3, seed=4))
    boxes = np.tile(geometry.landmarks_box(FACE), (5, 1))
    jittered = jitter_boxes(boxes, 0.2, 0.3, seed=4)
    sides = (jittered[:, 2:] - jittered[:, :2]).max(axis=1)
    factor = (sides / (boxes[0, 2:] - boxes[0, :2]).max())[:, None, None]
    centre, true_centre = ((b[:, None, :2] + b[:, None, 2:]) / 2 for b in (jittered, boxes))
    predicted = (FACE - true_centre) * factor + centre
    expected = 100 * np.linalg.norm(predicted - FACE, axis=2).mean(axis=1) / EYES
    np.testing.assert_allclose(evaluation.errors, expected, atol=CLOSE)
    assert (evaluation.errors > 1).all()
    line = "jitter: shift 0.2, scale 0.3, seed 4"
    assert line in summary(evaluation)


def test_wflw_is_measured_in_the_68_points_of_the_network_and_said_to_be(tmp_path: Path) -> None:
    folder = write_wflw(tmp_path / "wflw", test=1)
    size = (80, 60)
    shape = convert(face_landmarks(98, 0, size), WFLW_98, IBUG_68)
    evaluation = evaluate(folder, model_of(tmp_path, shape))
    # The box is the 68 points' one, not that of all 98.
    np.testing.assert_allclose(evaluation.errors, [0.0], atol=CLOSE)
    shifted = shape.copy()
    inner = int(np.abs(shape - np.median(shape, axis=0)).sum(axis=1).argmin())
    shifted[inner] += 2.0
    (error,) = evaluate(folder, model_of(tmp_path, shifted)).errors
    eyes = normalizing_distance(shape[None], IBUG_68)[0]
    assert error == pytest.approx(100 * 2 * np.sqrt(2) / 68 / eyes, abs=CLOSE)
    assert protocol(evaluation)["converted_from"] == 98
    assert "98 landmarks were turned into the network's 68" in summary(evaluation)
    assert list(scores_table(evaluation)) == [
        "all", "pose", "expression", "illumination", "make-up", "occlusion", "blur", ITS_YAW,
    ]  # fmt: skip


def yaw_rows(evaluation: OnnxEvaluation) -> dict[str, tuple[Any, Any]]:
    """NME and number of faces of the rows by yaw, which no author published."""
    table = scores_table(evaluation)
    assert not any("n_published" in row for name, row in table.items() if name.startswith("yaw"))
    return {name: (row["nme"], row["n"]) for name, row in table.items() if name.startswith("yaw")}


def test_faces_are_measured_by_how_far_they_look_to_either_side(tmp_path: Path) -> None:
    evaluation = evaluate(write_300w(tmp_path / "300w"), model_of(tmp_path))
    turned = replace(
        evaluation,
        true=np.stack([head_turned(yaw) for yaw in (-5.0, 25.0, 40.0, -15.0, -35.0)]),
        errors=np.array([1.0, 2.0, 4.0, 8.0, 16.0]),
    )
    assert yaw_rows(turned) == {
        "yaw < 10°": (1, 1),
        "yaw 10 to 20°": (8, 1),
        "yaw 20 to 30°": (2, 1),
        "yaw ≥ 30°": (10, 2),
    }
    assert list(scores_table(turned))[:3] == ["common", "challenging", "full"]
    shown = [line.split() for line in summary(turned).splitlines()]
    assert ["yaw", "10", "to", "20°", "1", "8.00"] in [words[:6] for words in shown]


def test_only_faces_of_the_68_landmarks_of_300w_are_measured_by_yaw(tmp_path: Path) -> None:
    folder = write_wflw(tmp_path / "wflw", test=1)
    of_98 = evaluate(folder, model_of(tmp_path, face_landmarks(98, 0, (80, 60)), WFLW_98))
    assert not yaw_rows(of_98)
    of_68 = evaluate(write_300w(tmp_path / "300w"), model_of(tmp_path))
    assert yaw_rows(of_68)
    # So many landmarks, but of a scheme of someone's own.
    own = replace(IBUG_68, flip=np.arange(68))
    assert not yaw_rows(replace(of_68, scheme=own))


def head_turned(yaw: float) -> np.ndarray:
    return 20.0 * (load_prior().mean @ rotation_matrix(yaw, 0.0, 0.0).T)[:, :2] + 30.0


def test_the_boxes_of_the_set_are_taken_when_asked_for_or_trained_on(tmp_path: Path) -> None:
    folder = write_wflw(tmp_path / "wflw", test=1)
    shape = face_landmarks(98, 0, (80, 60))
    model = model_of(tmp_path, shape, WFLW_98)
    landmarks, dataset = (evaluate(folder, model, box=b).errors for b in ("landmarks", "dataset"))
    assert landmarks[0] < CLOSE
    # The list's boxes are whole pixels, which shows.
    assert dataset[0] > 0.1
    trained_on_it = model_of(tmp_path, shape, WFLW_98, box="dataset")
    by_default = evaluate(folder, trained_on_it)
    assert by_default.box == "dataset"
    np.testing.assert_array_equal(by_default.errors, dataset)
    other = summary(evaluate(folder, trained_on_it, box="landmarks"))
    assert "box: landmarks (trained on: dataset), margin 0.5" in other


def test_found_faces_are_matched_by_overlap_and_missed_ones_are_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_300w(tmp_path / "300w")
    x0, y0, x1, y1 = geometry.landmarks_box(FACE)
    write_face(folder / "ibug", "image_003_1", image=np.zeros((60, 80, 3), dtype=np.uint8))
    write_face(folder / "lfpw/testset", "image_0001", image=np.full((60, 80, 3), 255, np.uint8))

    def find_faces(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if image.max() == 0:
            return np.empty((0, 4)), np.empty(0)
        neighbour = [x0 + (x1 - x0) * 0.7, y0, x1 + (x1 - x0) * 0.7, y1]
        own = [x0, y0, x1, y1]
        found = [neighbour] if image.min() == 255 else [neighbour, own]
        return np.array(found), np.ones(len(found))

    monkeypatch.setattr(face_detector, "find_faces", find_faces)
    evaluation = evaluate(folder, model_of(tmp_path), box="detector")
    found = {f.name: e for f, e in zip(evaluation.faces, evaluation.errors, strict=True)}
    assert [name for name, error in found.items() if np.isinf(error)] == [
        "lfpw/testset/image_0001",
        "ibug/image_003_1",
    ]
    table = scores_table(evaluation)
    assert table["common"]["nme"] == pytest.approx(0, abs=CLOSE)
    assert table["common"]["fr8"] == table["common"]["fr10"] == pytest.approx(100 / 3, abs=1e-5)
    assert table["common"]["auc8"] == pytest.approx(200 / 3, abs=0.05)
    assert (table["common"]["found"], table["common"]["n"]) == (2, 3)
    assert "found 2 of 3" in summary(evaluation)


def test_a_subset_in_which_no_face_is_found_has_no_nme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_detector, "find_faces", lambda *_: (np.empty((0, 4)), np.empty(0)))
    evaluation = evaluate(write_300w(tmp_path / "300w"), model_of(tmp_path), box="detector")
    scores = scores_table(evaluation)["full"]
    assert scores["nme"] is None
    assert (scores["fr8"], scores["auc10"], scores["found"], scores["n"]) == (100, 0, 0, 5)
    (row,) = (line for line in summary(evaluation).splitlines() if line.startswith("full "))
    assert row.split()[4] == "-"


def test_broken_faces_are_left_out_and_said(tmp_path: Path) -> None:
    folder = write_300w(tmp_path / "300w")
    (folder / "ibug/image_003_1.png").write_bytes(b"no image")
    (folder / "lfpw/testset/image_0001.pts").write_text("nothing")
    write_pts(folder / "helen/testset/30_1.pts", FACE + 900)
    (folder / "afw/11_1.png").write_bytes(b"broken, but a train face")
    evaluation = evaluate(folder, model_of(tmp_path))
    assert [face.name for face in evaluation.faces] == ["helen/testset/31_1", "ibug/image_004 _01"]
    assert len(evaluation.errors) == 2
    assert protocol(evaluation)["left_out"] == 3
    assert "not complete: 3 broken left out, the first because " in summary(evaluation)
    for name in ("ibug/image_004 _01", "helen/testset/31_1"):
        (folder / f"{name}.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="no good test face of 300w: all are broken, the first"):
        evaluate(folder, model_of(tmp_path))


def test_a_face_that_decides_the_mean_is_named(tmp_path: Path) -> None:
    folder = write_300w(tmp_path / "300w")
    write_pts(folder / "ibug/image_003_1.pts", moved_by(3.0))
    evaluation = evaluate(folder, model_of(tmp_path))
    (said,) = protocol(evaluation)["deciding_faces"]
    assert said.startswith("ibug/image_003_1 makes ")
    assert f"one face decides: {said}" in summary(evaluation)


def test_a_network_of_other_landmarks_is_refused(tmp_path: Path) -> None:
    cofw = write_cofw(tmp_path / "cofw")
    with pytest.raises(UserError, match="has 68 landmarks, but cofw has 29; only WFLW's 98"):
        evaluate(cofw, model_of(tmp_path))
    w300 = write_300w(tmp_path / "300w")
    with pytest.raises(UserError, match="has 98 landmarks, but 300w has 68"):
        evaluate(w300, model_of(tmp_path, face_landmarks(98, 0, (80, 60)), WFLW_98))
    other = model_of(tmp_path, flip=tuple(range(68)))
    with pytest.raises(UserError, match="both have 68 landmarks, but mirror them differently"):
        evaluate(w300, other)
    wflw = write_wflw(tmp_path / "wflw")
    with pytest.raises(UserError, match="has 68 landmarks, but wflw has 98"):
        evaluate(wflw, other)


def test_boxes_that_are_not_to_be_had_are_refused(tmp_path: Path) -> None:
    folder = write_300w(tmp_path / "300w")
    with pytest.raises(UserError, match="--box is dataset, but 300w brings none"):
        evaluate(folder, model_of(tmp_path), box="dataset")
    trained_on_boxes = model_of(tmp_path, box="dataset")
    with pytest.raises(UserError, match="trained on a data set's own boxes, but 300w brings none"):
        evaluate(folder, trained_on_boxes)
    with pytest.raises(UserError, match="not known where these lie in a detector's"):
        evaluate(folder, trained_on_boxes, box="detector")
    with pytest.raises(UserError, match="--shift and --scale move boxes that are known"):
        evaluate(folder, model_of(tmp_path), box="detector", jitter=BoxJitter(0.1, 0, 0))


@pytest.mark.seconds
def test_errors_on_real_faces_are_those_worked_out_by_hand(shared: Path, tmp_path: Path) -> None:
    shape = np.load(shared / "data/shapes/300w_68.npz")["pts"][0]
    evaluation = evaluate(shared / "data/300w", model_of(tmp_path, shape))
    true = np.stack([face.landmarks for face in evaluation.faces])
    centred, sides = (shape - _middle(shape[None])[0], np.ptp(true, axis=1).max(axis=1))
    predicted = _middle(true) + centred / np.ptp(shape, axis=0).max() * sides[:, None, None]
    eyes = np.linalg.norm(true[:, 36] - true[:, 45], axis=1)
    expected = 100 * np.linalg.norm(predicted - true, axis=2).mean(axis=1) / eyes
    np.testing.assert_allclose(evaluation.errors, expected, atol=1e-3)
    scores = scores_table(evaluation)["common"]
    assert scores["nme"] == pytest.approx(expected.mean(), abs=1e-3)
    assert (scores["n"], scores["n_published"]) == (554, 554)
    assert "not complete: ibug has none of 135 published faces" in summary(evaluation)


def _middle(shapes: np.ndarray) -> np.ndarray:
    """Return the middles (N, 1, 2) of the shapes' boxes."""
    return (shapes.min(axis=1, keepdims=True) + shapes.max(axis=1, keepdims=True)) / 2
