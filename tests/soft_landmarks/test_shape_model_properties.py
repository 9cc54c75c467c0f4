"""Laws of soft-landmarks and of landmark schemes for any shapes and pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.config import read_custom_config
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.procrustes import Align
from landmark_kd.landmarks.scheme import LandmarkScheme, flip_of_pairs
from landmark_kd.soft_landmarks.shape_model import ShapeModel
from tests.support.prepared_faces import real_shapes
from tests.support.raw_custom import CONFIG
from tests.support.strategies import examples, seeds, shapes, similarities

pytestmark = pytest.mark.seconds

TRAIN = real_shapes(120, seed=5)
FITTED = {align: ShapeModel.fit(TRAIN, 1.0, align) for align in ("similarity", "none")}
ALIGNMENTS = st.sampled_from(["similarity", "none"])
LIMITS = st.floats(0.1, 5)
# Pixels; the faces are about 200 high.
NOISE = st.floats(0, 40)


def model_of(align: Align, variance: float, limit: float) -> ShapeModel:
    everything = FITTED[align]
    return ShapeModel(
        everything.mean,
        everything.modes,
        everything.variances,
        everything.all_variances,
        align,
        limit,
    ).explaining(variance)


def faces(seed: int, noise: float) -> np.ndarray:
    """Faces such as the model knows, with noise that it does not."""
    known = real_shapes(4, seed)
    return known + np.random.default_rng(seed).normal(0, noise, known.shape)


@examples(100)
@given(
    align=ALIGNMENTS,
    variance=st.floats(0.05, 1),
    limit=LIMITS,
    seed=seeds(),
    noise=NOISE,
)
def test_softening_twice_is_softening_once(
    align: Align, variance: float, limit: float, seed: int, noise: float
) -> None:
    model = model_of(align, variance, limit)
    once = model.soften(faces(seed, noise))
    np.testing.assert_allclose(model.soften(once), once, rtol=0, atol=1e-7)


@examples(100)
@given(
    variance=st.floats(0.05, 1),
    limit=LIMITS,
    seed=seeds(),
    noise=NOISE,
    pose=similarities((0.001, 1000.0), mirrored=False),
)
def test_softening_goes_with_any_similarity(
    variance: float, limit: float, seed: int, noise: float, pose: np.ndarray
) -> None:
    model = model_of("similarity", variance, limit)
    given_faces = faces(seed, noise)
    expected = geometry.apply(pose, model.soften(given_faces))
    found = model.soften(geometry.apply(pose, given_faces))
    scale = np.sqrt(np.linalg.det(pose[:, :2]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * (scale + 1))


@examples(100)
@given(
    align=ALIGNMENTS,
    variance=st.floats(0.05, 1),
    limit=LIMITS,
    seed=seeds(),
    pose=similarities((0.01, 100.0), mirrored=False),
)
def test_a_shape_of_the_model_stays_as_it_is(
    align: Align, variance: float, limit: float, seed: int, pose: np.ndarray
) -> None:
    model = model_of(align, variance, limit)
    weights = np.random.default_rng(seed).uniform(-limit, limit, len(model.modes))
    weights *= np.sqrt(model.variances)
    shape = (model.mean + np.tensordot(weights, model.modes, axes=1))[None]
    if align == "similarity":
        shape = geometry.apply(pose, shape)
    scale = np.abs(shape).max()
    np.testing.assert_allclose(model.soften(shape), shape, rtol=0, atol=1e-9 * (scale + 1))


@examples(60)
@given(
    align=ALIGNMENTS,
    variance=st.floats(0.05, 1),
    limit=LIMITS,
    seed=seeds(),
    noise=st.floats(0, 99),
)
def test_no_mode_of_a_soft_shape_is_beyond_its_limit(
    align: Align, variance: float, limit: float, seed: int, noise: float
) -> None:
    model = model_of(align, variance, limit)
    soft = model.soften(faces(seed, noise))
    if align == "similarity":
        # In the model's own pose: the mean is centred, of size 1 and as the shape is turned.
        z = soft[..., 0] + 1j * soft[..., 1]
        z -= z.mean(axis=1, keepdims=True)
        mean = model.mean[:, 0] + 1j * model.mean[:, 1]
        z /= (z @ mean.conj())[:, None]
        soft = np.stack([z.real, z.imag], axis=-1)
    weights = np.tensordot(soft - model.mean, model.modes, axes=([1, 2], [1, 2]))
    assert (np.abs(weights) <= limit * np.sqrt(model.variances) * (1 + 1e-6) + 1e-12).all()


def moved(model: ShapeModel, hard: np.ndarray) -> np.ndarray:
    """How far softening moves each face (N,), root of the sum of squares."""
    return np.linalg.norm(model.soften(hard) - hard, axis=(1, 2))


TWO = st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)).map(sorted)


@examples(60)
@given(align=ALIGNMENTS, variances=TWO, limit=LIMITS, seed=seeds(), noise=NOISE)
def test_a_model_of_more_variance_moves_no_face_further(
    align: Align, variances: list[float], limit: float, seed: int, noise: float
) -> None:
    few, many = (model_of(align, variance, limit) for variance in variances)
    assert len(few.modes) <= len(many.modes)
    assert few.explained <= many.explained + 1e-12
    hard = faces(seed, noise)
    assert (moved(many, hard) <= moved(few, hard) + 1e-7).all()


@examples(60)
@given(align=ALIGNMENTS, variance=st.floats(0.05, 1), limits=TWO, seed=seeds())
def test_a_wider_limit_moves_no_face_further(
    align: Align, variance: float, limits: list[float], seed: int
) -> None:
    hard = faces(seed, 20)
    narrow, wide = (moved(model_of(align, variance, 5 * limit), hard) for limit in limits)
    assert (wide <= narrow + 1e-7).all()


@examples(40)
@given(data=st.data(), count=st.integers(2, 12), points=st.integers(3, 10), align=ALIGNMENTS)
def test_shapes_that_differ_are_given_back_by_all_their_modes(
    data: st.DataObject, count: int, points: int, align: Align
) -> None:
    common = data.draw(shapes(1, points))
    drawn = common + 0.1 * np.ptp(common) * np.random.default_rng(0).normal(size=(count, points, 2))
    model = ShapeModel.fit(drawn, 1.0, align, limit=100.0)
    np.testing.assert_allclose(model.soften(drawn), drawn, rtol=0, atol=1e-6 * np.abs(drawn).max())


PAIRS = st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), max_size=8)


def _is_involution(points: int, pairs: list[tuple[int, int]]) -> bool:
    """Whether swapping each pair, in any order, is a permutation that is its own inverse."""
    named = [i for pair in pairs for i in pair]
    return len(set(named)) == len(named) and all(i < points for i in named)


@pytest.mark.seconds
@examples(150)
@given(points=st.integers(2, 12), pairs=PAIRS)
def test_flip_pairs_are_taken_where_they_are_an_involution_and_refused_elsewhere(
    folder: Path, points: int, pairs: list[tuple[int, int]]
) -> None:
    # A pair is its own mirror image, and so are two points of the middle line.
    middle = [i for i in range(points) if all(i not in pair for pair in pairs)]
    normalizer = list(pairs[0]) if pairs else middle[:2]
    if len(set(normalizer)) < 2 or max(normalizer) >= points:
        normalizer = [0, 1]
    content: dict[str, Any] = {
        **CONFIG,
        "points": points,
        "names": None,
        "flip_pairs": [list(pair) for pair in pairs],
        "normalizer": normalizer,
        "pupils": None,
        "contours": [],
    }
    (folder / "landmark-kd.yaml").write_text(yaml.safe_dump(content))
    if not _is_involution(points, pairs):
        with pytest.raises(UserError, match="flip_pairs"):
            read_custom_config(folder)
        return
    scheme = read_custom_config(folder).scheme()
    assert np.array_equal(scheme.flip[scheme.flip], np.arange(points))
    swapped = {i: j for a, b in pairs for i, j in ((a, b), (b, a))}
    assert scheme.flip.tolist() == [swapped.get(i, i) for i in range(points)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.mark.seconds
@examples(60)
@given(points=st.integers(2, 30), data=st.data())
def test_a_scheme_goes_through_json_and_comes_back(points: int, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(points)))
    count = data.draw(st.integers(0, points // 2))
    pairs = [(order[2 * i], order[2 * i + 1]) for i in range(count)]
    lines = data.draw(st.lists(st.lists(st.integers(0, points - 1), min_size=1), max_size=3))
    scheme = LandmarkScheme(
        names=tuple(f"p{i}" for i in range(points)),
        flip=flip_of_pairs(points, pairs),
        normalizer=(0, 1),
        normalizer_name="eyes",
        pupils=data.draw(st.sampled_from([None, ((0,), (1,))])),
        contours=tuple((tuple(line), data.draw(st.booleans())) for line in lines),
    )
    content = yaml.safe_load(yaml.safe_dump(_as_lists(scheme.to_json())))
    back = LandmarkScheme.from_json(content)
    assert _as_lists(back.to_json()) == _as_lists(scheme.to_json())
    assert back.contours == scheme.contours
    assert not back.flip.flags.writeable


def _as_lists(value: Any) -> Any:
    """What is left of a value after a way through JSON."""
    if isinstance(value, dict):
        return {key: _as_lists(item) for key, item in value.items()}
    return [_as_lists(item) for item in value] if isinstance(value, list | tuple) else value
