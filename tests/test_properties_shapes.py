"""Laws of soft-landmarks and of landmark schemes for any shapes and pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from landmark_kd import geometry
from landmark_kd.asm import Align, ShapeModel
from landmark_kd.errors import UserError
from landmark_kd.own_config import read_own_config
from landmark_kd.topology import Topology, flip_of_pairs
from tests.prepared_faces import real_shapes
from tests.raw_own import CONFIG
from tests.strategies import examples, seeds, shapes, similarities

TRAIN = real_shapes(120, seed=5)
FITTED = {align: ShapeModel.fit(TRAIN, 1.0, align) for align in ("similarity", "none")}
ALIGNMENTS = st.sampled_from(["similarity", "none"])
LIMITS = st.floats(0.1, 5)


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
    align=ALIGNMENTS, variance=st.floats(0.05, 1), limit=LIMITS, seed=seeds(), noise=st.floats(0, 40)
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
    noise=st.floats(0, 40),
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
    one=st.floats(0.05, 1),
    other=st.floats(0.05, 1),
    limit=LIMITS,
    seed=seeds(),
    noise=st.floats(0, 40),
)
def test_a_model_of_more_variance_moves_no_face_further(
    align: Align, one: float, other: float, limit: float, seed: int, noise: float
) -> None:
    few, many = (model_of(align, variance, limit) for variance in sorted((one, other)))
    assert len(few.modes) <= len(many.modes)
    assert few.explained <= many.explained + 1e-12
    hard = faces(seed, noise)

    def moved(model: ShapeModel) -> np.ndarray:
        return np.linalg.norm((model.soften(hard) - hard).reshape(len(hard), -1), axis=1)

    assert (moved(many) <= moved(few) + 1e-7).all()


@examples(60)
@given(
    align=ALIGNMENTS,
    variance=st.floats(0.05, 1),
    low=LIMITS,
    high=LIMITS,
    seed=seeds(),
    noise=st.floats(0, 40),
)
def test_a_wider_limit_moves_no_face_further(
    align: Align, variance: float, low: float, high: float, seed: int, noise: float
) -> None:
    hard = faces(seed, noise)
    narrow, wide = (
        np.linalg.norm((model_of(align, variance, limit).soften(hard) - hard), axis=(1, 2))
        for limit in sorted((low, high))
    )
    assert (wide <= narrow + 1e-7).all()


@examples(40)
@given(data=st.data(), count=st.integers(2, 12), points=st.integers(2, 10), align=ALIGNMENTS)
def test_any_shapes_that_differ_are_fitted_and_given_back_by_all_modes(
    data: st.DataObject, count: int, points: int, align: Align
) -> None:
    given_shapes = data.draw(shapes(count, points))
    try:
        model = ShapeModel.fit(given_shapes, 1.0, align, limit=100.0)
        soft = model.soften(given_shapes)
    except ValueError as error:
        # Two points have no shape beside their pose, and a few faces may have nothing in common.
        assert align == "similarity"
        assert "do not differ" in str(error) or "nothing in common" in str(error)
        return
    scale = np.abs(given_shapes).max()
    # Of wild shapes some lie across the mean; their pose, and all that follows, loses digits.
    assume(align == "none" or np.isfinite(soft).all())
    np.testing.assert_allclose(soft, given_shapes, rtol=0, atol=1e-4 * scale)


PAIRS = st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), max_size=8)


def _is_involution(points: int, pairs: list[tuple[int, int]]) -> bool:
    """Whether swapping each pair, in any order, is a permutation that is its own inverse."""
    named = [i for pair in pairs for i in pair]
    return len(set(named)) == len(named) and all(i < points for i in named)


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
            read_own_config(folder)
        return
    topology = read_own_config(folder).topology()
    assert np.array_equal(topology.flip[topology.flip], np.arange(points))
    swapped = {i: j for a, b in pairs for i, j in ((a, b), (b, a))}
    assert topology.flip.tolist() == [swapped.get(i, i) for i in range(points)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@examples(60)
@given(points=st.integers(2, 30), data=st.data())
def test_a_scheme_goes_through_json_and_comes_back(points: int, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(points)))
    count = data.draw(st.integers(0, points // 2))
    pairs = [(order[2 * i], order[2 * i + 1]) for i in range(count)]
    lines = data.draw(st.lists(st.lists(st.integers(0, points - 1), min_size=1), max_size=3))
    topology = Topology(
        names=tuple(f"p{i}" for i in range(points)),
        flip=flip_of_pairs(points, pairs),
        normalizer=(0, 1),
        normalizer_name="eyes",
        pupils=data.draw(st.sampled_from([None, ((0,), (1,))])),
        contours=tuple((tuple(line), data.draw(st.booleans())) for line in lines),
    )
    content = yaml.safe_load(yaml.safe_dump(_as_lists(topology.to_json())))
    back = Topology.from_json(content)
    assert _as_lists(back.to_json()) == _as_lists(topology.to_json())
    assert back.contours == topology.contours
    assert not back.flip.flags.writeable


def _as_lists(value: Any) -> Any:
    """What is left of a value after a way through JSON."""
    if isinstance(value, dict):
        return {key: _as_lists(item) for key, item in value.items()}
    return [_as_lists(item) for item in value] if isinstance(value, list | tuple) else value
