"""Landmarks from an ONNX file: coordinates, errors, and no torch."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from benchmarks.end_to_end.photos import rotated
from landmark_kd.core.errors import UserError
from landmark_kd.export.onnx import OPSET
from landmark_kd.imaging import face_detector
from landmark_kd.imaging.crops import sample
from landmark_kd.inference import network as network_of_files
from landmark_kd.inference.boxes import centre_half
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.face import Face
from landmark_kd.inference.face_detector import FoundFaces
from landmark_kd.inference.metadata import ModelInfo
from landmark_kd.inference.network import Predictions
from landmark_kd.inference.tracking import TrackedFace
from landmark_kd.inference.yunet_file import FILE
from landmark_kd.landmarks import geometry, uncertainty
from landmark_kd.landmarks.scheme import IBUG_68
from landmark_kd.models import network
from tests.conftest import PROJECT
from tests.support.constant_model import constant_model
from tests.support.exported_model import SIZE, exported_model, tiny_network
from tests.support.prepared_faces import real_shapes
from tests.support.train_photos import train_photos

pytestmark = pytest.mark.seconds

# One in so many of the LFPW train faces is looked at.
EVERY = 16

SPOTS = np.array([[120, 130], [200, 100], [170, 190]])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def detector(model: Path) -> LandmarkDetector:
    return LandmarkDetector.load(model)


@pytest.fixture(scope="module")
def spots(tmp_path_factory: pytest.TempPathFactory) -> LandmarkDetector:
    """A detector with three points: the centres of all red, all green and all blue light."""
    light = "image"
    centre = (np.arange(SIZE) + 0.5) / SIZE - 0.5
    weights = {
        "x": np.broadcast_to(centre[None, :], (SIZE, SIZE)),
        "y": np.broadcast_to(centre[:, None], (SIZE, SIZE)),
    }
    axes = onnx.numpy_helper.from_array(np.array([2, 3]), "axes")
    last = onnx.numpy_helper.from_array(np.array([2]), "last")
    constants = [onnx.numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    node = onnx.helper.make_node
    nodes = [node("ReduceSum", [light, "axes"], ["all"], keepdims=0)]
    for name in weights:
        nodes += [
            node("Mul", [light, name], [f"weighted_{name}"]),
            node("ReduceSum", [f"weighted_{name}", "axes"], [f"sum_{name}"], keepdims=0),
            node("Div", [f"sum_{name}", "all"], [f"mean_{name}"]),
            node("Unsqueeze", [f"mean_{name}", "last"], [f"out_{name}"]),
        ]
    nodes.append(node("Concat", ["out_x", "out_y"], ["landmarks"], axis=2))
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "spots",
        [onnx.helper.make_tensor_value_info("image", real, ["n", 3, SIZE, SIZE])],
        [onnx.helper.make_tensor_value_info("landmarks", real, ["n", 3, 2])],
        [axes, last, *constants],
    )
    opset = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    info = ModelInfo(
        dataset="spots",
        licence="none",
        backbone="none",
        points=3,
        input_size=SIZE,
        mean=(0.0, 0.0, 0.0),
        std=(255.0, 255.0, 255.0),
        colour_order="RGB",
        margin=0.25,
        box="landmarks",
        box_in_haar=None,
        point_names=("red", "green", "blue"),
        flip=(0, 1, 2),
        contours=(),
    )
    onnx.helper.set_model_props(model, info.to_metadata())
    path = tmp_path_factory.mktemp("spots") / "spots.onnx"
    onnx.save(model, path)
    return LandmarkDetector.load(path)


def spotted() -> np.ndarray:
    """A black image with a smooth red, green and blue spot at SPOTS."""
    image = np.zeros((300, 400, 3), np.uint8)
    y, x = np.mgrid[:300, :400]
    for channel, (spot_x, spot_y) in zip((2, 1, 0), SPOTS, strict=True):
        squared = (x - spot_x) ** 2 + (y - spot_y) ** 2
        image[..., channel] = np.rint(255 * np.exp(-squared / (2 * 6**2)))
    return image


def photo(height: int = 300, width: int = 400, seed: int = 0) -> np.ndarray:
    """Smooth colours that differ everywhere; no face in them."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.seconds
def test_landmarks_are_those_of_the_torch_network_on_the_same_crop(
    detector: LandmarkDetector,
) -> None:
    image, box = photo(), np.array([100.0, 80.0, 220.0, 210.0])
    (face,) = detector.detect(image, box[None])
    net = tiny_network()
    to_crop = geometry.square_crop(box, 0.25, SIZE)
    crop = sample(np.ascontiguousarray(image[..., ::-1]), to_crop, SIZE)
    in_crop = geometry.from_network(network.predict(net, crop[None])[0], SIZE)
    expected = geometry.apply(geometry.invert(to_crop), in_crop)
    assert face.landmarks.shape == (68, 2)
    np.testing.assert_allclose(face.landmarks, expected, atol=0.01)
    np.testing.assert_array_equal(face.box, box)


def test_landmarks_lie_on_what_the_network_found(spots: LandmarkDetector) -> None:
    (face,) = spots.detect(spotted(), np.array([[100.0, 80.0, 220.0, 210.0]]))
    # Red, green, blue: the network sees RGB, the image is BGR.
    np.testing.assert_allclose(face.landmarks, SPOTS, atol=0.1)


def test_landmarks_move_with_the_image(spots: LandmarkDetector) -> None:
    moved = cv2.copyMakeBorder(spotted(), 17, 0, 31, 0, cv2.BORDER_REPLICATE)
    (face,) = spots.detect(moved, np.array([[131.0, 97.0, 251.0, 227.0]]))
    np.testing.assert_allclose(face.landmarks, SPOTS + np.array([31, 17]), atol=0.1)


@pytest.mark.parametrize("scale", [0.5, 3, 7])
def test_landmarks_grow_with_the_image(spots: LandmarkDetector, scale: float) -> None:
    resized = cv2.resize(spotted(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # Pixel centres are at integers: the middle of pixel 0 is half a pixel inside the image.
    box = (np.array([[100.0, 80.0, 220.0, 210.0]]) + 0.5) * scale - 0.5
    (face,) = spots.detect(resized, box)
    expected = (SPOTS + 0.5) * scale - 0.5
    np.testing.assert_allclose(face.landmarks, expected, atol=0.1 * max(scale, 1))


@pytest.mark.parametrize("box", [[-20, -30, 230, 220], [100, 80, 520, 420], [-60, -60, 340, 340]])
def test_a_box_beyond_the_border_does_not_move_the_landmarks(
    spots: LandmarkDetector, box: list[int]
) -> None:
    (face,) = spots.detect(spotted(), np.array([box]))
    crop_pixel = max(box[2] - box[0], box[3] - box[1]) * 1.25 / SIZE
    np.testing.assert_allclose(face.landmarks, SPOTS, atol=0.1 * crop_pixel)


def test_several_boxes_give_what_each_gives_alone_and_in_their_order(
    detector: LandmarkDetector,
) -> None:
    image = photo()
    boxes = np.array([[10, 20, 90, 110], [200, 100, 330, 250], [50.5, 60.5, 70.5, 90.5]])
    together = detector.detect(image, boxes)
    assert len(together) == 3
    for face, box in zip(together, boxes, strict=True):
        (alone,) = detector.detect(image, box[None])
        np.testing.assert_array_equal(face.box, box)
        np.testing.assert_allclose(face.landmarks, alone.landmarks, atol=1e-3)


def test_a_box_beside_the_image_gives_finite_landmarks(detector: LandmarkDetector) -> None:
    (face,) = detector.detect(photo(), np.array([[-500, -500, -400, -400]]))
    assert np.isfinite(face.landmarks).all()


def test_grey_images_count_as_colour_images_with_equal_channels(
    detector: LandmarkDetector,
) -> None:
    grey, boxes = photo()[..., 0], np.array([[100, 80, 220, 210]])
    (face,) = detector.detect(grey, boxes)
    (same,) = detector.detect(np.repeat(grey[..., None], 3, axis=2), boxes)
    np.testing.assert_array_equal(face.landmarks, same.landmarks)


@pytest.mark.parametrize("shape", [(300, 400, 3), (1, 1, 3), (5, 300, 3), (19, 19)])
def test_an_image_without_a_face_gives_no_faces(
    detector: LandmarkDetector, shape: tuple[int, ...]
) -> None:
    assert detector.detect(np.full(shape, 127, np.uint8)) == []


def test_no_boxes_give_no_faces(detector: LandmarkDetector) -> None:
    assert detector.detect(photo(), np.empty((0, 4))) == []
    assert detector.detect(photo(), np.array([])) == []


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((10, 10, 3), np.float32),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((3, 10, 10), np.uint8),
        np.zeros((0, 10, 3), np.uint8),
        None,
    ],
)
def test_what_is_no_image_is_refused(detector: LandmarkDetector, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="image must be"):
        detector.detect(image)


@pytest.mark.parametrize(
    ("boxes", "sentence"),
    [
        ([1, 2, 3, 4], r"\(M, 4\)"),
        ([[1, 2, 3]], r"\(M, 4\)"),
        ([[10, 10, 20, 20], [1, 2, 1, 4]], "box 1"),
        ([[10, 20, 20, 10]], "box 0"),
        ([[0, 0, np.nan, 10]], "finite"),
        ([[0, 0, np.inf, 10]], "finite"),
    ],
)
def test_what_are_no_boxes_is_refused(
    detector: LandmarkDetector, boxes: list, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        detector.detect(photo(), np.array(boxes))


def test_a_model_for_the_data_sets_own_boxes_wants_boxes(model: Path, tmp_path: Path) -> None:
    changed = onnx.load(model)
    for entry in changed.metadata_props:
        if entry.key == "box":
            entry.value = "dataset"
    onnx.save(changed, tmp_path / "model.onnx")
    detector = LandmarkDetector.load(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="trained on the boxes of tiny; give boxes"):
        detector.detect(photo())
    assert len(detector.detect(photo(), np.array([[1, 1, 50, 50]]))) == 1


def test_the_callers_arithmetic_stays_as_it_was() -> None:
    # onnxruntime's session.set_denormal_as_zero would change it for the whole process.
    program = """
import numpy as np
from landmark_kd.predict import LandmarkDetector
LandmarkDetector.load(face_detector="haar").detect(np.zeros((9, 9, 3), np.uint8), [[1, 1, 8, 8]])
assert np.finfo(np.float32).smallest_subnormal * np.float32(1) > 0
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("way", ["path", "bytes", "shipped"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copied_detector_is_one_of_the_same_network_and_threads(
    model: Path, way: str, copied: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(model.parent)
    detector = {
        "path": lambda: LandmarkDetector.load(model.name, threads=1, face_detector="haar"),
        "bytes": lambda: LandmarkDetector.from_bytes(model.read_bytes(), "mine", threads=1),
        "shipped": lambda: LandmarkDetector.load(threads=1, face_detector="haar"),
    }[way]()
    monkeypatch.chdir(tmp_path)
    again = copied(detector)
    assert (again.source, again.info) == (detector.source, detector.info)
    assert again._session.get_session_options().intra_op_num_threads == 1
    image, box = photo(), np.array([[100.0, 80.0, 220.0, 210.0]])
    assert again.detect(image, box) == detector.detect(image, box)
    if way != "bytes":
        assert again.face_detector.name == "haar"


def test_a_spawned_process_can_be_given_a_detector(detector: LandmarkDetector) -> None:
    image, box = photo(), np.array([[100.0, 80.0, 220.0, 210.0]])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(detector.detect, (image, box)) == detector.detect(image, box)


def test_a_copy_whose_file_is_gone_says_so(model: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.onnx"
    moved.write_bytes(model.read_bytes())
    content = pickle.dumps(LandmarkDetector.load(moved))
    moved.unlink()
    with pytest.raises(UserError, match=r"moved\.onnx is missing"):
        pickle.loads(content)


def test_faces_with_the_same_numbers_are_equal_and_have_no_hash() -> None:
    def face(**changed: object) -> Face:
        arrays = {"box": np.zeros(4), "landmarks": np.ones((3, 2)), "uncertainty": np.ones(3)}
        numbers: dict[str, Any] = {"score": 0.5, **arrays, **changed}
        return Face(**numbers)

    assert face() == face()
    assert face(uncertainty=None) == face(uncertainty=None)
    different: list[dict[str, Any]] = [
        {"box": np.ones(4)},
        {"landmarks": np.zeros((3, 2))},
        {"uncertainty": None},
    ]
    for changed in (*different, {"score": 0.4}, {"roll": 1.0}, {"landmarks": np.ones((2, 2))}):
        assert face() != face(**changed)
    assert face() != "a face"
    tracked = TrackedFace(np.zeros(4), np.ones((3, 2)), 0.5, np.ones(3), id=0)
    assert tracked == copy.deepcopy(tracked)
    assert tracked not in (face(), replace(tracked, id=1))
    with pytest.raises(TypeError, match="unhashable"):
        hash(face())


@pytest.mark.parametrize("uncertain", [True, False])
def test_no_faces_go_through_the_network_as_empty_arrays(tmp_path: Path, uncertain: bool) -> None:
    detector = LandmarkDetector.load(exported_model(tmp_path, uncertain=uncertain))
    inputs, to_crop = detector.network_inputs(photo(), np.empty((0, 4)))
    assert (inputs.shape, to_crop.shape) == ((0, 3, SIZE, SIZE), (0, 2, 3))
    landmarks, sigma = detector.run_network(inputs)
    assert (landmarks.shape, landmarks.dtype) == ((0, 68, 2), np.float32)
    assert sigma.shape == (0, 68) if uncertain else sigma is None  # type: ignore[union-attr]


def test_a_folder_for_a_model_says_which_file_to_give(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder; give .* itself, as .*marks\.onnx"):
        LandmarkDetector.load(model.parent)
    with pytest.raises(UserError, match=r"is a folder; give the ONNX file itself"):
        LandmarkDetector.load(tmp_path)


def test_a_missing_model_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.onnx is missing.*make repro"):
        LandmarkDetector.load(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"no ONNX file at all"])
def test_a_file_that_is_no_onnx_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.onnx is not an ONNX file"):
        LandmarkDetector.load(path)


def test_a_cut_off_model_is_named(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(model.read_bytes()[:100_000])
    with pytest.raises(UserError, match=r"cut\.onnx"):
        LandmarkDetector.load(path)


def test_an_onnx_file_of_others_is_named(shared: Path) -> None:
    with pytest.raises(UserError, match=r"pfld_68\.onnx has no metadata of landmark-kd; give"):
        LandmarkDetector.load(shared / "peers/pfld_68.onnx")


class FakeDetector:
    """Finds one face at BOX, upright; a closer look finds it at CLOSER, upside down."""

    name = "fake"
    box, closer, roll = np.array([100.0, 80.0, 220.0, 210.0]), np.array([90.0, 80, 220, 200]), 3.1

    def __init__(self) -> None:
        self.looks: list[int] = []

    def find(self, image: np.ndarray, min_face: float | None = None) -> FoundFaces:
        return FoundFaces(
            *(self.box[None], np.zeros(1), np.full(1, 0.9), self.box[None], np.ones(1, bool))
        )

    def look_closer(self, image: np.ndarray, found: FoundFaces) -> FoundFaces:
        self.looks.append(len(found.boxes))
        count = len(found.boxes)
        return found._replace(
            boxes=np.tile(self.closer, (count, 1)), rolls=np.full(count, self.roll)
        )


def faked(
    detector: LandmarkDetector, trust: Callable[[float], float], monkeypatch: pytest.MonkeyPatch
) -> list[np.ndarray]:
    """Trust faces by their rolls, their landmarks filling the box; return the runs' rolls."""
    runs: list[np.ndarray] = []
    points = geometry.landmarks_box(real_shapes(1)[0])
    shape = (real_shapes(1)[0] - points[:2]) / (points[2:] - points[:2])

    def predict(images: object, boxes: np.ndarray, rolls: np.ndarray) -> Predictions:
        runs.append(rolls)
        (centre, half) = centre_half(boxes)
        lying = (shape[None] * 2 - 1) * half[:, None]
        landmarks = geometry.turned(lying, rolls[:, None]) + centre[:, None]
        return Predictions(
            landmarks, np.ones(landmarks.shape[:2]), np.array([trust(r) for r in rolls])
        )

    monkeypatch.setattr(detector, "predict", predict)
    monkeypatch.setattr(detector, "_faces", FakeDetector())
    return runs


def test_a_face_that_is_trusted_is_looked_at_once(
    detector: LandmarkDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = faked(detector, lambda roll: 0.995, monkeypatch)
    (face,) = detector.detect(photo())
    assert [len(run) for run in runs if len(run)] == [1]
    assert face.roll == 0


def test_a_face_that_is_known_is_neither_returned_nor_looked_at(
    detector: LandmarkDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = faked(detector, lambda roll: 0.995, monkeypatch)
    near, far = FakeDetector.box + 9, FakeDetector.box + 100
    assert detector.detect(photo(), turn=False, known=np.stack([far, near])) == []
    assert [len(run) for run in runs if len(run)] == []
    assert len(detector.detect(photo(), known=far[None])) == 1
    assert len(detector.detect(photo(), known=np.empty((0, 4)))) == 1
    with pytest.raises(ValueError, match="1 images and 2 arrays of known boxes"):
        detector.detect_batch([photo()], known=[near[None], far[None]])


def test_a_face_that_is_doubted_is_turned_as_the_closer_look_says_and_by_no_others_trust(
    detector: LandmarkDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A blurred face: the network trusts it nowhere but lying on its side, by chance.
    runs = faked(detector, lambda roll: 0.1 if abs(np.sin(roll)) < 0.5 else 0.99, monkeypatch)
    (face,) = detector.detect(photo(), turn=False)
    assert [len(run) for run in runs if len(run)] == [1, 1]
    assert face.roll == pytest.approx(np.degrees(FakeDetector.roll))
    np.testing.assert_array_equal(face.box, FakeDetector.closer)


def test_faces_of_all_images_get_the_closer_look_only_where_they_are_doubted(
    detector: LandmarkDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(detector, lambda roll: 0.995, monkeypatch)
    detector.detect_batch([photo(), photo()])
    assert isinstance(detector.face_detector, FakeDetector)
    assert detector.face_detector.looks == [0, 0]
    # One that says no uncertainty trusts all; there the face detector's word counts.
    detector.info = replace(detector.info, typical_sigma=None)
    monkeypatch.setattr(
        FakeDetector,
        "find",
        lambda *_: FoundFaces(
            *(FakeDetector.box[None], np.zeros(1), np.ones(1), FakeDetector.box[None]),
            np.zeros(1, bool),
        ),
    )
    (face,) = detector.detect(photo())
    assert face.roll == pytest.approx(np.degrees(FakeDetector.roll))


def test_landmarks_that_lie_elsewhere_are_looked_for_again_and_their_box_gives_the_same(
    detector: LandmarkDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, rough = photo(), np.array([[100.0, 80.0, 220.0, 210.0]])
    monkeypatch.setattr(face_detector, "find_faces", lambda image: (rough, np.array([0.7])))
    (face,) = detector.detect(image)
    (first,) = detector.detect(image, rough)
    np.testing.assert_allclose(face.box, geometry.landmarks_box(first.landmarks))
    assert face.score == pytest.approx(0.7, rel=0.01), "of a face that is as typical as the first"
    (again,) = detector.detect(image, face.box[None])
    np.testing.assert_array_equal(face.landmarks, again.landmarks)


@pytest.mark.parametrize("box", ["dataset", "detector"])
def test_a_network_of_other_boxes_gets_the_detectors_moved_as_measured_and_predicts_once(
    model: Path, monkeypatch: pytest.MonkeyPatch, box: str
) -> None:
    detector = LandmarkDetector.load(model)
    relative = (0.1, 0.2, 0.8, 0.9)
    detector.info = replace(detector.info, box=box, box_in_haar=relative)
    image, haar = photo(), np.array([[90.0, 70.0, 220.0, 210.0]])
    rough = face_detector.landmark_boxes(haar)
    monkeypatch.setattr(face_detector, "find_faces", lambda image: (rough, np.array([0.7])))
    (face,) = detector.detect(image)
    moved = face_detector.landmark_boxes(haar, relative)
    np.testing.assert_allclose(face.box, moved[0])
    (given,) = detector.detect(image, face.box[None])
    np.testing.assert_array_equal(face.landmarks, given.landmarks)


# Where a network's boxes lie in a detector's: where the landmarks do, and elsewhere.
IN_HAAR = face_detector.LANDMARK_BOX
IN_YUNET = (0.1, 0.2, 0.8, 0.9)


@pytest.mark.parametrize(
    ("name", "measured", "expected"),
    [
        # The packaged constants serve where nothing was measured.
        ("yunet", {}, (0.0, 0.0, 1.0, 1.0)),
        ("yunet", {"box_in_haar": IN_HAAR}, (0.0, 0.0, 1.0, 1.0)),
        ("yunet", {"box_in_haar": IN_HAAR, "box_in_yunet": IN_YUNET}, IN_YUNET),
        ("haar", {"box_in_haar": IN_HAAR, "box_in_yunet": IN_YUNET}, (0.0, 0.0, 1.0, 1.0)),
        ("haar", {"box_in_yunet": IN_YUNET}, IN_YUNET),
    ],
)
def test_what_was_measured_for_the_detector_at_work_places_the_networks_boxes(
    detector: LandmarkDetector,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    measured: dict[str, tuple[float, ...]],
    expected: tuple[float, ...],
) -> None:
    unknown: dict[str, Any] = {"box_in_haar": None, "box_in_yunet": None}
    detector.info = replace(detector.info, box="detector", **unknown | measured)
    faked(detector, lambda roll: 0.995, monkeypatch)
    monkeypatch.setattr(FakeDetector, "name", name)
    (face,) = detector.detect(photo())
    x0, y0, x1, y1 = FakeDetector.box
    corner, extent = np.array([x0, y0] * 2), np.array([x1 - x0, y1 - y0] * 2)
    np.testing.assert_allclose(face.box, corner + expected * extent, atol=1e-6)


def test_a_networks_own_place_in_yunets_boxes_is_in_its_file(tmp_path: Path) -> None:
    shape = real_shapes(1)[0]
    path = constant_model(
        tmp_path / "with.onnx", shape, IBUG_68, box="dataset", box_in_yunet=IN_YUNET
    )
    info = LandmarkDetector.load(path).info
    assert info.box_in_yunet == IN_YUNET
    assert info.knows_detectors
    without = replace(info, box_in_yunet=None)
    assert "box_in_yunet" not in without.to_metadata(), "the bytes of files are those of before"
    assert not without.knows_detectors


@pytest.mark.parametrize("factor", [0.0, 0.3, 3.0, np.nan])
def test_a_first_prediction_that_went_wrong_does_not_move_the_box(
    detector: LandmarkDetector, factor: float
) -> None:
    box = np.array([[100.0, 80.0, 220.0, 210.0]])
    corners = np.resize([[100.0, 80.0], [220.0, 210.0]], (1, 68, 2)) * factor
    boxes, rolls = detector._refined(box, np.zeros(1), corners)
    np.testing.assert_array_equal(boxes, box)
    np.testing.assert_array_equal(rolls, 0)


@pytest.mark.parametrize("degrees", [-170, -40, 0, 20, 95])
def test_the_upright_box_of_tilted_landmarks_is_that_of_the_upright_ones(
    detector: LandmarkDetector, degrees: int
) -> None:
    upright = real_shapes(1)[0]
    angle = np.radians(degrees)
    box = geometry.landmarks_box(upright)
    centre = (box[:2] + box[2:]) / 2
    straight = detector._roll(upright)
    tilted = geometry.turned(upright - centre, angle) + centre
    # The first look is a rough one, up to 20 degrees off.
    boxes, rolls = detector._refined(box[None], np.array([angle - 0.3]), tilted[None])
    assert rolls[0] == pytest.approx(angle + straight)
    again = geometry.landmarks_box(geometry.turned(upright, -straight))
    np.testing.assert_allclose(boxes[0, 2:] - boxes[0, :2], again[2:] - again[:2])


def test_a_turned_box_sees_what_the_box_sees_in_the_image_turned_back(
    detector: LandmarkDetector,
) -> None:
    image, box = photo(), np.array([[100.0, 80.0, 220.0, 210.0]])
    (face,) = detector.detect(image, box, np.zeros(1))
    height, width = image.shape[:2]
    turned = np.ascontiguousarray(np.rot90(image, -1))  # clockwise
    middle, new_middle = (
        np.array([width - 1, height - 1]) / 2,
        np.array([height - 1, width - 1]) / 2,
    )
    centre = geometry.turned(np.array([160.0, 145.0]) - middle, np.pi / 2) + new_middle
    half = np.array([60.0, 65.0])
    boxes = np.concatenate([centre - half, centre + half])[None]
    (found,) = detector.detect(turned, boxes, np.array([90.0]))
    expected = geometry.turned(face.landmarks - middle, np.pi / 2) + new_middle
    np.testing.assert_allclose(found.landmarks, expected, atol=0.5)
    assert found.roll == 90


@pytest.mark.parametrize("rolls", [[1.0, 2.0], [np.nan], "much"])
def test_rolls_that_cannot_be_are_refused(detector: LandmarkDetector, rolls: object) -> None:
    with pytest.raises(ValueError, match=r"rolls must be \(1,\) finite degrees"):
        detector.detect(photo(), np.array([[100.0, 80.0, 220.0, 210.0]]), rolls)  # type: ignore[arg-type]


@pytest.mark.parametrize("degrees", [0, 45, 90, 160, 270])
def test_faces_of_any_tilt_are_found_and_their_landmarks_lie_right(
    shared: Path, degrees: int
) -> None:
    detector = LandmarkDetector.load(face_detector_model=shared / "peers" / FILE)
    given, found = [0.0], []
    for photo in train_photos(shared, every=4 * EVERY):
        image, (points,) = rotated(photo, degrees)
        size = np.linalg.norm(points[36] - points[45])
        errors = [
            np.linalg.norm(f.landmarks - points, axis=1).mean() for f in detector.detect(image)
        ]
        found.append(100 * min(errors, default=np.inf) / size)
        if degrees > 45:
            continue
        (face,) = detector.detect(image, geometry.landmarks_box(points)[None])
        given.append(100 * np.linalg.norm(face.landmarks - points, axis=1).mean() / size)
    # These faces were trained on: they say whether the tilt is known, not how good it is.
    assert len(found) > 10
    assert np.median(found) < 4.5
    assert (np.array(found) < 10).mean() > 0.9
    assert max(given) < 10


def test_prediction_imports_no_torch(model: Path, tmp_path: Path) -> None:
    code = """
import sys
import numpy as np
from landmark_kd.predict import LandmarkDetector
faces = LandmarkDetector.load(sys.argv[1]).detect(
    np.zeros((90, 90, 3), np.uint8), np.array([[10, 10, 60, 60]])
)
assert len(faces) == 1
import landmark_kd.cli
heavy = {"torch", "timm", "onnx", "pandas", "matplotlib", "pydantic", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    command = [sys.executable, "-c", code, str(model)]
    ended = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.seconds
def test_haar_finds_most_lfpw_train_faces_and_its_boxes_fit_the_landmarks(shared: Path) -> None:
    away = []
    for image, (points,) in train_photos(shared, EVERY):
        box = geometry.landmarks_box(points)
        boxes, scores = face_detector.find_faces(image)
        assert ((scores >= 0) & (scores <= 1)).all()
        assert (np.diff(scores) <= 0).all(), "the highest-scoring first"
        side = (box[2:] - box[:2]).max()
        away.append(np.abs(boxes - box).max(axis=1).min(initial=np.inf) / side)
    close = np.array(away) < 0.3
    assert close.mean() > 0.8
    assert np.median(np.array(away)[np.isfinite(away)]) < 0.12


def test_uncertainty_is_in_pixels_of_the_image(detector: LandmarkDetector) -> None:
    image, box = photo(), np.array([[100.0, 80.0, 220.0, 210.0]])
    (face,) = detector.detect(image, box)
    inputs, _ = detector.network_inputs(image, box)
    _, sigma = detector.run_network(inputs)
    assert face.uncertainty is not None
    assert sigma is not None
    np.testing.assert_allclose(face.uncertainty, sigma[0] * 130 * 1.25, rtol=1e-5)


def test_the_score_is_the_detectors_times_the_trust_in_the_face(
    detector: LandmarkDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.full((200, 200, 3), 90, np.uint8)
    box = np.array([[20.0, 20.0, 120.0, 120.0]])
    monkeypatch.setattr(uncertainty, "trust", lambda sigma, typical: np.full(len(sigma), 0.25))
    (given,) = detector.detect(image, box)
    assert given.score == 0.25
    monkeypatch.setattr(face_detector, "find_faces", lambda image: (box, np.array([0.5])))
    (found,) = detector.detect(image)
    assert found.score == 0.125


def test_files_that_say_no_uncertainty_are_read_all_the_same(tmp_path: Path) -> None:
    detector = LandmarkDetector.load(exported_model(tmp_path, uncertain=False))
    (face,) = detector.detect(np.zeros((80, 80, 3), np.uint8), np.array([[9.0, 9.0, 70.0, 70.0]]))
    assert face.uncertainty is None
    assert face.score == 1.0
    with pytest.raises(ValueError, match="the file says no sigma"):
        detector.info.region(0.9)


def test_regions_are_asked_for_by_the_share_they_cover(detector: LandmarkDetector) -> None:
    assert detector.info.regions is not None
    assert detector.info.region(0.9) == detector.info.regions[17]
    with pytest.raises(ValueError, match=r"level is 0\.33; it must be one of"):
        detector.info.region(0.33)


def test_a_batch_of_images_gives_what_each_gives_alone(detector: LandmarkDetector) -> None:
    images = [photo(), photo()[:230, :250], photo()]
    boxes = [
        np.array([[100.0, 80.0, 220.0, 210.0], [20.0, 30.0, 90.0, 110.0]]),
        np.empty((0, 4)),
        np.array([[60.0, 70.0, 160.0, 190.0]]),
    ]
    together = detector.detect_batch(images, boxes)
    assert [len(faces) for faces in together] == [2, 0, 1]
    for image, of_image, faces in zip(images, boxes, together, strict=True):
        for face, alone in zip(faces, detector.detect(image, of_image), strict=True):
            np.testing.assert_allclose(face.landmarks, alone.landmarks, atol=1e-3)
            np.testing.assert_array_equal(face.box, alone.box)
    assert detector.detect_batch([]) == []
    with pytest.raises(ValueError, match="3 images, 2 arrays of boxes"):
        detector.detect_batch(images, boxes[:2])


def test_faces_of_a_batch_go_through_the_network_in_one_run(
    detector: LandmarkDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        face_detector,
        "find_faces",
        lambda image: (np.array([[100.0, 80.0, 220.0, 210.0]]), np.array([0.9])),
    )
    runs: list[int] = []
    run = detector.run_network

    def counted(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        runs.append(len(inputs))
        return run(inputs)

    monkeypatch.setattr(detector, "run_network", counted)
    found = detector.detect_batch([photo()] * 3)
    assert [len(faces) for faces in found] == [1, 1, 1]
    assert runs == [3, 3], "once in the detector's boxes, once in the landmarks'"


def test_many_faces_are_looked_at_in_several_runs(
    detector: LandmarkDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = np.random.default_rng(0).uniform(0, 200, (7, 2))
    boxes = np.concatenate([starts, starts + 90], axis=1)
    expected = detector.detect(photo(), boxes)
    monkeypatch.setattr(network_of_files, "MOST_AT_ONCE", 3)
    found = detector.detect(photo(), boxes)
    assert len(found) == 7
    for face, same in zip(found, expected, strict=True):
        np.testing.assert_allclose(face.landmarks, same.landmarks, atol=1e-3)
        np.testing.assert_allclose(face.uncertainty, same.uncertainty, atol=1e-3)  # type: ignore[arg-type]
