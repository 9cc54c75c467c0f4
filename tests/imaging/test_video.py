"""Videos read and written: times, rotation, what is damaged, and what a writer leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.imaging.video import Frame, VideoWriter, open_camera, open_video
from tests.support.clips import cut, index_first, stretch_times, trim_clip, turn_clip, write_clip


def read(path: Path) -> list[Frame]:
    with open_video(path) as video:
        return list(video)


def grey(frame: Frame) -> int:
    return int(frame.image[-10:, -10:].mean())


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.mov", "a.mkv", "50%d:x.mp4"])
def test_frames_come_in_order_with_number_and_time(name: str, tmp_path: Path) -> None:
    frames = read(write_clip(tmp_path / name))
    assert [frame.number for frame in frames] == list(range(12))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(12) / 25, atol=0.002)
    assert [grey(frame) for frame in frames] == pytest.approx(
        [20 + 10 * i for i in range(12)], abs=5
    )


def test_a_video_is_turned_as_it_says(tmp_path: Path) -> None:
    """As phones do, which always write the sensor's rows."""
    frame = read(turn_clip(write_clip(tmp_path / "a.mp4")))[0]
    assert frame.image.shape == (160, 120, 3)
    # The white quarter was left above; turned to the right it is right above.
    assert frame.image[20, -20].mean() > 200
    assert frame.image[20, 20].mean() < 60


def test_irregular_frames_have_the_times_of_the_file(tmp_path: Path) -> None:
    times = [frame.time for frame in read(stretch_times(write_clip(tmp_path / "a.mp4"), 4))]
    assert len(times) == 12
    steps = np.diff(times)
    np.testing.assert_allclose(steps[:6], 0.04, atol=0.002)
    np.testing.assert_allclose(steps[6:], 0.16, atol=0.002)


class Capture:
    """An OpenCV capture of three frames whose time stamps are as given."""

    def __init__(self, stamps: list[float], rate: float = 25) -> None:
        self.stamps, self.rate, self.at = [*stamps, 0.0], rate, -1

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def get(self, what: int) -> float:
        known = {cv2.CAP_PROP_FPS: self.rate, cv2.CAP_PROP_POS_MSEC: self.stamps[self.at]}
        return known.get(what, 0.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.at += 1
        if self.at + 1 == len(self.stamps):
            return False, None
        return True, np.zeros((10, 10, 3), np.uint8)

    def release(self) -> None:
        pass


@pytest.mark.parametrize("stamps", [[0, 0, 0], [40, 20, 0], [float("nan")] * 3])
@pytest.mark.parametrize("rate", [25, 0, float("nan"), 90000])
def test_times_rise_where_stamps_do_not(
    stamps: list[float], rate: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=1)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Capture(stamps, rate))
    times = np.array([frame.time for frame in read(path)])
    assert (np.diff(times) > 0.005).all()
    assert np.isfinite(times).all()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.mp4", b"", "is empty"),
        ("junk.mp4", b"hello" * 1000, "not a video that OpenCV can decode"),
        ("junk.avi", b"RIFF" + bytes(5000), "not a video that OpenCV can decode"),
    ],
)
def test_what_is_no_video_is_said_to_be_none(
    name: str, content: bytes, expected: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=expected):
        read(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_a_missing_video_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing; check the name"):
        open_video(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        open_video(tmp_path / "b.mp4")


def test_a_codec_that_is_not_there_is_one_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_clip(tmp_path / "a.avi")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZZZ"))
    with pytest.raises(UserError, match="its codec is not there"):
        open_video(path)
    assert capfd.readouterr() == ("", "")


def test_a_video_cut_off_gives_what_is_there_and_how_much_is_missing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = cut(write_clip(tmp_path / "a.avi", frames=20), 0.5)
    with open_video(path) as video:
        frames = list(video)
        assert 0 < len(frames) < 15
        assert video.missing() == 20 - len(frames)
    assert capfd.readouterr() == ("", "")


def test_a_whole_video_misses_nothing(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "a.mp4")) as video:
        assert len(list(video)) == 12
        assert video.missing() == 0


def test_a_video_that_was_trimmed_misses_nothing(tmp_path: Path) -> None:
    with open_video(trim_clip(write_clip(tmp_path / "a.mp4", 20), 0.4)) as video:
        assert len(list(video)) < 14
        assert video.missing() == 0


def test_an_mp4_whose_frames_are_cut_off_says_so(tmp_path: Path) -> None:
    """The index stands before the frames, as in videos for the web."""
    path = index_first(write_clip(tmp_path / "a.mp4", 40, size=(640, 480)))
    with open_video(path) as video:
        assert len(list(video)) == 40
        assert video.missing() == 0
    with open_video(cut(path, 0.6)) as video:
        assert 0 < len(list(video)) < 40
        assert video.missing() > 0


def test_an_mp4_without_its_index_is_one_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="cut off"):
        open_video(cut(write_clip(tmp_path / "a.mp4"), 0.6))
    assert capfd.readouterr() == ("", "")


def test_no_camera_is_one_message(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="camera 97 cannot be opened"):
        open_camera(97)
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_gives_nothing_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Capture([]))
    with open_camera(0) as video, pytest.raises(UserError, match="camera 0 gives no frame"):
        list(video)


def written(path: Path, times: list[float], rate: float = 25, **options: Any) -> list[int]:
    """Write frames of grey 10, 20, … at given times; return the greys that are in the video."""
    writer = VideoWriter(path, rate)
    for number, time in enumerate(times):
        writer.write(np.full((48, 64, 3), 10 * (number + 1), np.uint8), time)
    writer.close()
    return [round(grey(frame), -1) for frame in read(path)]


def test_a_late_frame_is_preceded_by_the_last_one_and_an_early_one_left_out(
    tmp_path: Path,
) -> None:
    assert written(tmp_path / "a.mp4", [3.0, 3.04, 3.16, 3.17, 3.2]) == [10, 20, 20, 20, 30, 50]


def test_a_gap_of_hours_does_not_fill_the_disk(tmp_path: Path) -> None:
    assert written(tmp_path / "a.mp4", [0, 7200, 7200.04]) == [10, 20, 30]


def test_an_odd_size_is_not_cut_off(tmp_path: Path) -> None:
    image = np.zeros((121, 161, 3), np.uint8)
    image[:, -1] = 255
    writer = VideoWriter(tmp_path / "a.mp4", 25)
    writer.write(image, 0)
    writer.close()
    (frame,) = read(tmp_path / "a.mp4")
    assert frame.image.shape == (122, 162, 3)
    assert frame.image[60, -2].mean() > 150


def test_a_video_that_could_not_be_written_is_said_to(tmp_path: Path) -> None:
    """OpenCV says nothing of a full disk; here the file is taken away."""
    writer = VideoWriter(tmp_path / "a.mp4", 25)
    writer.write(np.zeros((48, 64, 3), np.uint8), 0)
    writer.release()
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(UserError, match="the disk may be full"):
        writer.close()
