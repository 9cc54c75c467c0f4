"""`landmark-kd predict`: what it writes, what it says, and how it ends."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from landmark_kd.data.datasets.pts import read_pts
from landmark_kd.imaging import face_detector
from landmark_kd.imaging.images import read_image
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.landmarks.scheme import IBUG_68
from tests.support.command import run, run_apart
from tests.support.exported_model import exported_model

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a.png and b.jpg, in which no face is to be found, and a text."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (120, 160, 3), dtype=np.uint8))
    (folder / "notes.txt").write_text("no image")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.seconds
def test_given_boxes_give_landmarks_as_json_and_drawn(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    boxes = ["20,20,80,90.5", "90,30,150,100"]
    assert run("predict", photos / "a.png", "--out", out, "--model", model, "--boxes", *boxes) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"model: {model}\n")
    assert "a.png: 2 faces" in said
    assert names(out) == ["a.json", "a.png"]
    found = json.loads((out / "a.json").read_text())
    assert (found["image"], found["width"], found["height"]) == ("a.png", 160, 120)
    assert found["model"] == str(model)
    assert found["point_names"] == list(IBUG_68.names)
    assert [face["box"] for face in found["faces"]] == [[20, 20, 80, 90.5], [90, 30, 150, 100]]
    assert all(face["score"] == 1 for face in found["faces"])
    assert np.array([face["landmarks"] for face in found["faces"]]).shape == (2, 68, 2)
    drawn, given = read_image(out / "a.png"), read_image(photos / "a.png")
    assert drawn.shape == given.shape
    assert (drawn != given).any()


def test_found_faces_are_written_with_their_score(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (np.array([[20.0, 20.0, 80.0, 90.0]]), np.array([0.25]))
    monkeypatch.setattr(face_detector, "find_faces", lambda *_: found)
    assert run("predict", photos / "a.png", "--out", tmp_path / "out", "--model", model) == 0
    (face,) = json.loads((tmp_path / "out/a.json").read_text())["faces"]
    assert face["score"] == 0.25


def test_a_folder_stands_for_its_images_and_no_face_is_no_error(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = run_apart("predict", photos, "--out", out, "--model", model, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("no face found") == 2
    assert ended.stderr == ""
    assert names(out) == ["a.json", "a.png", "b.json", "b.png"]
    assert json.loads((out / "a.json").read_text())["faces"] == []
    np.testing.assert_array_equal(read_image(out / "a.png"), read_image(photos / "a.png"))


def test_bad_images_do_not_keep_the_others_from_being_done(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "empty.png").touch()
    out = tmp_path / "out"
    images = [photos / name for name in ("notes.txt", "empty.png", "none.png", "b.jpg")]
    ended = run_apart("predict", *images, "--out", out, "--model", model, cwd=tmp_path)
    assert ended.returncode == 1
    assert names(out) == ["b.json", "b.png"]
    lines = ended.stderr.splitlines()
    assert len(lines) == 4
    assert "notes.txt is not an image" in lines[0]
    assert "empty.png is not an image" in lines[1]
    assert "none.png is missing" in lines[2]
    assert lines[3].startswith("error: 3 of 4 images could not be read")


def test_images_of_a_batch_give_what_each_gives_alone_in_fewer_runs(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = np.array([[20.0, 20.0, 80.0, 90.0]])
    monkeypatch.setattr(face_detector, "find_faces", lambda *_: (box, np.array([0.9])))
    (photos / "broken.png").write_bytes(b"no image")
    shutil.copy(photos / "b.jpg", photos / "c.jpg")
    runs: list[int] = []
    run_network = LandmarkDetector.run_network

    def counted(self: LandmarkDetector, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        runs.append(len(inputs))
        return run_network(self, inputs)

    monkeypatch.setattr(LandmarkDetector, "run_network", counted)
    found = {}
    for batch in (1, 2, 9):
        out = tmp_path / str(batch)
        runs.clear()
        # The broken one is said, and keeps none from being done.
        assert run("predict", photos, "--out", out, "--model", model, "--batch", batch) == 1
        found[batch] = [json.loads((out / f"{n}.json").read_text())["faces"] for n in "abc"]
        assert runs[0] == min(batch, 3)
    for batch in (2, 9):
        for faces, alone in zip(found[batch], found[1], strict=True):
            np.testing.assert_allclose(faces[0]["landmarks"], alone[0]["landmarks"], atol=0.01)
    assert run("predict", photos, "--out", tmp_path / "o", "--model", model, "--batch", 0) == 2


def test_an_image_whose_results_would_have_a_name_of_no_use_is_named(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (b"Zo\xeb.jpg", b"x" * 251 + b".jpg", b"y" * 250 + b".jpg"):
        shutil.copy(photos / "b.jpg", photos / os.fsdecode(name))
    out = tmp_path / "out"
    assert run("predict", photos, "--out", out, "--model", model) == 1
    said = capsys.readouterr().err
    assert f"{photos}/Zo\\xeb.jpg has a name that is not UTF-8, and so would its results" in said
    assert "xx.jpg has a name that is too long for x" in said
    assert "2 of 5 images could not be read" in said
    assert {name[0] for name in names(out)} == {"a", "b", "y"}
    command = ("predict", photos, "--out", tmp_path / "pts", "--model", model, "--format", "pts")
    assert run(*command) == 1
    assert "has a name that is too long for y" in capsys.readouterr().err


def test_threads_reach_the_network(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int | None] = []
    load = LandmarkDetector.load

    def watched(*arguments: Any, threads: int | None, **options: Any) -> LandmarkDetector:
        given.append(threads)
        return load(*arguments, threads=threads, **options)

    monkeypatch.setattr(LandmarkDetector, "load", watched)
    command = ("predict", photos / "a.png", "--out", tmp_path / "out", "--model", model)
    assert run(*command, "--threads", 1) == 0
    assert run(*command) == 0
    assert given == [1, None]
    assert run(*command, "--threads", 0) == 2


def test_a_missing_model_says_make_repro(photos: Path, tmp_path: Path) -> None:
    arguments = ["predict", photos, "--out", tmp_path / "out", "--model", "models/landmarks.onnx"]
    ended = run_apart(*arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "models/landmarks.onnx is missing" in ended.stderr
    assert "make repro" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_results_that_would_overwrite_each_other_are_refused_before_work(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(photos / "a.png", photos / "A.jpg")
    assert run("predict", photos, "--out", tmp_path / "out", "--model", model) == 1
    assert "would both be written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_same_image_twice_is_done_once(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = photos / ".." / "photos" / "a.png"
    assert run("predict", photos, again, "--out", tmp_path / "out", "--model", model) == 0
    assert capsys.readouterr().out.count("a.png: ") == 1


def test_the_images_own_folder_is_refused_for_the_results(
    model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (photos / "a.png").read_bytes()
    assert run("predict", photos / "a.png", "--out", photos, "--model", model) == 1
    assert "give another folder" in capsys.readouterr().err
    assert (photos / "a.png").read_bytes() == before


def test_results_that_cannot_be_written_end_in_a_sentence(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    assert run("predict", photos, "--out", file, "--model", model) == 1
    assert "is a file" in capsys.readouterr().err
    assert run("predict", photos, "--out", file / "below", "--model", model) == 1
    sentence = capsys.readouterr().err
    assert sentence.startswith("error: Not a directory")
    assert sentence.count("\n") == 1
    assert file.read_text() == "mine"


def test_a_full_disk_ends_in_a_sentence_and_leaves_no_part_of_a_file(
    model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert run("predict", photos, "--out", tmp_path / "out", "--model", model) == 1
    assert "the disk is full" in capsys.readouterr().err
    assert names(tmp_path / "out") == []


def test_an_empty_folder_is_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bare").mkdir()
    assert run("predict", tmp_path / "bare", "--out", tmp_path / "out", "--model", model) == 1
    assert "bare holds no images" in capsys.readouterr().err


def test_boxes_belong_to_one_image(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", photos, "--out", tmp_path, "--model", model, "--boxes", "1,2,30,40"]
    assert run(*arguments) == 1
    assert "2 are given" in capsys.readouterr().err


def test_hidden_files_do_not_count_and_other_kinds_of_images_are_said(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("._a.jpg", ".b.png", "x.heic", "y.HEIC", "z.nef"):
        (photos / name).write_bytes(b"Mac OS X")
    out = tmp_path / "out"
    assert run("predict", photos, "--out", out, "--model", model) == 0
    assert names(out) == ["a.json", "a.png", "b.json", "b.png"]
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "3 images not looked at (2 .heic, 1 .nef), which OpenCV cannot read" in said


def test_one_image_that_fails_has_no_others(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", photos / "notes.txt", "--out", tmp_path / "o", "--model", model) == 1
    assert "others" not in capsys.readouterr().err
    both = (photos / "notes.txt", photos / "none.png")
    assert run("predict", *both, "--out", tmp_path / "o", "--model", model) == 1
    said = capsys.readouterr().err
    assert "2 of 2 images could not be read" in said
    assert "others" not in said
    assert not (tmp_path / "o").exists()


def test_a_table_of_all_faces_mirrored_folders_and_no_images(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "sub").mkdir()
    (photos / ".hidden").mkdir()
    for folder in ("sub", ".hidden"):
        shutil.copy(photos / "a.png", photos / folder / "a.png")
    boxes = np.array([[20.0, 20.0, 80.0, 90.0], [90.0, 30.0, 150.0, 100.0]])
    monkeypatch.setattr(face_detector, "find_faces", lambda *_: (boxes, np.array([0.5, 0.25])))
    # Within the folder that is searched: results of before are not looked at.
    out = photos / "out"
    (out / "old").mkdir(parents=True)
    shutil.copy(photos / "a.png", out / "old/z.png")
    options = ("--recursive", "--format", "json", "csv", "--no-images", "--threads", 1)
    for _ in range(2):
        assert run("predict", photos, "--out", out, "--model", model, *options) == 0
        found = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
        assert found == ["a.json", "b.json", "faces.csv", "old/z.png", "sub/a.json"]
    with (out / "faces.csv").open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    expected = [(name, str(n)) for name in ("a.png", "b.jpg", "sub/a.png") for n in (1, 2)]
    assert [(row["image"], row["face"]) for row in rows] == expected
    (_, face) = json.loads((out / "sub/a.json").read_text())["faces"]
    assert [float(rows[5]["x67"]), float(rows[5]["y67"])] == face["landmarks"][67]
    assert float(rows[5]["box_x1"]) == face["box"][2]
    assert float(rows[5]["sigma3"]) == face["uncertainty"][3]


def test_a_folder_whose_name_is_of_no_use_is_not_mirrored(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photos / os.fsdecode(b"Zo\xeb")
    folder.mkdir()
    shutil.copy(photos / "b.jpg", folder / "c.jpg")
    out = tmp_path / "out"
    assert run("predict", photos, "--recursive", "--out", out, "--model", model) == 1
    assert "lies in the folder Zo\\xeb, a name that is not UTF-8" in capsys.readouterr().err
    assert names(out) == ["a.json", "a.png", "b.json", "b.png"]


def test_results_in_a_folder_of_images_are_refused_at_any_depth(
    model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    below = photos.parent / "all"
    below.mkdir()
    photos.rename(below / "photos")
    assert run("predict", below, "--recursive", "--out", below, "--model", model) == 1
    assert "give another folder" in capsys.readouterr().err
    assert names(below / "photos") == ["a.png", "b.jpg", "notes.txt"]


def test_pts_files_are_a_data_set_that_is_not_overwritten(
    model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(6):
        shutil.copy(photos / "a.png", photos / f"c{number}.png")
    boxes = np.array([[20.0, 20.0, 80.0, 90.0], [90.0, 30.0, 150.0, 100.0]])
    monkeypatch.setattr(face_detector, "find_faces", lambda *_: (boxes, np.ones(2)))
    out = tmp_path / "out"
    command = ("predict", photos, "--out", out, "--model", model, "--format", "pts", "json")
    assert run(*command) == 0
    found = json.loads((out / "a.json").read_text())["faces"]
    for name, face in zip(("a", "a_face2"), found, strict=True):
        read = read_pts(out / f"{name}.pts", 68)
        np.testing.assert_allclose(read, face["landmarks"], atol=1e-9)
        np.testing.assert_array_equal(read_image(out / f"{name}.png"), read_image(photos / "a.png"))
    assert run("data", "init", out) == 0
    capsys.readouterr()
    assert run("data", "check", out) == 0
    said = capsys.readouterr().out
    assert "images: 16, a face each" in said
    assert "broken: none" in said
    assert run(*command) == 1
    assert "a.pts is there already, and may have been corrected" in capsys.readouterr().err
    shutil.copy(photos / "a.png", photos / "a_face2.png")
    new = tmp_path / "new"
    assert run("predict", photos, "--out", new, "--model", model, "--format", "pts") == 1
    assert "a_face2.png has the name that another face of" in capsys.readouterr().err


@pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "5,5,5,9", "0,0,nan,4", "0,0,inf,4"])
def test_what_is_no_box_is_a_usage_error(box: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict", "a.png", "--out", "out", "--boxes", box) == 2
    assert f"'{box}' is not a box" in capsys.readouterr().err


def test_a_phones_rotated_image_is_taken_as_it_is_shown(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    # An EXIF block with orientation 6: to be shown turned by 90 degrees.
    tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    block = b"Exif\0\0" + tiff
    jpeg = (photos / "b.jpg").read_bytes()
    length = (len(block) + 2).to_bytes(2, "big")
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(jpeg[:2] + b"\xff\xe1" + length + block + jpeg[2:])
    assert run("predict", turned, "--out", tmp_path / "out", "--model", model) == 0
    found = json.loads((tmp_path / "out/turned.json").read_text())
    assert (found["width"], found["height"]) == (120, 160)


def test_ctrl_c_ends_in_a_line_and_status_130(
    model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(face_detector, "find_faces", interrupted)
    assert run("predict", photos, "--out", tmp_path / "out", "--model", model) == 130
    assert capsys.readouterr().err.startswith("error: interrupted")
    assert not (tmp_path / "out").exists()
