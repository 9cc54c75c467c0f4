"""YuNet fetched from a server on this machine, its faults, and Haar where it cannot be had."""

from __future__ import annotations

import copy
import hashlib
import pickle
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pooch
import pytest

from benchmarks.end_to_end.photos import rotated
from landmark_kd.core.errors import UserError
from landmark_kd.imaging.crops import sample
from landmark_kd.imaging.images import read_image
from landmark_kd.inference import yunet_file
from landmark_kd.inference.boxes import centre_half
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.face_detector import (
    CLOSER_PIXELS,
    VARIABLE,
    FoundFaces,
    HaarDetector,
    YuNetDetector,
    _turned_crops,
    likeliest,
    make_detector,
)
from landmark_kd.inference.turned_boxes import wrapped
from landmark_kd.inference.yunet_file import FILE, fetched
from landmark_kd.landmarks import geometry
from tests.support.download_server import DownloadServer, running_server, whole
from tests.support.exported_model import exported_model
from tests.support.train_photos import train_photos


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty, and nothing told by the environment."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(pooch, "os_cache", lambda name: folder)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(yunet_file, "URL", "http://127.0.0.1:9/nothing.onnx")
    monkeypatch.setattr(fetched, "__defaults__", ("http://127.0.0.1:9/nothing.onnx",))
    return folder


@pytest.fixture
def server() -> Iterator[DownloadServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def yunet(shared: Path) -> Path:
    return shared / "peers" / FILE


def test_the_file_is_fetched_once_checked_and_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch, server: DownloadServer
) -> None:
    content = b"what the publisher has"
    monkeypatch.setattr(yunet_file, "SHA256", hashlib.sha256(content).hexdigest())
    # The first connection breaks: it is tried again.
    server.answers["/" + FILE] = [whole(content, cut_at=5), whole(content)]
    url = server.url("/" + FILE)
    path = fetched(url)
    assert path == cache / FILE
    assert path.read_bytes() == content
    assert fetched("http://127.0.0.1:9/nothing.onnx") == path, "no network is needed any more"


def test_a_file_with_another_checksum_is_refused_and_not_kept(
    cache: Path, server: DownloadServer
) -> None:
    server.answers["/" + FILE] = [whole(b"something else")]
    url = server.url("/" + FILE)
    with pytest.raises(UserError, match=r"its SHA-256 differs.*--detector-model FILE"):
        fetched(url)
    assert not (cache / FILE).exists()


def test_a_download_that_is_cut_off_each_time_is_said_and_leaves_nothing(
    cache: Path, server: DownloadServer
) -> None:
    server.answers["/" + FILE] = [whole(b"what the publisher has", cut_at=5)]
    with pytest.raises(UserError, match=r"could not be fetched .*--detector-model FILE"):
        fetched(server.url("/" + FILE))
    assert len(server.seen) == 2, "it is tried again once"
    assert not list(cache.glob("*")), "nothing half-written"


def test_without_network_it_is_said_how_to_bring_the_file_and_haar_stands_in(cache: Path) -> None:
    with pytest.warns(UserWarning, match=r"Haar.*could not be fetched.*--detector-model FILE"):
        assert make_detector().name == "haar"
    with pytest.raises(UserError, match=r"could not be fetched .*--detector-model FILE"):
        make_detector("yunet")
    assert not list(cache.glob("*")), "nothing half-written"


def test_a_file_that_is_no_yunet_is_named(cache: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    with pytest.raises(UserError, match=r"text\.onnx is no YuNet"):
        make_detector("yunet", text)
    with pytest.raises(UserError, match=r"landmarks\.onnx is no YuNet"):
        make_detector("auto", exported_model(tmp_path))
    with pytest.raises(UserError, match=r"gone\.onnx is not there"):
        LandmarkDetector.load(face_detector_model=tmp_path / "gone.onnx")


def test_the_environment_says_what_auto_is(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setenv(VARIABLE, "haar")
        assert isinstance(make_detector(), HaarDetector)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone.onnx"))
    with pytest.raises(UserError, match=r"gone\.onnx is not there"):
        make_detector()
    assert make_detector("haar").name == "haar"


def test_a_file_for_a_detector_without_one_and_a_folder_are_refused(
    yunet: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"Haar, which has no file, but .*2023mar\.onnx is given"):
        make_detector("haar", yunet)
    with pytest.raises(UserError, match=r"is a folder; give the file of YuNet"):
        make_detector("yunet", tmp_path)


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'dlib'; it must be one of auto, yunet, haar"):
        make_detector("dlib")


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (31, 33), (20, 20_000)])
def test_images_of_odd_sizes_are_looked_at(yunet: Path, shape: tuple[int, int]) -> None:
    for detector in (YuNetDetector(yunet), HaarDetector()):
        found = detector.find(np.zeros((*shape, 3), np.uint8))
        assert found.boxes.shape == (0, 4)
        assert found.rolls.shape == found.scores.shape == (0,)


@pytest.mark.parametrize("degrees", [0, 75, 135, 180, 240])
def test_a_closer_look_tells_how_a_face_is_turned(yunet: Path, shared: Path, degrees: int) -> None:
    detector = YuNetDetector(yunet)
    away = []
    for photo in train_photos(shared, every=80):
        image, points = rotated(photo, degrees)
        boxes = geometry.landmarks_box(points)
        seen = FoundFaces(boxes, np.zeros(1), np.ones(1), boxes, np.zeros(1, bool))
        closer = detector.look_closer(image, seen)
        away.append(float(np.degrees(wrapped(closer.rolls - np.radians(degrees)))[0]))
        (box, found) = centre_half(boxes), centre_half(closer.boxes)
        assert (np.abs(found[0] - box[0]) < box[1]).all()
    assert len(away) > 10
    # Heads in these photos are tilted themselves.
    assert np.max(np.abs(away)) < 50


def test_each_face_gets_its_own_closer_look(yunet: Path, shared: Path) -> None:
    detector = YuNetDetector(yunet)
    (one, _), (other, _) = islice(train_photos(shared, 100), 2)
    height, width = (max(a, b) for a, b in zip(one.shape[:2], other.shape[:2], strict=True))
    image = np.zeros((height, 2 * width, 3), np.uint8)
    image[: one.shape[0], : one.shape[1]] = one
    image[: other.shape[0], width : width + other.shape[1]] = np.rot90(other, 2)
    first, last = detector.find(one).seen[:1], detector.find(other).seen[:1]
    x0, y0, x1, y1 = last[0]
    right, below = width + other.shape[1], other.shape[0]
    # A place without a face, which keeps what was known, stands between them.
    seen = np.stack(
        [first[0], [0, 0, 9, 9], [right - 1 - x1, below - 1 - y1, right - 1 - x0, below - 1 - y0]]
    )
    known = FoundFaces(seen, np.full(3, 0.3), np.ones(3), seen, np.zeros(3, bool))
    together = detector.look_closer(image, known)
    for i in range(3):
        alone = detector.look_closer(image, known.at(np.array([i])))
        np.testing.assert_allclose(together.boxes[i], alone.boxes[0], atol=1e-3)
        assert together.rolls[i] == pytest.approx(alone.rolls[0], abs=1e-5)
    np.testing.assert_array_equal(together.boxes[1], seen[1])
    assert together.rolls[1] == 0.3
    assert abs(together.rolls[0]) < np.radians(30)
    assert abs(together.rolls[2]) > np.radians(150)


def test_upright_is_likelier_where_no_turn_scores_high() -> None:
    rolls = np.radians([5.0, 185.0])
    assert likeliest(rolls, np.array([0.70, 0.75])) == 0
    assert likeliest(rolls, np.array([0.70, 0.80])) == 1
    assert likeliest(rolls, np.array([0.85, 0.90])) == 1


def test_turned_crops_are_those_that_are_cut_one_by_one(shared: Path) -> None:
    image = read_image(next((shared / "data/300w/afw").glob("*.jpg")))
    to_crop, crops = _turned_crops(image, np.array([50.0, 40.0, 210.0, 230.0]))
    for matrix, crop in zip(to_crop, crops, strict=True):
        away = np.abs(sample(image, matrix, CLOSER_PIXELS).astype(int) - crop)
        # OpenCV rounds to a 32nd of a pixel.
        assert (away <= 1).mean() > 0.999


def test_copies_and_pickles_find_the_same_faces(yunet: Path, shared: Path) -> None:
    image = read_image(next((shared / "data/300w/afw").glob("*.jpg")))
    detector = YuNetDetector(yunet)
    expected = detector.find(image)
    assert len(expected.boxes) >= 1
    for other in (copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))):
        np.testing.assert_array_equal(other.find(image).boxes, expected.boxes)


def test_a_small_face_in_a_large_photo_is_found_where_it_is_asked_for(
    yunet: Path, shared: Path
) -> None:
    image = read_image(next((shared / "data/300w/afw").glob("*.jpg")))
    small = cv2.resize(image, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    photo = np.full((3000, 4000, 3), 100, np.uint8)
    photo[1000 : 1000 + small.shape[0], 2000 : 2000 + small.shape[1]] = small
    detector = YuNetDetector(yunet)
    (box,) = detector.find(photo, min_face=25).boxes[:1]
    assert 2000 < box[0] < box[2] < 2000 + small.shape[1]
    assert 1000 < box[1] < box[3] < 1000 + small.shape[0]
    tall = box[3] - box[1]
    assert len(detector.find(photo, min_face=tall + 1).boxes) < len(detector.find(photo, 25).boxes)
