from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from landmark_kd.config.params import CropParams, DataParams
from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord
from landmark_kd.data.datasets.pts_folders import PtsFolders
from landmark_kd.data.datasets.registry import DATASETS
from landmark_kd.data.preparation import cropping, detected
from landmark_kd.data.preparation.detected import DetectedBoxes
from landmark_kd.data.preparation.prepare import prepare, validation_split
from landmark_kd.faces.prepared import Faces, load_faces
from landmark_kd.imaging import face_detector, images
from landmark_kd.imaging.images import ImageFile, read_image
from landmark_kd.inference.boxes import around, centre_half
from landmark_kd.inference.face_detector import YuNetDetector
from landmark_kd.inference.yunet_file import FILE
from landmark_kd.landmarks import geometry
from tests.support.raw_300w_lp import write_300w_lp
from tests.support.raw_custom import table_lines, write_table
from tests.support.raw_faces import (
    STEMS_300W,
    landmarks_in,
    snapshot,
    write_300w,
    write_face,
    write_pts,
)
from tests.support.small_crop import CROP

pytestmark = pytest.mark.seconds


def _prepare(
    raw: Path,
    out: Path,
    *,
    on_bad: Literal["error", "skip"] = "error",
    crop: CropParams = CROP,
    seed: int = 1,
    name: Literal["synthetic", "300w", "300w_lp", "pts"] = "300w",
) -> tuple[Faces, Faces]:
    data = DataParams(name=name, path="anywhere", extra=[], on_bad=on_bad)
    prepare(
        data, 0.3, crop, seed, unlabelled_box="detector", unlabelled_limit=None, raw=raw, out=out
    )
    return load_faces(out / "train"), load_faces(out / "test")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """The folder that `fetch` leaves, with a few faces in the layout of 300-W."""
    write_300w(tmp_path / "raw" / "300w")
    return tmp_path / "raw"


def test_faces_are_prepared_with_all_that_later_stages_need(raw: Path, tmp_path: Path) -> None:
    train, test = _prepare(raw, tmp_path / "faces")
    assert (len(train), len(test)) == (10, 5)
    assert train.images.shape == (10, 72, 72, 3)
    assert train.info.stored_size == 72
    assert list(train.subset_rows()) == ["train"]
    rows = {name: len(found) for name, found in test.subset_rows().items()}
    assert rows == {"common": 3, "challenging": 2, "full": 5}
    np.testing.assert_allclose(
        train.landmarks, np.broadcast_to(landmarks_in(80, 60), (10, 68, 2)), atol=1e-3
    )
    assert not test.table["validation"].any()
    assert 0 < train.table["validation"].sum() < 10
    assert test.info.published == {"common": 554, "challenging": 135, "full": 689}


def test_what_is_found_and_what_is_missing_is_said_and_kept(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (raw / "300w" / "ibug").iterdir():
        file.unlink()
    _, test = _prepare(raw, tmp_path / "faces")
    said = capsys.readouterr().out
    assert "common: 3 of 554 published" in said
    assert "challenging: 0 of 135 published" in said
    assert "ibug has none of 135 published faces" in said
    assert "ibug has none of 135 published faces" in test.info.missing


def test_the_same_input_gives_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    _prepare(raw, tmp_path / "a")
    _prepare(raw, tmp_path / "b")
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


@pytest.mark.seconds
@pytest.mark.parametrize("side", [40, 65, 130, 500], ids=lambda side: f"face of {side} pixels")
@pytest.mark.parametrize("context", [1.0, 1.5])
def test_a_dot_at_a_landmark_is_where_the_prepared_face_says(
    tmp_path: Path, side: int, context: float
) -> None:
    crop = CROP.model_copy(update={"resolution": 64, "context": context})
    # Crop pixels of 0.8 to 10 image pixels; the dot is as large as one or two of either.
    radius = max(1.0, side / 64)
    landmarks = np.random.default_rng(3).uniform([0.4, 0.6], [1.4, 1.6], (68, 2)) * side
    shown = list(range(0, 68, 7))
    for i in shown:
        stem = f"face_{i:02}"
        image = _dot(landmarks[i], radius, (round(side * 2.1), round(side * 1.9)))
        for split in ("train", "test"):
            write_face(tmp_path / "raw/synthetic" / split, stem, landmarks, image)
    train, _ = _prepare(tmp_path / "raw", tmp_path / "faces", crop=crop, name="synthetic")
    said = geometry.from_network(train.crop_landmarks(), 64)
    for row, i in enumerate(shown):
        found = _brightest(train.crops(slice(row, row + 1))[0])
        assert np.abs(found - said[row, i]).max() < 0.6, (i, found, said[row, i])


def test_the_teachers_faces_are_the_same_crops_in_their_own_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landmarks = np.random.default_rng(3).uniform([60, 90], [210, 240], (68, 2))
    for i in range(0, 68, 17):
        image = _dot(landmarks[i], 2.5, (315, 285))
        for split in ("train", "test"):
            write_face(tmp_path / "raw/synthetic" / split, f"face_{i:02}", landmarks, image)
    decoded: list[Path] = []

    def read_and_note(path: Path, *, shown: bool = False) -> np.ndarray:
        decoded.append(path)
        return read_image(path, shown=shown)

    monkeypatch.setattr(cropping, "measure_box_in_haar", lambda records, crop: None)
    monkeypatch.setattr(images, "read_image", read_and_note)
    crop = CROP.model_copy(update={"teacher_resolution": 112})
    out = tmp_path / "faces"
    for split, students in zip(
        ("train", "test"),
        _prepare(tmp_path / "raw", out, crop=crop, name="synthetic"),
        strict=True,
    ):
        teachers = load_faces(out / f"teacher_{split}")
        assert (students.info.crop_size, teachers.info.crop_size) == (48, 112)
        assert (students.info.stored_size, teachers.info.stored_size) == (72, 168)
        pd.testing.assert_frame_equal(students.table, teachers.table)
        np.testing.assert_array_equal(students.landmarks, teachers.landmarks)
        # A prediction of one may be carried over to the other.
        seen = teachers.crop_landmarks()
        np.testing.assert_allclose(students.crop_landmarks(), seen, atol=1e-12)
        np.testing.assert_allclose(students.to_image(seen), teachers.to_image(seen), atol=1e-9)
        for row, i in enumerate(range(0, 68, 17)):
            for faces in (students, teachers):
                size = faces.info.crop_size
                found = _brightest(faces.crops(slice(row, row + 1))[0])
                said = geometry.from_network(faces.crop_landmarks()[row, i], size)
                assert np.abs(found - said).max() < 0.6
    # Both sizes are cut out of one reading.
    assert len(decoded) == 8


@pytest.mark.parametrize("teacher_size", [None, CROP.resolution])
def test_teachers_of_the_students_size_have_their_faces_and_no_second_images(
    raw: Path, tmp_path: Path, teacher_size: int | None
) -> None:
    crop = CROP.model_copy(update={"teacher_resolution": teacher_size})
    train, test = _prepare(raw, tmp_path / "faces", crop=crop)
    for split, students in (("train", train), ("test", test)):
        folder = tmp_path / "faces" / f"teacher_{split}"
        assert sum(file.stat().st_size for file in folder.iterdir()) < 1000
        teachers = load_faces(folder)
        np.testing.assert_array_equal(students.images, teachers.images)
        np.testing.assert_array_equal(students.crop_to_image, teachers.crop_to_image)
        assert students.info.to_json() == teachers.info.to_json()


def test_what_depends_on_the_teachers_faces_sees_the_students_change(
    raw: Path, tmp_path: Path
) -> None:
    _prepare(raw, tmp_path / "a")
    write_face(raw / "300w/afw", "11_1", image=np.full((60, 80, 3), 90, dtype=np.uint8))
    _prepare(raw, tmp_path / "b")
    for split, same in (("teacher_train", False), ("teacher_test", True)):
        assert (snapshot(tmp_path / "a" / split) == snapshot(tmp_path / "b" / split)) == same


def test_with_a_teacher_size_of_its_own_another_size_leaves_the_teachers_faces_as_they_are(
    raw: Path, tmp_path: Path
) -> None:
    for out, size in (("a", 48), ("b", 64)):
        crop = CROP.model_copy(update={"resolution": size, "teacher_resolution": 96})
        _prepare(raw, tmp_path / out, crop=crop)
    for split, same in (("teacher_train", True), ("teacher_test", True), ("train", False)):
        assert (snapshot(tmp_path / "a" / split) == snapshot(tmp_path / "b" / split)) == same


def test_images_are_stored_red_first(raw: Path, tmp_path: Path) -> None:
    blue = np.full((60, 80, 3), [250, 20, 10], dtype=np.uint8)
    write_face(raw / "300w" / "afw", "11_1", image=blue)
    train, _ = _prepare(raw, tmp_path / "faces")
    assert (train.images[0] == [10, 20, 250]).all()


def test_a_photos_faces_stay_together_and_the_seed_decides_which() -> None:
    rng = np.random.default_rng(0)
    photos = [f"photo {i}" for i in rng.integers(0, 120, 300)]
    held_out = validation_split(photos, 0.1, seed=1)
    kept_photos = {photo for photo, out in zip(photos, held_out, strict=True) if not out}
    assert kept_photos.isdisjoint(np.array(photos)[held_out])
    assert 30 <= held_out.sum() < 30 + 10
    np.testing.assert_array_equal(held_out, validation_split(photos, 0.1, seed=1))
    assert (held_out != validation_split(photos, 0.1, seed=2)).any()


def test_a_face_is_held_out_or_not_wherever_it_stands() -> None:
    photos = [f"photo {i}" for i in range(50)]
    held_out = dict(zip(photos, validation_split(photos, 0.2, seed=1), strict=True))
    backwards = validation_split(photos[::-1], 0.2, seed=1)
    assert [held_out[photo] for photo in photos[::-1]] == backwards.tolist()


@pytest.mark.parametrize("share", [1e-6, 0.5, 0.999999])
@pytest.mark.parametrize("photos", [["a", "b"], ["a", "b", "b", "b"], list("abcdefgh")])
def test_validation_is_never_empty_and_never_all(photos: list[str], share: float) -> None:
    for seed in range(5):
        assert 0 < validation_split(photos, share, seed).sum() < len(photos)


def test_a_set_without_test_faces_is_refused_and_says_where_they_come_from(tmp_path: Path) -> None:
    write_300w_lp(tmp_path / "raw/300w_lp", test=None)
    with pytest.raises(
        UserError,
        match=r"300w_lp has no test face, but both splits are needed; AFLW2000 has none of 2000 "
        r"published faces; 300W-LP and AFLW2000-3D .* come from http",
    ):
        _prepare(tmp_path / "raw", tmp_path / "faces", name="300w_lp")


@pytest.fixture
def custom(tmp_path: Path) -> Path:
    """A raw folder with a custom set that says itself which faces are for validation."""
    people = ["train", "val", "train", "dev", "train", "test"]
    split = {"column": "part", "test": None, "seed": 0}
    write_table(tmp_path / "raw/pts", table_lines(people, column="part"), split=split)
    return tmp_path / "raw"


def test_the_data_sets_own_validation_faces_are_taken_rather_than_a_share(
    custom: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = _prepare(custom, tmp_path / "faces", name="pts")
    assert (len(train), len(test)) == (5, 1)
    held_out = train.table.loc[train.table["validation"], "name"]
    assert held_out.tolist() == ["p001.png", "p003.png"]
    said = capsys.readouterr().out
    assert "mine: 5 train faces, 2 of them for validation (as the data set says)" in said


def test_a_set_whose_own_validation_faces_are_all_bad_is_refused(
    custom: Path, tmp_path: Path
) -> None:
    for name in ("p001.png", "p003.png"):
        (custom / "pts/images" / name).write_bytes(b"no image")
    with pytest.raises(UserError, match="which faces are for validation, but none that is left"):
        _prepare(custom, tmp_path / "faces", name="pts", on_bad="skip")


def test_train_faces_of_a_single_photo_cannot_be_split() -> None:
    with pytest.raises(UserError, match="the train faces are of 1 photo"):
        validation_split(["a", "a", "a"], 0.1, seed=1)


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:60])


def _replace_third_point(file: Path, line: str) -> None:
    lines = file.read_text().splitlines()
    lines[5:6] = [line] if line else []
    file.write_text("\n".join(lines))


def _make_bad(folder: Path, kind: str) -> None:
    if kind == "truncated image":
        _truncate(folder / "11_2.png")
    elif kind == "text as image":
        (folder / "11_2.png").write_text("not an image")
    elif kind == "67 points":
        _replace_third_point(folder / "11_2.pts", "")
    elif kind == "nan":
        _replace_third_point(folder / "11_2.pts", "nan 3")
    elif kind == "text":
        _replace_third_point(folder / "11_2.pts", "nose tip")
    elif kind == "no image":
        (folder / "11_2.png").unlink()
    elif kind == "no landmarks":
        (folder / "11_2.pts").unlink()
    else:
        write_pts(folder / "11_2.pts", landmarks_in(80, 10_000))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("truncated image", "11_2.png does not decode"),
        ("text as image", "11_2.png does not decode"),
        ("67 points", "11_2.pts, line 71: ends after 67 points, not 68"),
        ("nan", "11_2.pts, line 6: 'nan 3' is not finite"),
        ("text", "11_2.pts, line 6: 'nose tip' is not two numbers x y"),
        ("no image", "11_2.pts has no image"),
        ("no landmarks", "11_2.png has no 11_2.pts"),
        ("far outside", "pixels outside of its 80 x 60 pixels"),
    ],
)
def test_a_bad_face_stops_the_run_or_is_named_counted_and_left_out(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, sentence: str
) -> None:
    out = tmp_path / "faces"
    _prepare(raw, out)
    before = snapshot(out)
    _make_bad(raw / "300w" / "afw", kind)
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        _prepare(raw, out)
    assert "data.on_bad=skip" in str(caught.value)
    assert snapshot(out) == before

    capsys.readouterr()
    train, test = _prepare(raw, out, on_bad="skip")
    assert (len(train), len(test)) == (9, 5)
    assert "afw/11_2" not in train.table["name"].tolist()
    said = capsys.readouterr().out
    assert sentence in said
    assert "1 bad train face left out" in said
    assert "1 bad train face left out" in train.info.missing
    assert not any("bad" in sentence for sentence in test.info.missing)


def test_images_still_belong_to_their_faces_when_others_are_left_out(
    raw: Path, tmp_path: Path
) -> None:
    afw = raw / "300w" / "afw"
    for level, stem in ((10, "11_1"), (20, "11_2"), (30, "12_1")):
        write_face(afw, stem, image=np.full((60, 80, 3), level, dtype=np.uint8))
    _truncate(afw / "11_2.png")
    train, _ = _prepare(raw, tmp_path / "faces", on_bad="skip")
    assert train.table["name"].tolist()[:2] == ["afw/11_1", "afw/12_1"]
    assert (train.images[0] == 10).all()
    assert (train.images[1] == 30).all()


def test_an_image_with_several_faces_is_decoded_once_for_neighbours(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    afw = raw / "300w" / "afw"
    for level, stem in ((10, "11_1"), (20, "11_2")):
        write_face(afw, stem, image=np.full((60, 80, 3), level, dtype=np.uint8))
    order = ["11_1", "11_1", "11_2", "11_1"]

    def read(dataset: Dataset, folder: Path, bad: BadFaces) -> Iterator[FaceRecord]:
        for part in (dataset.parts[0], dataset.parts[-1]):
            for i, stem in enumerate(order):
                image = ImageFile(folder / "afw" / f"{stem}.png")
                yield FaceRecord(f"{i}", image, landmarks_in(80, 60), f"{i}", part)

    decoded: list[str] = []

    def read_and_note(path: Path, *, shown: bool = False) -> np.ndarray:
        decoded.append(path.stem)
        return read_image(path, shown=shown)

    monkeypatch.setattr(PtsFolders, "read", read)
    monkeypatch.setattr(cropping, "measure_box_in_haar", lambda records, crop: None)
    monkeypatch.setattr(images, "read_image", read_and_note)
    train, test = _prepare(raw, tmp_path / "faces")
    # Two threads may finish in either order.
    assert sorted(decoded) == ["11_1"] * 4 + ["11_2"] * 2
    for faces in (train, test):
        assert faces.images[:, 0, 0, 0].tolist() == [10, 10, 20, 10]


def test_an_error_of_one_face_leaves_its_photos_other_faces_good(raw: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        folder = raw / "300w" / {"train": "afw", "test": "ibug"}[split]
        write_pts(folder / f"{STEMS_300W[folder.name][0]}.pts", landmarks_in(80, 10_000))
    train, test = _prepare(raw, tmp_path / "faces", on_bad="skip")
    assert (len(train), len(test)) == (9, 4)


def test_a_set_whose_test_faces_are_all_bad_is_refused(raw: Path, tmp_path: Path) -> None:
    for part in ("helen/testset", "lfpw/testset", "ibug"):
        for stem in STEMS_300W[part]:
            _truncate(raw / "300w" / part / f"{stem}.png")
    with pytest.raises(UserError, match="no test face of 300w is left: all 5 are bad, the first"):
        _prepare(raw, tmp_path / "faces", on_bad="skip")
    assert not (tmp_path / "faces" / "train").exists()


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_a_run_that_breaks_off_leaves_what_was_there(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    out = tmp_path / "faces"
    _prepare(raw, out)
    before = snapshot(tmp_path)
    cut: list[Any] = []

    def sample_twelve(*args: Any) -> np.ndarray:
        if len(cut) >= 12:  # all train faces and two of the test faces
            raise failure
        cut.append(args)
        return np.zeros((72, 72, 3), dtype=np.uint8)

    monkeypatch.setattr(cropping, "sample", sample_twelve)
    with pytest.raises(type(failure)):
        _prepare(raw, out)
    assert snapshot(tmp_path) == before


def test_a_missing_raw_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="raw/300w does not exist"):
        _prepare(tmp_path / "raw", tmp_path / "faces")


def test_boxes_that_a_data_set_does_not_bring_are_asked_for_in_vain(
    raw: Path, tmp_path: Path
) -> None:
    crop = CROP.model_copy(update={"box": "dataset"})
    with pytest.raises(UserError, match=r"crop\.box is dataset, but afw/11_1 has no box"):
        _prepare(raw, tmp_path / "faces", crop=crop)


def _faces_set(folder: Path, shift: tuple[float, float] = (0, 0)) -> None:
    """A synthetic set of blank images with a face in each, `shift`ed from face to face."""
    for split, count in (("train", 40), ("test", 6)):
        for i in range(count):
            landmarks = landmarks_in(80, 60) + np.array(shift) * i
            write_face(folder / "raw/synthetic" / split, f"face_{i:02}", landmarks)


def _a_haar_box_of_double_size(monkeypatch: pytest.MonkeyPatch, lost: tuple[int, ...] = ()) -> None:
    """Let the detector find a box with the face's centre and twice its size, some faces not."""
    calls: list[int] = []

    def haar_box(image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
        calls.append(1)
        if image[0, 0, 0] in lost:
            return None
        centre, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        return np.concatenate([centre - extent, centre + extent])

    for module in (cropping, detected):
        monkeypatch.setattr(module, "haar_box", haar_box)


def test_where_the_box_lies_in_a_detectors_box_is_measured_on_train_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _faces_set(tmp_path)
    _a_haar_box_of_double_size(monkeypatch)
    for box in ("landmarks", "detector"):
        train, test = _prepare(
            tmp_path / "raw",
            tmp_path / "faces",
            crop=CROP.model_copy(update={"box": box}),
            name="synthetic",
        )
        assert train.info.box_in_haar == test.info.box_in_haar == (0.25, 0.25, 0.75, 0.75)


def test_too_few_faces_found_tell_nothing_about_the_box(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _a_haar_box_of_double_size(monkeypatch)
    train, _ = _prepare(raw, tmp_path / "faces")
    assert len(train) < face_detector.FEWEST_FACES
    assert train.info.box_in_haar is None


def test_the_detectors_box_is_cut_and_faces_it_does_not_find_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _faces_set(tmp_path)
    # An image of its own grey value is the one that the detector does not find.
    folder = tmp_path / "raw/synthetic/test"
    write_face(folder, "face_03", image=np.full((60, 80, 3), 77, dtype=np.uint8))
    _a_haar_box_of_double_size(monkeypatch, lost=(77,))
    # Moves the detector's box to a place that is not the landmarks' box.
    monkeypatch.setattr(cropping, "measure_box_in_haar", lambda records, crop: None)
    crop = CROP.model_copy(update={"box": "detector"})
    _, test = _prepare(tmp_path / "raw", tmp_path / "faces", crop=crop, name="synthetic")
    box = geometry.landmarks_box(test.landmarks[0])
    centre, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    found = np.concatenate([centre - extent, centre + extent])
    wanted = face_detector.landmark_boxes(found[None], face_detector.LANDMARK_BOX)[0]
    expected = geometry.invert(geometry.square_crop(wanted, CROP.margin, CROP.resolution))
    np.testing.assert_allclose(test.crop_to_image[0], expected)
    by_landmarks = geometry.invert(
        geometry.square_crop(
            geometry.landmarks_box(test.landmarks[3]), CROP.margin, CROP.resolution
        )
    )
    np.testing.assert_allclose(test.crop_to_image[3], by_landmarks)
    assert any("did not find 1 of 6 test faces" in sentence for sentence in test.info.missing)


@pytest.mark.seconds
def test_the_detector_finds_most_real_faces_and_its_box_is_near_the_landmarks(
    shared: Path,
) -> None:
    records = _some_train_faces(shared)
    relative = cropping.measure_box_in_haar(records, CROP)
    assert relative is not None
    np.testing.assert_allclose(relative, face_detector.LANDMARK_BOX, atol=0.08)


@pytest.fixture
def yunet(shared: Path, monkeypatch: pytest.MonkeyPatch) -> YuNetDetector:
    """YuNet, which `prepare` gets without network."""
    detector = YuNetDetector(shared / "peers" / FILE, threads=1)

    def make(name: str, *, threads: int) -> YuNetDetector:
        assert (name, threads) == ("yunet", 1)
        return detector

    monkeypatch.setattr(cropping, "make_detector", make)
    return detector


def _some_train_faces(shared: Path) -> list[FaceRecord]:
    read = DATASETS["300w"].read(shared / "data" / "300w", BadFaces("error"))
    return list(islice(read, 0, 400, 8))


def test_where_boxes_lie_in_those_of_yunet_is_measured_where_it_is_asked_for(
    shared: Path, yunet: YuNetDetector
) -> None:
    records = _some_train_faces(shared)
    asked = CROP.model_copy(update={"detector": "yunet"})
    boxes = cropping.measure_boxes(records, asked)
    assert boxes.box_in_haar == cropping.measure_boxes(records, CROP).box_in_haar
    assert boxes.box_in_yunet is not None
    np.testing.assert_allclose(boxes.box_in_yunet, (0, 0, 1, 1), atol=0.05)
    # Larger boxes lie so in the detector's.
    large = [replace(r, box=_enlarged(geometry.landmarks_box(r.landmarks))) for r in records]
    of_set = asked.model_copy(update={"box": "dataset"})
    in_yunet = cropping.measure_box_in_yunet(large, of_set, yunet)
    assert in_yunet is not None
    np.testing.assert_allclose(in_yunet, (-0.15, -0.15, 1.15, 1.15), atol=0.06)


def _enlarged(box: np.ndarray) -> np.ndarray:
    centre, half = centre_half(box)
    return around(centre, 1.3 * half)


def test_faces_in_boxes_of_yunet_are_cut_upright_as_predict_sees_them(
    shared: Path, yunet: YuNetDetector
) -> None:
    (record,) = _some_train_faces(shared)[:1]
    image = record.image.read()
    sideways = np.ascontiguousarray(np.rot90(image, -1))  # clockwise
    x, y = np.moveaxis(record.landmarks, -1, 0)
    lying = np.stack([image.shape[0] - 1 - y, x], axis=-1)
    boxes = DetectedBoxes(None, None, yunet)
    upright = boxes.of_face(image, geometry.landmarks_box(record.landmarks))
    turned = boxes.of_face(sideways, geometry.landmarks_box(lying))
    highest = boxes.highest_scoring(sideways)
    assert upright is not None
    assert turned is not None
    assert highest is not None
    side = (upright.box[2:] - upright.box[:2]).max()
    assert turned.roll == pytest.approx(upright.roll + np.pi / 2, abs=np.radians(10))
    np.testing.assert_allclose(highest.box, turned.box, atol=side / 8)
    # Turned as the head is, the crop has the chin below the brows.
    in_crop = geometry.apply(cropping.crop_face(sideways, turned, CROP).crop_map, lying)
    assert in_crop[8, 1] > in_crop[17:27, 1].max() + CROP.resolution / 2
    assert ((in_crop > -5) & (in_crop < CROP.resolution + 5)).all()


@pytest.mark.usefixtures("yunet")
def test_what_was_measured_for_yunet_is_said_of_the_faces_and_of_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _faces_set(tmp_path)
    asked = CROP.model_copy(update={"detector": "yunet"})
    monkeypatch.setattr(cropping, "measure_box_in_yunet", lambda *_: (0.1, 0.2, 0.8, 0.9))
    train, test = _prepare(tmp_path / "raw", tmp_path / "faces", crop=asked, name="synthetic")
    assert train.info.box_in_yunet == test.info.box_in_yunet == (0.1, 0.2, 0.8, 0.9)
    _prepare(tmp_path / "raw", tmp_path / "faces", name="synthetic")
    assert "yunet" not in (tmp_path / "faces/train/info.json").read_text()


def test_marked_occlusion_is_kept_where_all_faces_have_it(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(dataset: PtsFolders, folder: Path, bad: BadFaces) -> Iterator[FaceRecord]:
        for i, record in enumerate(read_300w(dataset, folder, bad)):
            marks = np.arange(68) == i if record.split == "test" else None
            yield replace(record, occluded=marks)

    read_300w = PtsFolders.read
    monkeypatch.setattr(PtsFolders, "read", read)
    train, test = _prepare(raw, tmp_path / "faces")
    assert train.occluded is None
    assert test.occluded is not None
    assert test.occluded.sum(axis=1).tolist() == [1] * len(test)


def _dot(centre: np.ndarray, radius: float, shape: tuple[int, int]) -> np.ndarray:
    """A bright Gaussian dot on black, its centre between pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    squared = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    dot = 255 * np.exp(-squared / (2 * radius**2))
    return np.repeat(dot[..., None], 3, axis=2).round().astype(np.uint8)


def _brightest(image: np.ndarray) -> np.ndarray:
    """Return the centre of gravity (x, y) of an image's brightness."""
    weight = image.mean(axis=2)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
