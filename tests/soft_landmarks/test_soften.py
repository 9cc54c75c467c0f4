"""The soft_landmarks stage: what it writes, and that validation faces have no part in the fit."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from landmark_kd.config.params import AsmParams
from landmark_kd.core.errors import UserError
from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks.metrics import nme, normalizing_distance
from landmark_kd.landmarks.scheme import SCHEMES
from landmark_kd.soft_landmarks.report import variance_table
from landmark_kd.soft_landmarks.shape_model import ShapeModel
from landmark_kd.soft_landmarks.soften import write_soft_landmarks
from tests.support.prepared_faces import prepared_faces, real_shapes

pytestmark = pytest.mark.seconds

ASM = AsmParams(variance=0.9, align="similarity", limit=3.0)


def write(faces: Faces, folder: Path, asm: AsmParams = ASM) -> None:
    write_soft_landmarks(faces, asm, folder / "soft", folder / "asm", folder / "scores.json")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return prepared_faces(tmp_path_factory.mktemp("faces") / "train", 60, validation=10)


@pytest.fixture(scope="module")
def written(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write(faces, folder)
    return folder


def test_soft_landmarks_are_those_of_a_model_fitted_to_train_rows_only(
    faces: Faces, written: Path
) -> None:
    hard = faces.crop_landmarks()
    model = ShapeModel.fit(hard[10:], ASM.variance, ASM.align, ASM.limit)
    soft = np.load(written / "soft/soft.npy", allow_pickle=False)
    np.testing.assert_allclose(soft, model.soften(hard), atol=1e-12)
    fitted_to_all = ShapeModel.fit(hard, ASM.variance, ASM.align, ASM.limit)
    assert np.abs(soft - fitted_to_all.soften(hard)).max() > 1e-6


def test_they_are_the_same_to_the_last_bit_whatever_the_number_of_threads(tmp_path: Path) -> None:
    many = prepared_faces(tmp_path / "many", 600, validation=10)
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            write(many, tmp_path / str(threads))
    first, second = (tmp_path / str(threads) / "soft/soft.npy" for threads in (1, 2))
    assert first.read_bytes() == second.read_bytes()


def test_the_model_beside_them_gives_the_same_soft_landmarks(faces: Faces, written: Path) -> None:
    model = ShapeModel.load(written / "soft/shape_model.npz")
    soft = np.load(written / "soft/soft.npy", allow_pickle=False)
    np.testing.assert_array_equal(model.soften(faces.crop_landmarks()), soft)


def test_the_scores_tell_modes_variance_and_how_far_landmarks_moved(
    faces: Faces, written: Path
) -> None:
    scores = json.loads((written / "scores.json").read_text())
    hard = faces.crop_landmarks()
    soft = np.load(written / "soft/soft.npy", allow_pickle=False)
    moved = nme(soft, hard, normalizing_distance(hard, faces.info.scheme))
    assert scores["modes"] == len(ShapeModel.load(written / "soft/shape_model.npz").modes)
    assert 0.9 <= scores["variance_explained"] < 1
    assert scores["nme_train"] == pytest.approx(moved[10:].mean(), abs=1e-6)
    assert scores["nme_validation"] == pytest.approx(moved[:10].mean(), abs=1e-6)


def test_the_report_holds_two_images_and_a_table(written: Path) -> None:
    names = sorted(path.name for path in (written / "asm").iterdir())
    assert names == ["modes.png", "soft_landmarks.png", "variance.csv"]
    for image in ("modes.png", "soft_landmarks.png"):
        drawn = cv2.imread(str(written / "asm" / image))
        assert drawn is not None
        assert drawn.std() > 5


def test_the_table_goes_from_one_mode_to_99_percent_of_the_variance(written: Path) -> None:
    table = pd.read_csv(written / "asm/variance.csv")
    assert list(table.columns) == ["modes", "variance", "cumulative", "nme"]
    assert table["modes"].tolist() == list(range(1, len(table) + 1))
    assert table["cumulative"].iloc[-1] >= 0.99 > table["cumulative"].iloc[-2]
    assert table["nme"].iloc[-1] < 0.5 * table["nme"].iloc[0]
    kept = json.loads((written / "scores.json").read_text())
    row = table[table["modes"] == kept["modes"]].iloc[0]
    assert row["cumulative"] == pytest.approx(kept["variance_explained"])
    assert row["nme"] == pytest.approx(kept["nme_train"])


def test_a_row_of_the_table_is_what_a_fit_with_its_variance_gives() -> None:
    shapes = real_shapes(80)
    table = variance_table(ShapeModel.fit(shapes, 1.0), shapes, SCHEMES[68], 5)
    fitted = ShapeModel.fit(shapes, table["cumulative"][3])
    assert len(fitted.modes) == 4
    errors = nme(fitted.soften(shapes), shapes, normalizing_distance(shapes, SCHEMES[68]))
    assert table["nme"][3] == pytest.approx(errors.mean())


def test_without_alignment_soft_landmarks_stay_in_the_crop(tmp_path: Path) -> None:
    faces = prepared_faces(tmp_path / "train", 30, validation=3)
    write(faces, tmp_path, AsmParams(variance=0.9, align="none", limit=3.0))
    soft = np.load(tmp_path / "soft/soft.npy", allow_pickle=False)
    assert ShapeModel.load(tmp_path / "soft/shape_model.npz").align == "none"
    assert np.abs(soft).max() < 0.6


def test_two_runs_write_the_same_bytes(faces: Faces, written: Path, tmp_path: Path) -> None:
    write(faces, tmp_path)
    for name in ("soft/soft.npy", "asm/variance.csv", "asm/modes.png", "scores.json"):
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_a_few_faces_are_enough(tmp_path: Path) -> None:
    write(prepared_faces(tmp_path / "train", 4, validation=1), tmp_path)
    assert (tmp_path / "asm/soft_landmarks.png").is_file()


def test_a_single_train_face_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    faces = prepared_faces(tmp_path / "train", 3, validation=2)
    with pytest.raises(UserError, match="1 train faces"):
        write(faces, tmp_path / "out")
    assert not (tmp_path / "out").exists()
