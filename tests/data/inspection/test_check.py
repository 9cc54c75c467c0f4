from __future__ import annotations

import shlex
import threading
from pathlib import Path

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.registry import DATASETS
from landmark_kd.data.inspection import check
from landmark_kd.data.inspection.check import CheckedData, check_data, report, training_command
from landmark_kd.imaging.images import ImageFile, read_image
from tests.support.raw_cofw_wflw import write_cofw, write_wflw
from tests.support.raw_custom import coco_content, table_lines, write_coco, write_table
from tests.support.raw_faces import (
    STEMS_300W,
    landmarks_in,
    snapshot,
    write_300w,
    write_face,
    write_pts,
)


def lines(folder: Path, name: str | None = None) -> list[str]:
    return report(check_data(folder, name)).splitlines()


def test_a_whole_set_is_reported_with_what_was_published(tmp_path: Path) -> None:
    write_300w(tmp_path, without=("ibug",))
    assert lines(tmp_path) == [
        f"300w in {tmp_path}",
        "  68 landmarks per face; errors are measured in units of the distance between the outer "
        "eye corners",
        f"  licence: {DATASETS['300w'].licence}",
        "train: 10 good faces of 3148 published",
        "  not complete: afw has 3 of 337 published faces",
        "  not complete: helen/trainset has 4 of 2000 published faces",
        "  not complete: lfpw/trainset has 3 of 811 published faces",
        "test: 3 good faces",
        "  common: 3 of 554 published",
        "  challenging: none of 135 published",
        "  full: none of 689 published",
        "  not complete: helen/testset has 2 of 330 published faces",
        "  not complete: lfpw/testset has 1 of 224 published faces",
        "  not complete: ibug has none of 135 published faces",
        "images: 13, a face each",
        "  validation takes train faces by 7 photos or groups of up to 3 faces",
        "size of the faces (longer side of the landmarks' box): 39 pixels in the median, 39 to 39 "
        "from 5 % to 95 %",
        "boxes: the set brings none (crop.box: landmarks or detector)",
        "broken: none",
    ]


@pytest.mark.seconds
def test_the_real_sample_is_reported_as_it_is(shared: Path) -> None:
    checked = check_data(shared / "data/wflw")
    assert (len(checked.faces), checked.broken) == (206, [])
    found = report(checked).splitlines()
    for line in (
        "train: 158 good faces of 7500 published",
        "  all: 48 of 2500 published",
        "  pose: 13 of 326 published",
        "  blur: 16 of 773 published",
        "images: 175, 25 with several faces, at most 5",
    ):
        assert line in found


def test_occluded_landmarks_and_boxes_are_measured(tmp_path: Path) -> None:
    checked = check_data(write_cofw(tmp_path))
    flags = np.stack([f.occluded for f in checked.faces if f.occluded is not None])
    found = report(checked)
    assert (
        f"occluded: {100 * flags.mean():.1f} % of the landmarks, some in "
        f"{flags.any(axis=1).sum()} faces of 9" in found
    )
    # The writer's boxes are the landmarks'.
    assert "boxes: all faces bring one, its longer side 1.00 times the landmarks'" in found


def test_sizes_are_quantiles_of_the_longer_sides(tmp_path: Path) -> None:
    write_300w(tmp_path)
    for i in range(200):
        points = landmarks_in(80, 60) / np.ptp(landmarks_in(80, 60), axis=0).max() * (101 + i)
        image = np.zeros((400, 400, 3), dtype=np.uint8)
        write_face(tmp_path / "afw", f"more_{i}", points, image, ".jpg")
    checked = check_data(tmp_path)
    sides = [np.ptp(face.landmarks, axis=0).max() for face in checked.faces]
    low, middle, high = np.quantile(sides, (0.05, 0.5, 0.95))
    assert f": {middle:.0f} pixels in the median, {low:.0f} to {high:.0f} from" in report(checked)


def test_every_broken_face_is_found_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    write_300w(tmp_path)
    afw, ibug = tmp_path / "afw", tmp_path / "ibug"
    (afw / "11_1.pts").write_text("version: 1\nn_points: 68\n{\n1 2\n")
    (afw / "11_2.png").unlink()
    write_pts(tmp_path / "helen/trainset/20_1.pts", landmarks_in(80, 60) + 500)
    cut_off = (tmp_path / "lfpw/testset/image_0001.png").read_bytes()[:60]
    (tmp_path / "lfpw/testset/image_0001.png").write_bytes(cut_off)
    (ibug / "image_003_1.png").write_bytes(b"")
    same = landmarks_in(80, 60)
    same[45] = same[36]
    write_pts(ibug / "image_004 _01.pts", same)
    checked = check_data(tmp_path)
    assert len(checked.faces) == sum(map(len, STEMS_300W.values())) - 6
    broken = dict(zip([s for _, s in checked.broken], [p for p, _ in checked.broken], strict=True))
    for name, said, folder in (
        ("11_1.pts", "cut off after 1 points", "afw"),
        ("11_2.pts", "has no image", "afw"),
        ("20_1", "outside", "helen/trainset"),
        ("image_0001.png", "does not decode", "lfpw/testset"),
        ("image_003_1.png", "is empty", "ibug"),
        ("image_004 _01", "in one place", "ibug"),
    ):
        (sentence,) = [s for s in broken if name in s and "trainset/image" not in s]
        assert said in sentence
        assert broken[sentence].folder == folder
    found = report(checked)
    assert "train: 7 good faces of 3148 published, 3 broken" in found
    assert "test: 2 good faces, 3 broken" in found
    assert "broken: 6 faces\n  " in found
    assert "data.on_bad=skip" in training_command(checked)


def test_an_image_that_may_not_be_read_is_a_broken_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_300w(tmp_path)

    def refused(image: ImageFile) -> np.ndarray:
        if image.path.name == "11_1.png":
            raise PermissionError(13, "Permission denied", str(image.path))
        return read_image(image.path)

    monkeypatch.setattr(ImageFile, "read", refused)
    ((_, sentence),) = check_data(tmp_path).broken
    assert sentence.endswith("afw/11_1.png cannot be read (Permission denied).")


def test_all_faces_of_an_image_that_does_not_decode_are_broken(tmp_path: Path) -> None:
    write_wflw(tmp_path)
    next((tmp_path / "WFLW_images").rglob("*train 1.jpg")).write_bytes(b"no image")
    checked = check_data(tmp_path)
    assert [part.split for part, _ in checked.broken] == ["train", "train"]
    assert len(checked.faces) == 8
    found = report(checked)
    assert found.count("does not decode") == 1
    assert found.endswith(" not an image. (2 faces)")


def test_an_image_of_several_faces_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wflw(tmp_path, train=10, test=8)
    read = []
    lock = threading.Lock()

    def counted(image: ImageFile) -> np.ndarray:
        with lock:
            read.append(image.path)
        return read_image(image.path)

    monkeypatch.setattr(ImageFile, "read", counted)
    assert "images: 9, 9 with several faces, at most 2" in lines(tmp_path)
    assert len(read) == len(set(read)) == 9


def test_only_the_first_broken_faces_are_named_unless_all_are_asked_for(tmp_path: Path) -> None:
    write_300w(tmp_path)
    for i in range(25):
        (tmp_path / "afw" / f"no_{i:02}.pts").write_text("nothing")
    checked = check_data(tmp_path)
    short, whole = report(checked), report(checked, all_broken=True)
    assert short.count("no_") == check.BROKEN_SHOWN
    assert short.endswith("  … and 5 faces more; --all names them")
    assert whole.count("no_") == 25
    assert "more; --all" not in whole


def test_an_image_with_train_and_test_faces_is_told(tmp_path: Path) -> None:
    write_wflw(tmp_path)
    assert not any("in train and in test" in line for line in lines(tmp_path))
    train, test = (tmp_path / part.folder for part in DATASETS["wflw"].parts)
    train.write_text(train.read_text() + test.read_text().splitlines()[0] + "\n")
    (told,) = [line for line in lines(tmp_path) if "in train and in test" in line]
    assert told.startswith("  1 image with faces in train and in test")
    assert told.endswith("test 0.jpg")


def test_a_persons_custom_set_is_reported_under_its_name(tmp_path: Path) -> None:
    table = write_table(tmp_path / "table", table_lines(["ann", "bob", "eve"] * 3))
    found = lines(table)
    assert found[0] == f"pts (mine) in {table}"
    assert found[1].endswith("between the eyes")
    assert "  licence: Mine, for anything." in found
    coco = write_coco(tmp_path / "coco", coco_content(["ann", "bob", "eve"]), 3)
    assert any(line.startswith("boxes: all faces bring one") for line in lines(coco))


def test_nothing_in_the_folder_changes(tmp_path: Path) -> None:
    write_300w(tmp_path)
    (tmp_path / "afw/11_1.png").write_bytes(b"no image")
    before = snapshot(tmp_path)
    report(check_data(tmp_path))
    assert snapshot(tmp_path) == before


def test_a_set_of_broken_faces_only_is_still_reported(tmp_path: Path) -> None:
    write_300w(tmp_path)
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(b"no image")
    checked = check_data(tmp_path)
    assert checked.faces == []
    assert "train: 0 good faces of 3148 published, 10 broken" in report(checked)


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data set that is known"):
        check_data(tmp_path)


@pytest.mark.parametrize(
    "folder",
    [
        "/data/300w",
        "/my data/300-W, all",
        "/quo'te/dou\"ble",
        "/back\\slash\\",
        "/{brace}/[x]=(y)",
        "/größe/$HOME ${a}",
    ],
)
def test_the_training_command_survives_the_shell_and_hydra(folder: str) -> None:
    checked = CheckedData("300w", DATASETS["300w"], Path(folder), [], [])
    words = shlex.split(training_command(checked))
    assert words[:3] == ["dvc", "exp", "run"]
    assert words[3::2] == ["-S", "-S"]
    values = [OverridesParser.create().parse_override(word) for word in words[4::2]]
    assert {v.key_or_group: str(v.value()) for v in values} == {
        "data.name": "300w",
        "data.path": folder,
    }


def test_the_training_command_names_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_300w(tmp_path / "faces")
    monkeypatch.chdir(tmp_path)
    assert training_command(check_data(Path("faces"))) == (
        f"dvc exp run -S data.name=300w -S data.path={tmp_path / 'faces'}"
    )
    synthetic = CheckedData("synthetic", DATASETS["synthetic"], tmp_path, [], [])
    assert training_command(synthetic) == "dvc exp run -S data.name=synthetic"
