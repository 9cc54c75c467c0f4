"""`landmark-kd predict` of videos and cameras: tables, drawn videos, and how they end."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from landmark_kd.cli import predict_video
from landmark_kd.imaging.video import Frame, Video, open_video
from landmark_kd.inference.tracking import TrackedFace
from tests.support.clips import cut, stretch_times, write_clip
from tests.support.command import run, run_apart
from tests.support.exported_model import exported_model

pytestmark = pytest.mark.seconds

FRAMES = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", FRAMES)


class Tracker:
    """Stands in for the real one: face 0 in every frame, face 1 in every third."""

    options: dict[str, object]
    every_frame: Callable[[int], None]

    def __init__(self, detector: object, **options: object) -> None:
        Tracker.options = options
        self.frame = -1

    def update(self, image: np.ndarray, time: float) -> list[TrackedFace]:
        self.frame += 1
        Tracker.every_frame(self.frame)
        ids = (0, 1) if self.frame % 3 == 0 else (0,)
        return [tracked_face(number, 10.0 * number + self.frame) for number in ids]


def tracked_face(number: int, x: float) -> TrackedFace:
    points = np.random.default_rng(0).uniform(20, 60, (68, 2))
    points[0] = x, 30.5
    return TrackedFace(np.array([x, 20.25, x + 50, 70]), points, 0.75, id=number)


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> type[Tracker]:
    """Two faces, whatever the video holds."""
    monkeypatch.setattr(predict_video, "FaceTracker", Tracker)
    Tracker.every_frame = staticmethod(lambda number: None)
    return Tracker


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def frames_of(path: Path) -> list[Frame]:
    with open_video(path) as video:
        return list(video)


@pytest.mark.usefixtures("faces")
def test_a_video_gives_a_drawn_one_and_a_line_for_each_face_of_each_frame(
    model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("predict", clip, "--out", out, "--model", model) == 0
    assert (
        f"{clip}: 12 frames, 2 faces -> {out / 'clip.mp4'} and clip.csv" in capsys.readouterr().out
    )
    assert names(out) == ["clip.csv", "clip.mp4"]
    with (out / "clip.csv").open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    pairs = [(int(row["frame"]), int(row["id"])) for row in rows]
    assert pairs == [(f, n) for f in range(FRAMES) for n in (0, 1) if n == 0 or f % 3 == 0]
    row = rows[6]
    assert [row[name] for name in ("frame", "time", "id", "score")] == ["4", "0.16", "0", "0.75"]
    assert (row["box_y0"], row["x0"], row["y0"]) == ("20.25", "4.0", "30.5")
    assert len(row) == 5 + 4 + 2 * 68
    pairs_of = zip(frames_of(out / "clip.mp4"), frames_of(clip), strict=True)
    assert all(np.abs(a.image.astype(int) - b.image).max() > 60 for a, b in pairs_of)


@pytest.mark.usefixtures("faces")
def test_json_lines_hold_the_same(model: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("predict", clip, "--out", out, "--model", model, "--table", "jsonl") == 0
    assert names(out) == ["clip.jsonl", "clip.mp4"]
    lines = [json.loads(line) for line in (out / "clip.jsonl").read_text().splitlines()]
    assert len(lines) == 16
    assert list(lines[0]) == ["frame", "time", "id", "score", "roll", "box", "landmarks"]
    assert lines[6]["box"] == [4, 20.25, 54, 70]
    assert np.array(lines[6]["landmarks"]).shape == (68, 2)


@pytest.mark.usefixtures("faces")
def test_without_images_there_is_the_table_alone(model: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("predict", clip, "--out", out, "--model", model, "--no-images") == 0
    assert names(out) == ["clip.csv"]


def test_options_reach_the_tracker(
    model: Path, clip: Path, tmp_path: Path, faces: type[Tracker]
) -> None:
    command = ("predict", clip, "--out", tmp_path / "out", "--model", model)
    assert run(*command) == 0
    assert faces.options["smoothing"] is not None
    assert run(*command, "--no-smooth", "--detect-every", 5, "--min-face", 40) == 0
    assert faces.options == {"smoothing": None, "detect_every": 5, "min_face": 40}


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_leaves_whole_files_of_what_was_done(
    model: Path,
    clip: Path,
    tmp_path: Path,
    faces: type[Tracker],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def press(number: int) -> None:
        if number == 4:
            signal.raise_signal(signal.SIGINT)

    faces.every_frame = staticmethod(press)
    before = signal.getsignal(signal.SIGINT)
    out = tmp_path / "out"
    assert run("predict", clip, "--out", out, "--model", model) == 130
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == (
        f"error: interrupted after 5 frames of {clip}; {out / 'clip.mp4'} and clip.csv hold what "
        "was done."
    )
    assert signal.getsignal(signal.SIGINT) is before
    assert names(out) == ["clip.csv", "clip.mp4"]
    assert len(frames_of(out / "clip.mp4")) == 5
    text = (out / "clip.csv").read_text()
    assert text.endswith("\n")
    assert text.splitlines()[-1].startswith("4,0.16,0,")


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_second_ctrl_c_ends_at_once_and_leaves_no_half_file(
    model: Path, clip: Path, tmp_path: Path, faces: type[Tracker]
) -> None:
    def press(number: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    faces.every_frame = staticmethod(press)
    out = tmp_path / "out"
    assert run("predict", clip, "--out", out, "--model", model) == 130
    assert names(out) == []


def test_images_and_videos_of_a_folder_are_done_and_no_face_is_no_error(
    model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    write_clip(folder / "b.avi", 3)
    cv2.imwrite(str(folder / "a.png"), np.zeros((60, 80, 3), np.uint8))
    out = tmp_path / "out"
    ended = run_apart("predict", folder, "--out", out, "--model", model, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "b.avi: 3 frames, no face found" in ended.stdout
    assert names(out) == ["a.json", "a.png", "b.csv", "b.mp4"]
    assert len((out / "b.csv").read_text().splitlines()) == 1


def test_a_video_cut_off_gives_what_is_there_and_one_message(model: Path, tmp_path: Path) -> None:
    short = cut(write_clip(tmp_path / "short.avi", 40), 0.6)
    out = tmp_path / "out"
    whole = write_clip(tmp_path / "whole.avi", 3)
    ended = run_apart("predict", short, whole, "--out", out, "--model", model, cwd=tmp_path)
    assert ended.returncode == 1
    breaks, summary = ended.stderr.splitlines()
    assert f"{short} breaks off after " in breaks
    assert " of 40 frames" in breaks
    assert "1 of 2 files" in summary
    assert names(out) == ["short.csv", "short.mp4", "whole.csv", "whole.mp4"]
    assert 0 < len(frames_of(out / "short.mp4")) < 40


@pytest.mark.parametrize("fault", ["empty", "junk", "index", "codec", "missing"])
def test_what_cannot_be_read_is_one_message_and_leaves_nothing(
    fault: str, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.mp4"
    if fault == "index":
        cut(write_clip(path, FRAMES), 0.6)
    elif fault == "codec":
        path = write_clip(tmp_path / "x.avi", FRAMES)
        path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZZZ"))
    elif fault != "missing":
        path.write_bytes(b"" if fault == "empty" else os.urandom(4000))
    out = tmp_path / "out"
    ended = run_apart("predict", path, "--out", out, "--model", model, cwd=tmp_path)
    assert ended.returncode == 1
    first, _ = ended.stderr.splitlines()
    assert str(path) in first
    assert not out.exists()


def test_no_camera_is_one_message(model: Path, tmp_path: Path) -> None:
    ended = run_apart(
        *("predict", "--camera", 97, "--out", tmp_path / "out", "--model", model), cwd=tmp_path
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "camera 97 cannot be opened" in line
    assert not (tmp_path / "out").exists()


def test_a_camera_runs_until_ctrl_c_and_that_is_no_error(
    model: Path,
    clip: Path,
    faces: type[Tracker],
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def press(number: int) -> None:
        if number == 2:
            signal.raise_signal(signal.SIGINT)

    def camera(number: int) -> Video:
        return Video(cv2.VideoCapture(str(clip)), f"camera {number}", live=True)

    faces.every_frame = staticmethod(press)
    monkeypatch.setattr(predict_video, "open_camera", camera)
    out = tmp_path / "out"
    assert run("predict", "--camera", 0, "--out", out, "--model", model) == 0
    assert "camera 0: 3 frames, 2 faces" in capsys.readouterr().out
    assert names(out) == ["camera_0.csv", "camera_0.mp4"]


@pytest.mark.usefixtures("faces")
def test_a_drawn_video_of_irregular_frames_plays_as_long(
    model: Path, clip: Path, tmp_path: Path
) -> None:
    stretch_times(clip, 4)
    out = tmp_path / "out"
    assert run("predict", clip, "--out", out, "--model", model) == 0
    last = frames_of(clip)[-1].time
    assert frames_of(out / "clip.mp4")[-1].time == pytest.approx(last, abs=0.05)
    assert len((out / "clip.csv").read_text().splitlines()) == 1 + 16


@pytest.mark.usefixtures("faces")
def test_results_of_before_are_replaced_when_the_new_ones_are_whole(
    model: Path, clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "clip.csv").write_text("old")
    (out / "clip.mp4").write_text("old")
    assert run("predict", clip, "--out", out, "--model", model) == 0
    assert len(frames_of(out / "clip.mp4")) == FRAMES
    assert (out / "clip.csv").read_text().startswith("frame,")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("CLIP", "--camera", "0"), "and not both"),
        ((), "give images, videos or folders"),
        (("CLIP", "--boxes", "1,2,3,4"), "--boxes belong to one image, but a video is given"),
    ],
)
def test_arguments_that_contradict_each_other_are_one_message(
    arguments: tuple[str, ...],
    expected: str,
    *,
    model: Path,
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(clip) if argument == "CLIP" else argument for argument in arguments]
    assert run("predict", *given, "--out", tmp_path / "out", "--model", model) == 1
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_where_a_result_belongs_is_refused_before_any_work(
    model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out/clip.csv").mkdir(parents=True)
    assert run("predict", clip, "--out", tmp_path / "out", "--model", model) == 1
    assert "clip.csv is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "9999999999"])
def test_numbers_that_cannot_be_are_refused(
    number: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", clip, "--out", tmp_path, f"--detect-every={number}") == 2
    assert "is not a whole number of 1 or more" in capsys.readouterr().err
