"""A trained network's word on its own errors: fitted without a change of its landmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks import uncertainty
from landmark_kd.models.network import LandmarkNet, predict_faces, predict_faces_with_sigma
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.uncertainty import fit_uncertainty
from tests.support.exported_model import tiny_faces, tiny_network
from tests.support.tiny_training import tiny_params

pytestmark = pytest.mark.seconds

# The second half of the landmarks is this many times as far off as the first.
WORSE = 5.0


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return tiny_faces(tmp_path_factory.mktemp("faces"), 60, validation=30)


def still(faces: Faces) -> Augmenter:
    """An augmenter that leaves crops as they are."""
    changes = dict.fromkeys(("rotation", "shift", "flip", "color_jitter", "blur"), 0.0)
    same = {"scale_min": 1.0, "scale_max": 1.0, "random_erasing": 0.0}
    params = tiny_params().augment.model_copy(update=changes | same)
    return Augmenter(params, faces.info.crop_size, faces.info.border, faces.info.scheme.flip)


def fitted(faces: Faces, *, hidden: int | None = None) -> tuple[LandmarkNet, np.ndarray]:
    """Return a network fitted to errors of a known size, and these landmarks."""
    net = tiny_network()
    rng = np.random.default_rng(0)
    scale = np.where(np.arange(68) < 34, 0.01, 0.01 * WORSE)[:, None]
    truth = predict_faces(net, faces) + scale * rng.standard_normal((len(faces), 68, 2))
    if hidden is not None:
        truth[:, hidden] = np.nan
    fit_uncertainty(net, faces, truth, still(faces), seed=1)
    return net, truth


def test_sigma_is_the_size_of_the_errors_landmark_by_landmark(faces: Faces) -> None:
    net, truth = fitted(faces)
    points, sigma = predict_faces_with_sigma(net, faces, faces.validation_rows())
    halves = np.median(sigma[:, :34]), np.median(sigma[:, 34:])
    assert halves[0] == pytest.approx(0.01, rel=0.2)
    assert halves[1] / halves[0] == pytest.approx(WORSE, rel=0.2)
    errors = np.linalg.norm(points - truth[faces.validation_rows()], axis=-1)
    covered = uncertainty.coverage(errors, sigma, net.uncertainty.regions.numpy())
    np.testing.assert_allclose(covered, uncertainty.LEVELS, atol=0.005)


def test_landmarks_and_weights_stay_as_they_are(faces: Faces) -> None:
    before, (net, _) = tiny_network(), fitted(faces)
    np.testing.assert_array_equal(predict_faces(net, faces), predict_faces(before, faces))
    changed = [
        name
        for name, value in net.state_dict().items()
        if not torch.equal(value, before.state_dict()[name])
    ]
    assert {name.split(".")[0] for name in changed} == {"uncertainty"}


def test_the_same_faces_give_the_same_bits(faces: Faces) -> None:
    first, second = (fitted(faces)[0].uncertainty.state_dict() for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_landmark_that_no_face_has_gets_a_finite_sigma(faces: Faces) -> None:
    net, _ = fitted(faces, hidden=3)
    _, sigma = predict_faces_with_sigma(net, faces)
    assert np.isfinite(sigma).all()
    assert 0.01 < np.median(sigma[:, 3]) < 0.01 * WORSE


def test_a_network_that_was_not_fitted_says_so(tmp_path: Path) -> None:
    assert not tiny_network(uncertain=False).uncertainty.fitted
