"""Unlabelled faces: in which boxes they are cut, what is left out, and that no landmark is kept."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from landmark_kd.config.params import CropParams, DataParams, UnlabelledBox
from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces
from landmark_kd.data.datasets.unlabelled import unlabelled_files, unlabelled_records
from landmark_kd.data.datasets.wflw import WFLW
from landmark_kd.data.preparation.prepare import prepare
from landmark_kd.faces.prepared import Faces, load_faces
from landmark_kd.imaging import face_detector
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import IBUG_68, convert
from tests.support.raw_cofw_wflw import write_cofw, write_wflw
from tests.support.raw_faces import (
    STEMS_300W,
    landmarks_in,
    snapshot,
    write_300w,
    write_face,
    write_pts,
)
from tests.support.small_crop import CROP
from tests.support.turned_images import write_turned

TRAIN_FACES = sum(len(STEMS_300W[part]) for part in ("afw", "helen/trainset", "lfpw/trainset"))
# Grey of the labelled images.
LABELLED = 250


def grey_image(grey: int) -> np.ndarray:
    return np.full((60, 80, 3), grey, dtype=np.uint8)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A fetched synthetic set of a few faces, without unlabelled ones."""
    for split in ("train", "test"):
        for i in range(4):
            folder = tmp_path / "raw/synthetic" / split
            write_face(folder, f"face_{i}", image=grey_image(LABELLED + (split == "test")))
    return tmp_path / "raw"


def run(
    raw: Path,
    out: Path,
    *,
    box: UnlabelledBox = "detector",
    limit: int | None = None,
    crop: CropParams = CROP,
    seed: int = 1,
) -> Faces:
    """Prepare; return the unlabelled faces."""
    prepare(
        DataParams(name="synthetic", path=None, extra=[], on_bad="error"),
        0.3,
        crop,
        seed,
        unlabelled_box=box,
        unlabelled_limit=limit,
        raw=raw,
        out=out,
    )
    return load_faces(out / "unlabelled")


def test_an_image_of_the_set_is_known_though_it_is_shown_turned(raw: Path, tmp_path: Path) -> None:
    stripes = np.repeat(np.arange(80, dtype=np.uint8)[None, :, None], 60, 0).repeat(3, 2)
    write_turned(raw / "synthetic/train/face_0.png", stripes, 6)
    write_pts(raw / "synthetic/train/face_0.pts", landmarks_in(60, 80))
    write_images(raw / "unlabelled", {"a.png": 1})
    shutil.copy(raw / "synthetic/train/face_0.png", raw / "unlabelled/b.png")
    with pytest.raises(UserError, match="1 faces of images that the data set itself has"):
        run(raw, tmp_path / "out")


def test_a_link_that_leads_nowhere_is_said(raw: Path) -> None:
    write_images(raw / "unlabelled", {"a.png": 1})
    (raw / "unlabelled/b.png").symlink_to("/gone/b.png")
    with pytest.raises(UserError, match=r"b\.png is a link to /gone/b\.png, which is not there"):
        unlabelled_files(raw / "unlabelled", "detector")


def test_images_are_read_as_shown(raw: Path) -> None:
    tall = np.zeros((80, 60, 3), dtype=np.uint8)
    write_turned(raw / "unlabelled/a.png", tall, 6)
    (record,) = unlabelled_records(raw / "unlabelled", "detector", IBUG_68, BadFaces("error"))
    assert record.image.read().shape == (80, 60, 3)


def write_images(folder: Path, greys: dict[str, int]) -> None:
    for name, grey in greys.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(cv2.imencode(".png", grey_image(grey))[1].tobytes())


def found_box(grey: int) -> np.ndarray:
    """Where the `detector` finds the highest-scoring face of an image."""
    return np.array([10 + grey / 10, 5, 30 + grey / 10, 25])


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that finds two faces in an image, and none in images of odd grey."""

    def find(image: np.ndarray, box_in_haar: object) -> tuple[np.ndarray, np.ndarray]:
        grey = int(image[0, 0, 0])
        if grey % 2:
            return np.empty((0, 4)), np.empty(0)
        return np.stack([found_box(grey), np.array([1, 1, 7, 7])]), np.array([0.9, 0.1])

    monkeypatch.setattr(face_detector, "find_faces", find)


def test_without_unlabelled_faces_there_are_none_in_either_size(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crop = CROP.model_copy(update={"teacher_resolution": 64})
    faces = run(raw, tmp_path / "faces", crop=crop)
    assert (len(faces), faces.images.shape) == (0, (0, 72, 72, 3))
    assert faces.crop_landmarks().shape == (0, 68, 2)
    assert load_faces(tmp_path / "faces/teacher_unlabelled").images.shape == (0, 96, 96, 3)
    assert "unlabelled" not in capsys.readouterr().out


@pytest.mark.usefixtures("detector")
def test_the_highest_scoring_face_of_each_image_is_cut_and_has_no_landmarks(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(raw / "unlabelled", {"b/2.png": 20, "a.png": 100, "b/c/1.png": 21, "z.png": 40})
    crop = CROP.model_copy(update={"teacher_resolution": 64})
    faces = run(raw, tmp_path / "faces", crop=crop)
    assert faces.table["name"].tolist() == ["a.png", "b/2.png", "z.png"]
    assert np.isnan(faces.landmarks).all()
    assert not faces.table["validation"].any()
    assert faces.images[:, 36, 36, 0].tolist() == [100, 20, 40]
    teachers = load_faces(tmp_path / "faces/teacher_unlabelled")
    assert teachers.images[:, 48, 48, 0].tolist() == [100, 20, 40]
    for size, found in ((48, faces), (64, teachers)):
        for row, grey in enumerate((100, 20, 40)):
            expected = geometry.invert(geometry.square_crop(found_box(grey), CROP.margin, size))
            np.testing.assert_allclose(found.crop_to_image[row], expected)
    said = capsys.readouterr().out
    assert "unlabelled: 3 faces of 4 images, without landmarks" in said
    assert "left out: 1 images in which the detector found no face" in said
    assert faces.info.missing == ["1 images in which the detector found no face"]


@pytest.mark.usefixtures("detector")
def test_an_image_of_the_data_set_is_no_unlabelled_one_whatever_its_name(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Of train and of test; the detector would find a face in the former.
    greys = {"a.png": LABELLED, "b.png": LABELLED + 1, "c.png": 8}
    write_images(raw / "unlabelled", greys)
    faces = run(raw, tmp_path / "faces")
    assert faces.table["name"].tolist() == ["c.png"]
    said = capsys.readouterr().out
    assert "left out: 2 faces of images that the data set itself has" in said


@pytest.mark.usefixtures("detector")
def test_a_limit_takes_a_seeded_choice_of_which_more_is_a_part_of_more(
    raw: Path, tmp_path: Path
) -> None:
    write_images(raw / "unlabelled", {f"{i:02}.png": i for i in range(40)})

    def names(limit: int | None, seed: int = 1) -> list[str]:
        faces = run(raw, tmp_path / f"faces_{limit}_{seed}", limit=limit, seed=seed)
        return faces.table["name"].tolist()

    five, ten = names(5), names(10)
    assert (len(five), len(ten)) == (5, 10)
    assert ten[:5] == five
    assert names(5, seed=2) != five
    assert sorted(names(100)) == names(None) == [f"{i:02}.png" for i in range(0, 40, 2)]


@pytest.mark.usefixtures("detector")
def test_broken_images_are_left_out_and_counted(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(raw / "unlabelled", {"a.png": 10, "b.png": 20})
    (raw / "unlabelled/a.png").write_bytes(b"no image")
    faces = run(raw, tmp_path / "faces")
    assert faces.table["name"].tolist() == ["b.png"]
    assert "1 bad faces, the first because the image" in capsys.readouterr().out


@pytest.mark.usefixtures("detector")
def test_images_without_any_face_stop_the_run_and_leave_what_was_there(
    raw: Path, tmp_path: Path
) -> None:
    write_images(raw / "unlabelled", {"a.png": 10})
    run(raw, tmp_path / "faces")
    before = snapshot(tmp_path / "faces")
    write_images(raw / "unlabelled", {"a.png": 11})
    with pytest.raises(UserError, match="no face to learn from: 1 images in which the detector"):
        run(raw, tmp_path / "faces")
    assert snapshot(tmp_path / "faces") == before


def write_other_set(folder: Path) -> Path:
    """A set in 300-W's layout, each image of a grey of its own."""
    write_300w(folder)
    for number, (part, stem) in enumerate((p, s) for p, names in STEMS_300W.items() for s in names):
        write_face(folder / part, stem, image=grey_image(number))
    return folder


def test_of_another_data_set_the_train_faces_are_cut_in_their_landmarks_box(
    raw: Path, tmp_path: Path
) -> None:
    write_other_set(raw / "unlabelled")
    faces = run(raw, tmp_path / "faces", box="landmarks")
    assert len(faces) == TRAIN_FACES
    assert not any("testset" in name or "ibug" in name for name in faces.table["name"])
    assert np.isnan(faces.landmarks).all()
    box = geometry.landmarks_box(landmarks_in(80, 60))
    expected = geometry.invert(geometry.square_crop(box, CROP.margin, CROP.resolution))
    np.testing.assert_allclose(faces.crop_to_image[3], expected, atol=1e-3)


def test_landmarks_of_unlabelled_faces_change_nothing_but_their_box(
    raw: Path, tmp_path: Path
) -> None:
    folder = write_other_set(raw / "unlabelled")
    run(raw, tmp_path / "a", box="landmarks")
    before = landmarks_in(80, 60)
    x0, y0, x1, y1 = geometry.landmarks_box(before)
    other = np.random.default_rng(9).uniform([x0, y0], [x1, y1], before.shape)
    other[:2] = [[x0, y0], [x1, y1]]
    for path in folder.rglob("*.pts"):
        write_pts(path, other)
    run(raw, tmp_path / "b", box="landmarks")
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")
    wider = other.copy()
    wider[0] -= 3
    for path in folder.rglob("*.pts"):
        write_pts(path, wider)
    run(raw, tmp_path / "c", box="landmarks")
    assert snapshot(tmp_path / "a/unlabelled") != snapshot(tmp_path / "c/unlabelled")


def test_landmarks_of_another_scheme_tell_the_box_that_they_have_in_the_one_to_learn(
    raw: Path, tmp_path: Path
) -> None:
    folder = write_wflw(raw / "unlabelled")
    faces = run(raw, tmp_path / "faces", box="landmarks")
    records = [r for r in WFLW.read(folder, BadFaces("error")) if r.split == "train"]
    assert len(faces) == len(records)
    box = geometry.landmarks_box(convert(records[0].landmarks, WFLW.scheme, IBUG_68))
    expected = geometry.invert(geometry.square_crop(box, CROP.margin, CROP.resolution))
    np.testing.assert_allclose(faces.crop_to_image[0], expected)


def test_a_scheme_that_encloses_another_part_of_the_face_is_refused(
    raw: Path, tmp_path: Path
) -> None:
    write_cofw(raw / "unlabelled")
    with pytest.raises(UserError, match=r"unlabelled\.box is landmarks, but 29 .*; take detector"):
        run(raw, tmp_path / "faces", box="landmarks")


@pytest.mark.seconds
def test_real_video_frames_are_cut_about_as_their_landmarks_lie(
    raw: Path, tmp_path: Path, shared: Path
) -> None:
    table = pd.read_csv(shared / "data/ytf/landmarks.csv").set_index("image").iloc[::120]
    (raw / "unlabelled").mkdir()
    for name in table.index:
        shutil.copyfile(shared / "data/ytf/images" / name, raw / "unlabelled" / name)
    faces = run(raw, tmp_path / "faces")
    assert len(faces) > 0.8 * len(table)
    points = [f"{axis}{i}" for i in range(68) for axis in "xy"]
    landmarks = table.loc[faces.table["name"], points].to_numpy().reshape(-1, 68, 2)
    told = replace(faces, landmarks=landmarks).crop_landmarks()
    low, high = told.min(axis=1), told.max(axis=1)
    # In the landmarks' own box the centre would be 0 and the longer side 1 / (1 + margin) = 0.8.
    assert np.abs(np.median((low + high) / 2, axis=0)).max() < 0.1
    assert 0.7 < np.median((high - low).max(axis=1)) < 1.0
