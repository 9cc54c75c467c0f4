"""Train faces of further sets join those of the data set, and nothing else of them does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from landmark_kd.config.params import DataParams, SyntheticParams
from landmark_kd.core.errors import UserError
from landmark_kd.data.fetching.fetch import fetch
from landmark_kd.data.preparation.prepare import prepare
from landmark_kd.faces.prepared import Faces, load_faces
from tests.support.raw_custom import table_lines, write_table
from tests.support.small_crop import CROP

pytestmark = pytest.mark.seconds

SYNTHETIC = SyntheticParams(train=4, test=2, resolution=64)
PEOPLE = [f"person{i}" for i in range(10)]


def prepared(
    folder: Path, extra: list[Path], *, box: Literal["landmarks", "dataset"] = "landmarks"
) -> Faces:
    """Fetch and prepare the set in `folder`/mine with further ones; return the train faces."""
    data = DataParams(
        name="pts", path=str(folder / "mine"), extra=[str(path) for path in extra], on_bad="error"
    )
    raw, out = folder / f"raw{len(extra)}", folder / f"faces{len(extra)}"
    fetch(data, SYNTHETIC, 1, unlabelled=None, unlabelled_box="detector", out=raw)
    crop = CROP.model_copy(update={"box": box})
    prepare(data, 0.3, crop, 1, unlabelled_box="detector", unlabelled_limit=None, raw=raw, out=out)
    return load_faces(out / "train")


def other(
    folder: Path, name: str = "other", lines: list[str] | None = None, **changes: Any
) -> Path:
    return write_table(folder / name, lines or table_lines(PEOPLE), name=name, **changes)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    write_table(tmp_path / "mine", table_lines(PEOPLE))
    return tmp_path


def test_train_faces_of_two_sets_join_and_validation_stays_what_it_was(mine: Path) -> None:
    alone = prepared(mine, [])
    joined = prepared(mine, [other(mine, licence="Theirs."), other(mine, "third")])
    # Terms of all sets bind a network that learns them.
    assert joined.info.licence == "Mine, for anything. Theirs."
    own = len(alone)
    # A fifth of each set's faces are its test faces.
    assert len(joined) == own + 8 + 8
    assert joined.table["name"][:own].tolist() == alone.table["name"].tolist()
    assert joined.validation_rows().tolist() == alone.validation_rows().tolist()
    np.testing.assert_array_equal(joined.images[:own], alone.images)
    assert joined.table["subsets"][own:].tolist() == ["other"] * 8 + ["third"] * 8
    assert joined.table["photo"].is_unique


def test_a_face_with_missing_landmarks_is_cut_in_the_box_that_its_set_brings(mine: Path) -> None:
    header, *rows = table_lines(PEOPLE)
    lines = [f"{header},box_x,box_y,box_width,box_height"]
    for row in rows:
        cells = row.split(",")
        cells[2:4] = ["", ""]  # the first landmark
        lines.append(",".join([*cells, "10", "12", "60", "50"]))
    folder = other(mine, lines=lines, missing="empty")
    joined = prepared(mine, [folder])
    added = np.flatnonzero(joined.table["subsets"] == "other")
    assert np.isnan(joined.landmarks[added, 0]).all()
    side = 60 * (1 + CROP.margin)
    np.testing.assert_allclose(joined.crop_sides()[added], side)
    # Of the data set itself the box is that of the landmarks which are there (docs/data.md).
    folder.rename(mine / "mine2")
    (mine / "mine").rename(mine / "before")
    (mine / "mine2").rename(mine / "mine")
    alone = prepared(mine, [])
    there = np.ptp(alone.landmarks[:, 1:], axis=1).max(axis=1)
    np.testing.assert_allclose(alone.crop_sides(), there * (1 + CROP.margin))


def test_a_set_whose_landmarks_have_another_order_is_refused(mine: Path) -> None:
    with pytest.raises(UserError, match=r"landmark 3 becomes 3 .* it becomes 4"):
        prepared(mine, [other(mine, flip_pairs=[[0, 1]])])


def test_landmarks_of_another_number_are_refused(mine: Path) -> None:
    header, *rows = table_lines(PEOPLE)
    four = [",".join(line.split(",")[:-2]) for line in (header, *rows)]
    folder = other(mine, lines=four, points=4, names=None, flip_pairs=[[0, 1]], contours=[])
    with pytest.raises(UserError, match=r"has 4 landmarks, but the data set .* has 5"):
        prepared(mine, [folder])


def test_a_folder_without_landmark_kd_yaml_is_refused(mine: Path) -> None:
    (mine / "bare").mkdir()
    with pytest.raises(UserError, match=r"landmark-kd\.yaml"):
        prepared(mine, [mine / "bare"])
