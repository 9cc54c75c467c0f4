"""An exported network that says odd things of itself is refused before it predicts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmark_kd.core.errors import UserError
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.metadata import ModelInfo
from landmark_kd.landmarks.scheme import IBUG_68
from tests.support.constant_model import SIZE, constant_model
from tests.support.prepared_faces import real_shapes
from tests.support.strategies import examples

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    box = (0.0, 0.0, 1.0, 1.0)
    return constant_model(folder / "landmarks.onnx", real_shapes(1)[0], IBUG_68, box_in_yunet=box)


def metadata_of(model: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(model).metadata_props}


def changed(model: Path, key: str, text: str) -> Path:
    """Write the network with another text in its metadata."""
    content = onnx.load(model)
    for entry in content.metadata_props:
        if entry.key == key:
            entry.value = text
    path = model.with_name("changed.onnx")
    path.write_bytes(content.SerializeToString())
    return path


def test_the_network_as_it_was_written_is_taken(model: Path) -> None:
    path = changed(model, "dataset", "another")
    assert LandmarkDetector.load(path).info.dataset == "another"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("input_size", "64"),
        ("input_size", "1000000"),
        ("input_size", "true"),
        ("points", "67"),
        ("points", "[68]"),
        ("mean", "[" * 100_000),
        ("mean", f"[1, 2, {'9' * 400}]"),
        ("mean", f"[1, 2, {'9' * 5000}]"),
        ("mean", "[1, 2, NaN]"),
        ("std", "[1, 2, Infinity]"),
        ("std", "[0, 1, 1]"),
        ("margin", "1e308"),
        ("box_in_haar", "[1, 1, 0, 0]"),
        ("box_in_yunet", "[1, 1, 0, 0]"),
        ("point_names", json.dumps([1] * 68)),
        ("flip", json.dumps([float(i) for i in range(68)])),
        ("flip", json.dumps([0] * 68)),
        ("contours", "[[[0.5], true]]"),
        ("contours", "[[[68], true]]"),
        ("contours", "[[1]]"),
    ],
)
def test_odd_metadata_is_refused_in_one_sentence(model: Path, key: str, text: str) -> None:
    path = changed(model, key, text)
    with pytest.raises(UserError, match="metadata") as caught:
        LandmarkDetector.load(path)
    assert str(path) in str(caught.value)


def test_a_network_of_fewer_points_than_its_metadata_says_is_refused(model: Path) -> None:
    # 29 points that fit together, but none of this network.
    path = model.with_name("fewer.onnx")
    constant_model(
        path,
        real_shapes(1)[0],
        IBUG_68,
        points=29,
        point_names=tuple("abcdefghijklmnopqrstuvwxyzABC"),
        flip=tuple(range(29)),
        contours=(),
    )
    with pytest.raises(UserError, match=r"landmarks should be of shape \(N, 29, 2\)"):
        LandmarkDetector.load(path)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["landmarks", "RGB", 68, SIZE]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@pytest.mark.seconds
@examples(150)
@given(data=st.data())
def test_whatever_the_metadata_is_it_is_refused_or_leads_to_landmarks(
    model: Path, data: st.DataObject
) -> None:
    metadata = metadata_of(model)
    for key in data.draw(st.lists(st.sampled_from(sorted(metadata)), min_size=1, max_size=3)):
        metadata[key] = data.draw(VALUES.map(json.dumps) | st.text(max_size=10))
    try:
        info = ModelInfo.from_metadata(metadata)
    except ValueError:
        return
    path = model
    for key, text in metadata.items():
        path = changed(path, key, text)
    try:
        detector = LandmarkDetector.load(path)
    except UserError:
        return
    assert detector.info == info
    (face,) = detector.detect(np.zeros((50, 60, 3), np.uint8), np.array([[5.0, 5, 40, 40]]))
    assert np.isfinite(face.landmarks).all()
