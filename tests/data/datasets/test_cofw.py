from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord, check_landmarks
from landmark_kd.data.datasets.cofw import COFW, CofwImage
from tests.support.raw_cofw_wflw import GREY_EVERY, cofw_face, write_cofw

TRAIN, TEST = (part.folder for part in COFW.parts)
SIZE = (80, 60)
# Where Linux lists the files that this process has open.
OPEN_FILES = Path("/proc/self/fd")


def _read(folder: Path, bad: BadFaces | None = None) -> list[FaceRecord]:
    return list(COFW.read(folder, bad or BadFaces("error")))


def _set(file: Path, name: str, values: np.ndarray) -> None:
    with h5py.File(file, "r+") as content:
        del content[name]
        content[name] = values


def _change(file: Path, name: str, row: int, column: int, value: float) -> None:
    with h5py.File(file, "r+") as content:
        content[name][row, column] = value


def test_both_files_are_read_in_their_order(tmp_path: Path) -> None:
    records = _read(write_cofw(tmp_path, train=6, test=3))
    assert [record.name for record in records] == [
        *(f"train/{i}" for i in range(1, 7)),
        *(f"test/{i}" for i in range(1, 4)),
    ]
    assert [record.part.subset for record in records] == ["train"] * 6 + ["cofw"] * 3
    assert len({record.photo for record in records}) == 9
    assert COFW.missing(records, "train") == [f"{TRAIN} has 6 of 1345 published faces"]
    assert COFW.published_counts("test") == {"cofw": 507}


def test_pixels_count_from_0_and_hidden_points_are_marked(tmp_path: Path) -> None:
    for number, record in enumerate(_read(write_cofw(tmp_path))[:6], start=1):
        _, landmarks, hidden = cofw_face(number, SIZE)
        np.testing.assert_allclose(record.landmarks, landmarks, atol=1e-9)
        assert record.landmarks.shape == (29, 2)
        assert record.box is not None
        assert record.occluded is not None
        assert record.occluded.dtype == bool
        np.testing.assert_array_equal(record.occluded, hidden)
        corners = [*landmarks.min(axis=0), *landmarks.max(axis=0)]
        np.testing.assert_allclose(record.box, corners, atol=1e-9)


def test_images_stand_upright_and_blue_comes_first(tmp_path: Path) -> None:
    for number, record in enumerate(_read(write_cofw(tmp_path))[:6], start=1):
        image, _, _ = cofw_face(number, SIZE)
        if number % GREY_EVERY == 0:
            assert image.ndim == 2
            image = np.stack([image] * 3, axis=2)
        read = record.image.read()
        assert read.flags.c_contiguous
        np.testing.assert_array_equal(read, image[..., ::-1])


def test_an_image_says_where_it_is_and_equals_itself(tmp_path: Path) -> None:
    image = CofwImage(tmp_path / TRAIN, "IsTr", 3)
    assert str(image) == f"image 3 of {tmp_path / TRAIN}"
    assert image == CofwImage(tmp_path / TRAIN, "IsTr", 3)
    assert image != CofwImage(tmp_path / TRAIN, "IsTr", 4)


@pytest.mark.seconds
@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="this system does not list open files")
def test_threads_read_images_at_once_and_leave_no_file_open(tmp_path: Path) -> None:
    images = [record.image for record in _read(write_cofw(tmp_path))] * 20
    one_by_one = [image.read() for image in images]
    gc.collect()
    before = _open_files(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda image: image.read(), images))
    for a, b in zip(one_by_one, at_once, strict=True):
        np.testing.assert_array_equal(a, b)
    assert _open_files(tmp_path) == before == 0


def _open_files(folder: Path) -> int:
    found = 0
    for link in OPEN_FILES.iterdir():
        try:
            found += os.readlink(link).startswith(str(folder))
        except FileNotFoundError:  # the listing's own
            continue
    return found


def test_references_in_a_column_are_read_as_those_in_a_row(tmp_path: Path) -> None:
    write_cofw(tmp_path)
    before = _read(tmp_path)[1].image.read()
    with h5py.File(tmp_path / TRAIN, "r+") as content:
        references = content["IsTr"][()]
        del content["IsTr"]
        content.create_dataset("IsTr", data=references.T, dtype=h5py.ref_dtype)
    np.testing.assert_array_equal(_read(tmp_path)[1].image.read(), before)


def test_only_the_two_files_belong_to_the_set(tmp_path: Path) -> None:
    write_cofw(tmp_path)
    (tmp_path / "README.txt").write_text("more")
    (tmp_path / "COFW_train.mat").write_bytes(b"the grey edition")
    assert sorted(COFW.files(tmp_path)) == [tmp_path / TEST, tmp_path / TRAIN]


@pytest.mark.seconds
def test_the_real_sample_is_read_and_its_points_lie_on_its_faces(shared: Path) -> None:
    records = _read(shared / "data" / "cofw")
    by_split = {split: [r for r in records if r.split == split] for split in ("train", "test")}
    assert {split: len(found) for split, found in by_split.items()} == {"train": 200, "test": 100}
    grey = 0
    for record in records:
        image = record.image.read()
        grey += bool((image == image[..., :1]).all())
        check_landmarks(record, COFW.scheme, width=image.shape[1], height=image.shape[0])
        x, y = record.landmarks.T
        # In the image: left eye, nose's tip, chin; eyes above the nose, that above the chin.
        assert x[8] < x[9]
        assert max(y[16], y[17]) < y[20] < y[28]
        assert record.box is not None
        np.testing.assert_allclose(record.box[:2], record.landmarks.min(axis=0), atol=1e-6)
        np.testing.assert_allclose(record.box[2:], record.landmarks.max(axis=0), atol=1e-6)
    assert 33 <= grey < 100


@pytest.mark.seconds
def test_pupils_of_the_real_sample_are_darker_than_the_skin_below(shared: Path) -> None:
    """An image turned or mirrored, or x for y, would not have it."""
    darker = []
    for record in _read(shared / "data" / "cofw"):
        image = record.image.read().mean(axis=2)
        eye = float(np.linalg.norm(record.landmarks[8] - record.landmarks[9]))
        for x, y in record.landmarks[[16, 17]]:
            skin = image[round(y + 0.25 * eye), round(x)]
            darker.append(image[round(y), round(x)] < skin)
    assert np.mean(darker) > 0.85


@pytest.mark.parametrize("given", ["", "cofw/within"])
def test_a_folder_too_high_or_too_low_gets_the_right_one_suggested(
    tmp_path: Path, given: str
) -> None:
    write_cofw(tmp_path / "cofw")
    (tmp_path / "cofw/within").mkdir()
    with pytest.raises(UserError, match=re.escape(f"did you mean {tmp_path / 'cofw'}?")):
        COFW.check(tmp_path / given)


def test_a_file_of_the_set_gets_its_folder_suggested(tmp_path: Path) -> None:
    write_cofw(tmp_path)
    with pytest.raises(
        UserError, match=rf"is a file, but .*did you mean {re.escape(str(tmp_path))}"
    ):
        _read(tmp_path / TRAIN)


def test_a_folder_that_is_not_there_or_empty_names_files_and_source(tmp_path: Path) -> None:
    for folder, state in ((tmp_path / "nowhere", "does not exist"), (tmp_path, "is empty")):
        with pytest.raises(UserError) as caught:
            _read(folder)
        for text in (state, f"{TRAIN} and {TEST}", "data.caltech.edu/records/bc0bf-nc666"):
            assert text in str(caught.value)


@pytest.mark.parametrize("name", [TRAIN, TEST])
def test_both_files_are_needed(tmp_path: Path, name: str) -> None:
    write_cofw(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=rf"{name} is missing: cofw is {TRAIN} and {TEST}"):
        _read(tmp_path)


def test_the_grey_edition_is_recognised(tmp_path: Path) -> None:
    write_cofw(tmp_path)
    for name in (TRAIN, TEST):
        (tmp_path / name).rename(tmp_path / name.replace("_color", ""))
    with pytest.raises(UserError, match=r"COFW_train\.mat beside it is the grey edition"):
        _read(tmp_path)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _version_5(file: Path) -> None:
    file.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(512, b" "))


def _page(file: Path) -> None:
    file.write_text("<html>not found</html>")


def _cut_off(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def _without_landmarks(file: Path) -> None:
    with h5py.File(file, "r+") as content:
        del content["phisTr"]


def _test_file_as_train_file(file: Path) -> None:
    file.write_bytes((file.parent / TEST).read_bytes())


def _group_for_boxes(file: Path) -> None:
    with h5py.File(file, "r+") as content:
        del content["bboxesTr"]
        content.create_group("bboxesTr")


def _other_points(file: Path) -> None:
    _set(file, "phisTr", np.ones((68 * 3, 6)))


def _turned_landmarks(file: Path) -> None:
    _set(file, "phisTr", np.ones((6, 87)))


def _words_for_boxes(file: Path) -> None:
    _set(file, "bboxesTr", np.full((4, 6), b"box"))


def _one_face_less(file: Path) -> None:
    _set(file, "phisTr", np.ones((87, 5)))


def _one_box_more(file: Path) -> None:
    _set(file, "bboxesTr", np.ones((4, 7)))


def _images_as_numbers(file: Path) -> None:
    _set(file, "IsTr", np.ones((1, 6)))


def _no_images(file: Path) -> None:
    with h5py.File(file, "r+") as content:
        del content["IsTr"]
        content.create_dataset("IsTr", (1, 0), dtype=h5py.ref_dtype)


@pytest.mark.parametrize("on_bad", ["error", "skip"])
@pytest.mark.parametrize(
    ("make_bad", "sentence"),
    [
        (_empty, "is empty, but COFW is published in Matlab's version 7.3, which is HDF5"),
        (_version_5, "is a Matlab file of version 5, but COFW is published in"),
        (_page, "is not an HDF5 file, but COFW is published in"),
        (_cut_off, "is cut off or damaged ("),
        (_without_landmarks, "has no variable phisTr; it holds IsTr, bboxesTr. Is it another"),
        (_test_file_as_train_file, "has no variable IsTr; it holds IsT, bboxesT, phisT."),
        (_group_for_boxes, "has no variable bboxesTr"),
        (_other_points, "phisTr is float64 of shape (204, 6), but numbers of shape (87, faces)"),
        (_turned_landmarks, "phisTr is float64 of shape (6, 87), but numbers of shape (87, faces)"),
        (_words_for_boxes, "bboxesTr is |S3 of shape (4, 6), but numbers of shape (4, faces)"),
        (_one_face_less, "6 images in IsTr, 5 faces in phisTr and 6 in bboxesTr"),
        (_one_box_more, "6 images in IsTr, 6 faces in phisTr and 7 in bboxesTr"),
        (_images_as_numbers, "IsTr is float64 of shape (1, 6), but a cell of images"),
        (_no_images, "IsTr holds no images"),
    ],
)
def test_a_file_that_is_not_cofw_ends_the_run(
    tmp_path: Path, make_bad: Callable[[Path], None], sentence: str, on_bad: str
) -> None:
    write_cofw(tmp_path)
    make_bad(tmp_path / TRAIN)
    bad = BadFaces("skip" if on_bad == "skip" else "error")
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        _read(tmp_path, bad)
    assert str(tmp_path / TRAIN) in str(caught.value)


def _no_number(file: Path) -> None:
    _change(file, "phisTr", 29 + 4, 2, np.nan)


def _half_hidden(file: Path) -> None:
    _change(file, "phisTr", 58 + 28, 2, 0.5)


def _hidden_unknown(file: Path) -> None:
    _change(file, "phisTr", 58, 2, np.nan)


def _flat_box(file: Path) -> None:
    _change(file, "bboxesTr", 3, 2, 0)


def _negative_box(file: Path) -> None:
    _change(file, "bboxesTr", 2, 2, -7)


def _endless_box(file: Path) -> None:
    _change(file, "bboxesTr", 2, 2, np.inf)


def _replace_image(file: Path, make: Callable[[h5py.File], object]) -> None:
    with h5py.File(file, "r+") as content:
        content["IsTr"][0, 2] = make(content)


def _null_reference(file: Path) -> None:
    _replace_image(file, lambda content: h5py.Reference())


def _reference_to_a_group(file: Path) -> None:
    _replace_image(file, lambda content: content["#refs#"].ref)


def _dangling_reference(file: Path) -> None:
    with h5py.File(file.parent / "longer.mat", "w") as longer:
        longer["x"] = np.zeros(10 * file.stat().st_size, dtype=np.uint8)
        beyond = longer.create_dataset("y", (3, 9, 9), "u1").ref
    _replace_image(file, lambda content: beyond)


def _four_channels(file: Path) -> None:
    _replace_image(file, lambda content: content.create_dataset("x", (4, 9, 9), "u1").ref)


def _image_of_no_width(file: Path) -> None:
    _replace_image(file, lambda content: content.create_dataset("x", (3, 0, 9), "u1").ref)


def _image_of_floats(file: Path) -> None:
    _replace_image(file, lambda content: content.create_dataset("x", (3, 9, 9), "f8").ref)


@pytest.mark.parametrize(
    ("make_bad", "sentence"),
    [
        (_no_number, f"{TRAIN}, face 3 in phisTr: point 5 is not finite"),
        (_half_hidden, f"{TRAIN}, face 3 in phisTr: the flag of point 29 is 0.5, but 1 is"),
        (_hidden_unknown, f"{TRAIN}, face 3 in phisTr: the flag of point 1 is nan, but 1 is"),
        (_flat_box, f"{TRAIN}, face 3 in bboxesTr: the box is"),
        (_negative_box, f"{TRAIN}, face 3 in bboxesTr: the box is -7 wide"),
        (_endless_box, f"{TRAIN}, face 3 in bboxesTr: the box is not finite"),
        (_null_reference, f"{TRAIN} is not there: its reference leads nowhere"),
        (_dangling_reference, f"{TRAIN} is not there: its reference leads nowhere"),
        (_reference_to_a_group, f"{TRAIN} is not there: its reference leads to something else"),
        (_four_channels, f"{TRAIN} is uint8 of shape (4, 9, 9), but uint8 of shape (3, width"),
        (_image_of_no_width, f"{TRAIN} is uint8 of shape (3, 0, 9), but"),
        (_image_of_floats, f"{TRAIN} is float64 of shape (3, 9, 9), but"),
    ],
)
def test_a_bad_face_stops_or_is_named_and_left_out(
    tmp_path: Path, make_bad: Callable[[Path], None], sentence: str
) -> None:
    write_cofw(tmp_path)
    make_bad(tmp_path / TRAIN)
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        _read(tmp_path)
    assert re.search(r"(face|image) 3\b", str(caught.value))

    bad = BadFaces("skip")
    names = [record.name for record in _read(tmp_path, bad)]
    assert names == [*(f"train/{i}" for i in (1, 2, 4, 5, 6)), *(f"test/{i}" for i in (1, 2, 3))]
    assert len(bad.sentences("train")) == 1
    assert sentence in bad.sentences("train")[0]


def test_an_image_whose_bytes_are_damaged_is_a_bad_image(tmp_path: Path) -> None:
    write_cofw(tmp_path)
    with h5py.File(tmp_path / TRAIN) as content:
        chunk = content[content["IsTr"][0, 3]].id.get_chunk_info(0)
    damaged = bytearray((tmp_path / TRAIN).read_bytes())
    # HDF5 counts from the end of Matlab's user block.
    start = 512 + chunk.byte_offset
    damaged[start : start + chunk.size] = bytes(chunk.size)
    (tmp_path / TRAIN).write_bytes(damaged)
    records = _read(tmp_path)
    with pytest.raises(UserError, match=rf"image 4 of .*{TRAIN} is damaged \("):
        records[3].image.read()
    records[2].image.read()
