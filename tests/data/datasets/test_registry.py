from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord, check_landmarks
from landmark_kd.data.datasets.registry import DATASETS
from landmark_kd.imaging.images import WRITTEN_SUFFIXES, ImageFile, read_image
from landmark_kd.landmarks.scheme import IBUG_68, SCHEMES
from tests.support.raw_faces import STEMS_300W, landmarks_in, write_300w, write_face

W300 = DATASETS["300w"]
SYNTHETIC = DATASETS["synthetic"]


def _read(folder: Path, bad: BadFaces | None = None) -> list[FaceRecord]:
    return list(W300.read(folder, bad or BadFaces("error")))


def test_300w_is_read_in_its_official_layout(tmp_path: Path) -> None:
    records = _read(write_300w(tmp_path))
    subset = {"helen/testset": "common", "lfpw/testset": "common", "ibug": "challenging"}
    assert [(r.name, r.split, r.part.subset) for r in records] == [
        (f"{part}/{stem}", "test" if part in subset else "train", subset.get(part, "train"))
        for part, stems in STEMS_300W.items()
        for stem in stems
    ]
    assert all(Path(str(record.image)).is_file() for record in records)
    np.testing.assert_allclose(records[0].landmarks, landmarks_in(80, 60), atol=1e-3)


def test_the_published_sizes_are_those_of_the_300w_paper() -> None:
    assert W300.published_counts("train") == {"train": 3148}
    assert W300.published_counts("test") == {"common": 554, "challenging": 135, "full": 689}
    assert SYNTHETIC.published_counts("train") == {"train": None}
    assert SYNTHETIC.published_counts("test") == {"test": None}


def test_every_data_set_has_a_known_landmark_scheme_and_its_own_name() -> None:
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        assert dataset.scheme is SCHEMES[dataset.points]
        assert dataset.licence.startswith("Trained on ")


def test_faces_of_one_photo_are_known_by_their_names(tmp_path: Path) -> None:
    photos = {record.name: record.photo for record in _read(write_300w(tmp_path))}
    assert photos["afw/11_1"] == photos["afw/11_2"] == "afw/11"
    assert photos["afw/12_1"] == "afw/12"
    assert photos["helen/trainset/20_1"] == photos["helen/trainset/20_3"] == "helen/20"
    # The number of an LFPW image is the photo's, not the face's.
    assert photos["lfpw/trainset/image_0001"] != photos["lfpw/trainset/image_0002"]
    assert photos["ibug/image_003_1"] == "ibug/image_003"
    assert photos["ibug/image_004 _01"] == "ibug/image_004"


def test_synthetic_faces_are_a_photo_each(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for i in range(3):
            write_face(tmp_path / split, f"face_0_{i}")
    records = list(SYNTHETIC.read(tmp_path, BadFaces("error")))
    assert [(r.split, r.part.subset) for r in records] == [("train", "train")] * 3 + [
        ("test", "test")
    ] * 3
    assert len({record.photo for record in records}) == 6


def test_images_of_any_suffix_are_read_and_other_files_are_not(tmp_path: Path) -> None:
    write_300w(tmp_path)
    afw = tmp_path / "afw"
    for stem, suffix in zip("abcdefg", WRITTEN_SUFFIXES, strict=True):
        write_face(afw, stem, suffix=suffix)
    write_face(afw, "h", suffix=".jpg")
    for stem, suffix in zip("ijklm", (".jp2", ".ppm", ".gif", ".avif", ".jpe"), strict=True):
        write_face(afw, stem, suffix=suffix)
    (afw / "a.heic").write_bytes(b"the same photo again, as phones export it")
    (afw / "h.jpg").rename(afw / "h.JPG")
    write_face(afw, "h_mirror", suffix=".jpg")
    (afw / "bounding_boxes.mat").write_bytes(b"no face")
    (afw / "._a.jpg").write_bytes(b"left by a Mac")
    (afw / "more").mkdir()
    stems = [r.name for r in _read(tmp_path) if r.name.startswith("afw/")]
    assert stems == [f"afw/{stem}" for stem in (*STEMS_300W["afw"], *"abcdefghijklm")]
    images = [r.image.read() for r in _read(tmp_path) if r.name in ("afw/i", "afw/k", "afw/l")]
    assert [image.shape for image in images] == [(60, 80, 3)] * 3


def test_missing_parts_are_said_with_their_published_size(tmp_path: Path) -> None:
    records = _read(write_300w(tmp_path, without=("afw", "ibug")))
    assert W300.missing(records, "train") == [
        "afw has none of 337 published faces",
        "helen/trainset has 4 of 2000 published faces",
        "lfpw/trainset has 3 of 811 published faces",
    ]
    assert W300.missing(records, "test") == [
        "helen/testset has 2 of 330 published faces",
        "lfpw/testset has 1 of 224 published faces",
        "ibug has none of 135 published faces",
    ]
    assert SYNTHETIC.missing(records, "train") == []
    too_many = W300.missing([records[0]] * 2001, "train")
    assert too_many[1] == "helen/trainset has 2001 faces, more than the 2000 published"


@pytest.mark.seconds
def test_the_real_sample_is_read_and_what_it_lacks_is_said(shared: Path) -> None:
    records = _read(shared / "data" / "300w")
    by_split = {split: [r for r in records if r.split == split] for split in ("train", "test")}
    assert {split: len(found) for split, found in by_split.items()} == {"train": 2012, "test": 554}
    assert {record.part.subset for record in by_split["test"]} == {"common"}
    assert W300.missing(records, "train") == [
        "helen/trainset has 870 of 2000 published faces",
        "lfpw/trainset has 805 of 811 published faces",
    ]
    assert W300.missing(records, "test") == ["ibug has none of 135 published faces"]
    assert len({r.photo for r in records if r.part.folder == "afw"}) < 337
    assert len({r.photo for r in records if r.part.folder == "lfpw/trainset"}) == 805


def test_a_folder_that_is_not_there_names_the_layout_and_where_it_comes_from(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError) as caught:
        _read(tmp_path / "nowhere")
    for text in ("nowhere does not exist", "helen/trainset", "ibug.doc.ic.ac.uk/resources/300-W"):
        assert text in str(caught.value)


def test_an_empty_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is empty: 300w is read from the folders afw, helen/tr"):
        _read(tmp_path)
    (tmp_path / "300w.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"300w\.zip is a file, but 300w is read from"):
        _read(tmp_path / "300w.zip")
    with pytest.raises(UserError, match="holds none of them"):
        _read(tmp_path)


@pytest.mark.parametrize("given", ["", "300w/afw", "300w/helen"])
def test_a_folder_too_high_or_too_low_gets_the_right_one_suggested(
    tmp_path: Path, given: str
) -> None:
    write_300w(tmp_path / "300w")
    with pytest.raises(UserError, match=re.escape(f"did you mean {tmp_path / '300w'}?")):
        _read(tmp_path / given)


@pytest.mark.parametrize(
    ("without", "split"),
    [
        (("afw", "helen/trainset", "lfpw/trainset"), "train"),
        (("ibug", "helen/testset", "lfpw/testset"), "test"),
    ],
)
def test_a_set_without_train_or_test_faces_is_refused(
    tmp_path: Path, without: tuple[str, ...], split: str
) -> None:
    write_300w(tmp_path, without)
    with pytest.raises(UserError, match=f"holds no {split} faces: images with .pts files"):
        _read(tmp_path)


def _break_text(folder: Path) -> None:
    (folder / "20_1.pts").write_text("version: 1\nn_points:  68\n{\none two\n}\n")


def _break_image_alone(folder: Path) -> None:
    (folder / "20_1.pts").unlink()


def _break_landmarks_alone(folder: Path) -> None:
    (folder / "20_1.png").unlink()


def _break_two_images(folder: Path) -> None:
    (folder / "20_1.jpg").write_bytes((folder / "20_1.png").read_bytes())


@pytest.mark.parametrize(
    ("make_bad", "sentence"),
    [
        (_break_text, "20_1.pts, line 4: 'one two' is not two numbers x y"),
        (_break_image_alone, "20_1.png has no 20_1.pts beside it"),
        (_break_landmarks_alone, "20_1.pts has no image (.jpg, .jpeg, .png, .bmp,"),
        (_break_two_images, "20_1.pts have one name, but a face is two files"),
    ],
)
def test_a_bad_face_stops_or_is_named_and_left_out(
    tmp_path: Path, make_bad: Callable[[Path], None], sentence: str
) -> None:
    write_300w(tmp_path)
    make_bad(tmp_path / "helen/trainset")
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        _read(tmp_path)
    assert str(caught.value).endswith("leave out all such faces with -S data.on_bad=skip.")

    bad = BadFaces("skip")
    names = [record.name for record in _read(tmp_path, bad)]
    assert len(names) == sum(map(len, STEMS_300W.values())) - 1
    assert "helen/trainset/20_1" not in names
    assert len(bad.sentences("train")) == 1
    assert sentence in bad.sentences("train")[0]
    assert bad.sentences("test") == []


def test_all_bad_faces_are_named_not_only_the_first(tmp_path: Path) -> None:
    write_300w(tmp_path)
    _break_text(tmp_path / "helen/trainset")
    (tmp_path / "afw/11_2.png").unlink()
    (tmp_path / "ibug/image_003_1.pts").write_text("")
    bad = BadFaces("skip")
    _read(tmp_path, bad)
    assert len(bad.sentences("train")) == 2
    assert len(bad.sentences("test")) == 1


@pytest.mark.parametrize(
    ("scale", "x", "y", "good"),
    [
        (1, 0, 0, True),
        # The face is 39 pixels wide and 29 high, in the middle of an image of 80 x 60.
        (1, -38, 0, True),
        (1, 38, 0, True),
        (1, -42, 0, False),
        (1, 42, 0, False),
        (1, 0, 36, False),
        (1, 0, -36, False),
        (1e30, 0, 0, False),
        (0, 30, 30, False),
    ],
)
def test_landmarks_far_outside_or_all_in_one_place_are_bad(
    tmp_path: Path, scale: float, x: float, y: float, good: bool
) -> None:
    landmarks = np.array([x, y]) + scale * landmarks_in(80, 60)
    record = FaceRecord("x", ImageFile(tmp_path / "x.png"), landmarks, "x", W300.parts[0])
    if good:
        check_landmarks(record, IBUG_68, width=80, height=60)
    else:
        with pytest.raises(
            UserError, match=r"x\.png (reach .* pixels outside|lie within 0 pixels)"
        ):
            check_landmarks(record, IBUG_68, width=80, height=60)


def test_an_image_is_read_from_a_path_with_odd_characters(tmp_path: Path) -> None:
    write_face(tmp_path / "größe ☺", "image_092 _01")
    assert read_image(tmp_path / "größe ☺" / "image_092 _01.png").shape == (60, 80, 3)


def test_a_grey_image_gets_three_channels_and_colours_are_blue_first(tmp_path: Path) -> None:
    write_face(tmp_path, "grey", image=np.full((9, 9), 7, dtype=np.uint8))
    assert (read_image(tmp_path / "grey.png") == 7).all()
    assert read_image(tmp_path / "grey.png").shape == (9, 9, 3)
    write_face(tmp_path, "blue", image=np.full((9, 9, 3), [200, 0, 0], dtype=np.uint8))
    assert (read_image(tmp_path / "blue.png") == [200, 0, 0]).all()


def test_the_folders_of_300w_may_have_other_letter_cases(tmp_path: Path) -> None:
    write_300w(tmp_path)
    for name, other in (("afw", "AFW"), ("helen/trainset", "helen/TrainSet"), ("ibug", "iBUG")):
        (tmp_path / name).rename(tmp_path / other)
    records = list(W300.read(tmp_path, BadFaces("error")))
    assert len(records) == sum(map(len, STEMS_300W.values()))
    assert tmp_path / "iBUG/image_003_1.png" in W300.files(tmp_path)


def test_the_orientation_that_a_camera_noted_is_ignored(tmp_path: Path) -> None:
    write_face(tmp_path, "turned", suffix=".jpg")
    jpeg = (tmp_path / "turned.jpg").read_bytes()
    # An APP1 segment with one EXIF entry: orientation (0x0112) is 6, a quarter turn.
    entry = bytes.fromhex("0112 0003 00000001 00060000")
    exif = b"Exif\0\0" + b"MM\0*" + bytes.fromhex("00000008 0001") + entry + bytes(4)
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "turned.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    turned = cv2.imread(str(tmp_path / "turned.jpg"))
    assert turned is not None
    assert turned.shape == (80, 60, 3)  # OpenCV alone obeys it
    assert read_image(tmp_path / "turned.jpg").shape == (60, 80, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.95])
def test_an_image_that_is_cut_off_does_not_decode(
    tmp_path: Path, suffix: str, share: float
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    write_face(tmp_path, "face", image=noise, suffix=suffix)
    path = tmp_path / f"face{suffix}"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=rf"face{suffix} does not decode: it is"):
        read_image(path)
