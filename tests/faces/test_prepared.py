from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.faces.info import FacesInfo
from landmark_kd.faces.prepared import load_faces, save_faces, save_same_faces
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import IBUG_68

CROP, BORDER, POINTS = 16, 4, 68


def _save(folder: Path, subsets: list[str]) -> Path:
    """Write faces whose image i has the value i, each with a crop map of its own."""
    n, side = len(subsets), CROP + 2 * BORDER
    folder.mkdir()
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, side, side, 3))
    np.save(folder / "images.npy", images)
    landmarks = np.random.default_rng(0).uniform(0, 300, (n, POINTS, 2))
    boxes = geometry.landmarks_box(landmarks)
    crops = np.stack([geometry.square_crop(box, 0.25, CROP) for box in boxes])
    table = pd.DataFrame(
        {
            "name": [f"{i:04}" for i in range(n)],
            "photo": ["NA", *(f"{i:03}" for i in range(1, n))],
            "subsets": subsets,
            "validation": [i % 3 == 0 for i in range(n)],
        }
    )
    published: dict[str, int | None] = {"common": 554, "challenging": 135, "full": 689}
    info = FacesInfo(
        dataset="300w",
        licence="for research",
        scheme=IBUG_68,
        crop_size=CROP,
        border=BORDER,
        margin=0.25,
        box="landmarks",
        box_in_haar=(0.1, 0.2, 0.9, 1.1),
        published=published,
        missing=["ibug"],
    )
    occluded = np.arange(n * POINTS).reshape(n, POINTS) % 3 == 0
    save_faces(folder, landmarks, geometry.invert(crops), table, info, occluded=occluded)
    return folder


def test_faces_are_read_as_they_were_written(tmp_path: Path) -> None:
    faces = load_faces(_save(tmp_path / "faces", ["common"] * 7))
    assert len(faces) == 7
    assert isinstance(faces.images, np.memmap)
    assert faces.info.stored_size == 24
    assert faces.info.published == {"common": 554, "challenging": 135, "full": 689}
    assert faces.info.points == POINTS
    assert faces.info.box_in_haar == (0.1, 0.2, 0.9, 1.1)
    # Names, flip table, contours and all: what plots and augmentation go by.
    assert faces.info.scheme.to_json() == IBUG_68.to_json()
    assert faces.info.scheme.contours == IBUG_68.contours
    assert faces.occluded is not None
    assert faces.occluded[0, :4].tolist() == [True, False, False, True]
    # Names made of digits, or that pandas takes for a missing value, stay names.
    assert faces.table["name"].tolist() == ["0000", "0001", "0002", "0003", "0004", "0005", "0006"]
    assert faces.table["photo"].tolist() == ["NA", "001", "002", "003", "004", "005", "006"]
    np.testing.assert_array_equal(faces.validation_rows(), [0, 3, 6])
    np.testing.assert_array_equal(faces.train_rows(), [1, 2, 4, 5])


def test_landmarks_go_into_the_crop_and_back_without_loss(tmp_path: Path) -> None:
    faces = load_faces(_save(tmp_path / "faces", ["common"] * 3))
    in_crop = faces.crop_landmarks()
    assert np.abs(in_crop).max() <= 0.4 + 1e-9
    assert np.abs(faces.to_image(in_crop) - faces.landmarks).max() < 1e-4


def test_a_crop_is_the_inner_part_of_the_stored_image(tmp_path: Path) -> None:
    folder = _save(tmp_path / "faces", ["common"] * 3)
    images = np.load(folder / "images.npy").copy()
    images[:, BORDER:-BORDER, BORDER:-BORDER] += 100
    np.save(folder / "images.npy", images)
    crops = load_faces(folder).crops(np.array([2, 0]))
    assert crops.shape == (2, CROP, CROP, 3)
    assert (crops[0] == 102).all()
    assert (crops[1] == 100).all()


def test_a_face_may_be_in_several_subsets_which_keep_the_published_order(tmp_path: Path) -> None:
    subsets = ["common|full", "challenging|full", "own|common|full"]
    rows = load_faces(_save(tmp_path / "faces", subsets)).subset_rows()
    assert {name: found.tolist() for name, found in rows.items()} == {
        "common": [0, 2],
        "challenging": [1],
        "full": [0, 1, 2],
        "own": [2],
    }
    assert list(rows) == ["common", "challenging", "full", "own"]


def test_without_marked_occlusion_there_is_none(tmp_path: Path) -> None:
    folder = _save(tmp_path / "faces", ["common"] * 2)
    (folder / "occluded.npy").unlink()
    assert load_faces(folder).occluded is None


def test_a_folder_may_have_the_faces_of_the_one_beside_it(tmp_path: Path) -> None:
    faces = load_faces(_save(tmp_path / "train", ["common"] * 3))
    (tmp_path / "teacher_train").mkdir()
    save_same_faces(tmp_path / "teacher_train", "train", tmp_path / "train")
    same = load_faces(tmp_path / "teacher_train")
    np.testing.assert_array_equal(same.images, faces.images)
    np.testing.assert_array_equal(same.landmarks, faces.landmarks)


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", *(f'{{"folder": {name}}}' for name in ("3", '"../train"', '"/"', '""', '".."'))],
)
def test_a_folder_that_names_none_beside_it_is_named(tmp_path: Path, text: str) -> None:
    _save(tmp_path / "train", ["common"] * 3)
    (tmp_path / "teacher_train").mkdir()
    (tmp_path / "teacher_train" / "same_as.json").write_text(text)
    with pytest.raises(UserError, match=r"same_as\.json is damaged"):
        load_faces(tmp_path / "teacher_train")


def test_folders_that_name_each_other_end_in_a_sentence(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same_as.json").write_text(f'{{"folder": "{other}"}}')
    with pytest.raises(UserError, match=r"info\.json is missing"):
        load_faces(tmp_path / "a")


ARRAYS = ["images.npy", "landmarks.npy", "crop_to_image.npy"]
OCCLUDED = "occluded.npy"


@pytest.mark.parametrize("name", [*ARRAYS, OCCLUDED, "info.json", "faces.csv"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.98])
def test_a_truncated_file_is_named(tmp_path: Path, name: str, share: float) -> None:
    folder = _save(tmp_path / "faces", ["common"] * 7)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=rf"{name} is damaged"):
        load_faces(folder)


@pytest.mark.parametrize("name", [*ARRAYS, "info.json", "faces.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = _save(tmp_path / "faces", ["common"] * 2)
    (folder / name).unlink()
    with pytest.raises(UserError, match=name):
        load_faces(folder)


@pytest.mark.parametrize(
    ("name", "text"), [("info.json", "[]"), ("info.json", '{"dataset": "300w"}')]
)
def test_information_of_another_kind_is_named(tmp_path: Path, name: str, text: str) -> None:
    folder = _save(tmp_path / "faces", ["common"] * 2)
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=rf"{name} is damaged"):
        load_faces(folder)


@pytest.mark.parametrize("name", [*ARRAYS, OCCLUDED])
def test_an_array_that_does_not_fit_the_others_is_named(tmp_path: Path, name: str) -> None:
    folder = _save(tmp_path / "faces", ["common"] * 3)
    np.save(folder / name, np.load(folder / name)[:, :1])
    with pytest.raises(UserError, match=rf"{name} is damaged \(found .* expected"):
        load_faces(folder)
