"""The drawn faces: reproducible, and their landmarks lie where the features are."""

from __future__ import annotations

import os
import signal
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.synthetic.render import render_face, write_dataset
from landmark_kd.data.synthetic.shape import MAX_PITCH, MAX_ROLL, MAX_YAW, sample_head
from landmark_kd.landmarks.head import load_prior
from landmark_kd.landmarks.scheme import SCHEMES

pytestmark = pytest.mark.seconds

Faces = list[tuple[np.ndarray, np.ndarray]]
SHIFT = 6.0  # pixels, about 9 % of the inter-ocular distance of a face in an image of 192
FOUR_WAYS = [(SHIFT, 0.0), (-SHIFT, 0.0), (0.0, SHIFT), (0.0, -SHIFT)]


@pytest.fixture(scope="module")
def faces() -> Faces:
    return [render_face(np.random.default_rng([5, i])) for i in range(60)]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_points(path: Path) -> np.ndarray:
    """The coordinates of an iBUG file as they stand in it, (K, 2)."""
    body = path.read_text().split("{")[1].split("}")[0]
    return np.array(body.split(), float).reshape(-1, 2)


def killed(folder: Path, size: int, seed: int, job: tuple[int, int]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel does without memory; a pool that waits for it would wait for ever."""
    monkeypatch.setattr("landmark_kd.data.synthetic.render._write_face", killed)
    with pytest.raises(
        UserError, match=r"one of the 2 processes .* ended, .*synthetic\.resolution"
    ):
        write_dataset(tmp_path, train=40, test=2, size=96, seed=7, workers=2)


@pytest.mark.seconds
def test_the_same_seed_draws_the_same_bytes_whatever_the_number_of_workers(tmp_path: Path) -> None:
    write_dataset(tmp_path / "one", train=4, test=2, size=96, seed=7, workers=1)
    write_dataset(tmp_path / "two", train=4, test=2, size=96, seed=7, workers=2)
    assert len(files(tmp_path / "one")) == 12
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_a_face_does_not_depend_on_how_many_are_drawn(tmp_path: Path) -> None:
    write_dataset(tmp_path / "few", train=1, test=1, size=96, seed=7, workers=1)
    write_dataset(tmp_path / "more", train=3, test=2, size=96, seed=7, workers=1)
    few, more = files(tmp_path / "few"), files(tmp_path / "more")
    assert {name: more[name] for name in few} == few


@pytest.mark.seconds
def test_seed_split_and_number_each_change_the_face(tmp_path: Path) -> None:
    write_dataset(tmp_path / "a", train=3, test=3, size=96, seed=1, workers=1)
    write_dataset(tmp_path / "b", train=3, test=3, size=96, seed=2, workers=1)
    everything = list(files(tmp_path / "a").values()) + list(files(tmp_path / "b").values())
    assert len(set(everything)) == len(everything) == 24


def test_points_files_count_from_one_in_ibug_layout(tmp_path: Path) -> None:
    write_dataset(tmp_path, train=0, test=1, size=128, seed=3, workers=1)
    lines = (tmp_path / "test" / "face_00000.pts").read_text().splitlines()
    assert lines[:3] == ["version: 1", "n_points: 68", "{"]
    assert lines[-1] == "}"
    _, landmarks = render_face(np.random.default_rng([3, 1, 0]), 128)
    written = read_points(tmp_path / "test" / "face_00000.pts")
    assert written == pytest.approx(landmarks + 1, abs=1e-4)
    image = cv2.imread(str(tmp_path / "test" / "face_00000.jpg"))
    assert image is not None
    assert image.shape == (128, 128, 3)


@pytest.mark.parametrize("size", [112, 192])
def test_a_face_is_an_8_bit_image_with_68_points(size: int) -> None:
    image, landmarks = render_face(np.random.default_rng(0), size)
    assert (image.shape, image.dtype) == ((size, size, 3), np.uint8)
    assert (landmarks.shape, landmarks.dtype) == ((68, 2), np.float64)


def test_all_points_lie_inside_the_image_with_context_around_them() -> None:
    for i in range(500):
        landmarks = sample_head(np.random.default_rng([9, i]), 192).landmarks
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        assert low.min() > 0.1 * 192
        assert high.max() < 0.9 * 192
        assert 0.45 * 192 < (high - low).max() < 0.6 * 192


def test_poses_fill_their_whole_range_and_do_not_leave_it() -> None:
    heads = [sample_head(np.random.default_rng([9, i]), 192) for i in range(500)]
    for limit, angle in ((MAX_YAW, "yaw"), (MAX_PITCH, "pitch"), (MAX_ROLL, "roll")):
        values = np.array([getattr(head, angle) for head in heads])
        assert np.abs(values).max() <= limit
        assert values.min() < -0.9 * limit
        assert values.max() > 0.9 * limit


def test_lids_and_lips_never_cross() -> None:
    # Of the unturned shape: a turned head may really hide one lip behind the other.
    pairs = [(37, 41), (38, 40), (43, 47), (44, 46), (61, 67), (62, 66), (63, 65)]
    for i in range(300):
        points = sample_head(np.random.default_rng([9, i]), 192).points
        for upper, lower in pairs:
            assert points[upper, 1] <= points[lower, 1] + 1e-9


def test_images_show_open_and_closed_eyes_and_mouths() -> None:
    heads = [sample_head(np.random.default_rng([9, i]), 192) for i in range(300)]
    eyes = np.array([head.points[41, 1] - head.points[37, 1] for head in heads])
    mouths = np.array([head.points[66, 1] - head.points[62, 1] for head in heads])
    for gaps, closed, wide in ((eyes, 0.03, 0.1), (mouths, 0.01, 0.15)):
        assert (gaps < closed).mean() > 0.05
        assert (gaps > wide).mean() > 0.05


def grey(image: np.ndarray) -> np.ndarray:
    smooth = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (0, 0), 1.0)
    return np.asarray(smooth.astype(np.float32))


def steepness(image: np.ndarray) -> np.ndarray:
    """How fast the colour changes, (H, W)."""
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.2)
    slopes = [cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx) for dx in (0, 1)]
    return np.asarray(np.hypot(*slopes).sum(axis=2))


def value_at(plane: np.ndarray, points: np.ndarray) -> float:
    x, y = points.astype(np.float32).T
    return float(cv2.remap(plane, x[None], y[None], cv2.INTER_LINEAR).mean())


def around(plane: np.ndarray, points: np.ndarray, radius: float = 8.0) -> float:
    """Mean on circles around the points."""
    angles = np.arange(8) * np.pi / 4
    ring = radius * np.column_stack([np.cos(angles), np.sin(angles)])
    return float(np.mean([value_at(plane, points + step) for step in ring]))


def darkness(image: np.ndarray, points: np.ndarray) -> float:
    """How much darker the points are than what is around them, in deviations of the image."""
    plane = grey(image)
    return (around(plane, points) - value_at(plane, points)) / float(plane.std())


def edge(image: np.ndarray, points: np.ndarray) -> float:
    """How much steeper the image is on the points than around them."""
    plane = steepness(image)
    return value_at(plane, points) / around(plane, points)


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("measure", "indices", "least"),
    [
        pytest.param(darkness, range(36, 48), 0.65, id="lids"),
        pytest.param(darkness, range(17, 27), 0.45, id="brows"),
        pytest.param(darkness, range(31, 36), 0.55, id="nose base"),
        pytest.param(darkness, (48, 54), 0.4, id="corners of the mouth"),
        pytest.param(edge, range(3, 14), 1.6, id="jaw line"),
    ],
)
def test_features_are_drawn_on_their_points_and_not_six_pixels_beside_them(
    faces: Faces, measure: object, indices: range, least: float
) -> None:
    assert callable(measure)

    def median(shift: tuple[float, float]) -> float:
        # A median: some faces wear sunglasses, beards or a hand before the mouth.
        return float(np.median([measure(im, p[list(indices)] + shift) for im, p in faces]))

    assert median((0.0, 0.0)) > least
    for shift in FOUR_WAYS:
        assert median(shift) < 0.85 * least


def test_lips_are_redder_than_the_skin_above_and_below_them(faces: Faces) -> None:
    def redness(image: np.ndarray, points: np.ndarray, shift: float) -> float:
        red = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)[..., 1].astype(np.float32)
        lips = (points[[50, 51, 52, 56, 57, 58]] + points[[61, 62, 63, 65, 66, 67]]) / 2
        down = points[8] - points[33]
        skin = points[[50, 51, 52, 56, 57, 58]] + np.outer([-0.15] * 3 + [0.15] * 3, down)
        move = np.array([0.0, shift])
        return value_at(red, lips + move) - value_at(red, skin + move)

    coloured = [face for face in faces if np.ptp(face[0], axis=2).mean() > 5]
    assert len(coloured) > 40
    medians = {
        shift: float(np.median([redness(image, points, shift) for image, points in coloured]))
        for shift in (0.0, SHIFT, -SHIFT)
    }
    assert medians[0.0] > 5.0
    assert max(medians[SHIFT], medians[-SHIFT]) < 0.75 * medians[0.0]


@pytest.mark.seconds
def test_opencvs_frontal_detector_finds_most_faces(faces: Faces) -> None:
    trained = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
    detector = cv2.CascadeClassifier(str(trained))
    found = 0
    for image, landmarks in faces:
        x, y = landmarks[17:].mean(axis=0)
        plane = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        boxes = detector.detectMultiScale(plane, 1.1, 3, minSize=(48, 48))
        found += any(x0 < x < x0 + w and y0 < y < y0 + h for x0, y0, w, h in boxes)
    assert found >= 0.6 * len(faces)


def test_the_priors_mean_is_its_own_mirror_image() -> None:
    mean = load_prior().mean
    mirror = mean[SCHEMES[68].flip] * (-1, 1, 1)
    normalizing_distance = np.linalg.norm(mean[45] - mean[36])
    assert np.linalg.norm(mean - mirror, axis=1).max() < 0.03 * normalizing_distance
    assert mean[45, 0] > mean[36, 0]  # point 36 is on the image's left
    assert mean[8, 1] > mean[27, 1]  # the chin is below the nose


def test_the_prior_is_small_and_holds_statistics_only() -> None:
    path = resources.files("landmark_kd.landmarks") / "shape_prior.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        assert sorted(data) == ["mean", "modes", "variances"]
        shapes = {key: data[key].shape for key in data}
    modes = shapes["variances"][0]
    assert modes < 50
    assert shapes == {"mean": (68, 3), "modes": (modes, 68, 2), "variances": (modes,)}
    assert len(path.read_bytes()) < 100_000


@pytest.mark.seconds
def test_the_prior_is_what_the_tool_makes_of_the_training_shapes(
    shared: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    from tools.build_shape_prior import build

    build(shared / "data" / "shapes" / "300w_68.npz", tmp_path / "prior.npz")
    kept = load_prior()
    with np.load(tmp_path / "prior.npz", allow_pickle=False) as made:
        assert made["mean"] == pytest.approx(kept.mean, abs=1e-4)
        assert made["modes"] == pytest.approx(kept.modes, abs=1e-3)
        assert made["variances"] == pytest.approx(kept.variances, rel=1e-3)
