"""Networks: coordinates, heads, initial weights with their normalisation, files."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from landmark_kd.config.params import HeadName
from landmark_kd.core.errors import UserError
from landmark_kd.models.config import NORMALIZATIONS
from landmark_kd.models.network import (
    LandmarkNet,
    build_network,
    load_network,
    predict,
    predict_faces,
    save_network,
)
from tests.support.prepared_faces import prepared_faces

pytestmark = pytest.mark.seconds

TINY = "mobilenetv2_050"


def tiny(
    init: str = "random", normalization: str = "auto", head: HeadName = "integral"
) -> LandmarkNet:
    torch.manual_seed(0)
    return build_network(TINY, head, init, normalization, points=68, size=32).eval()


def crops(n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(("head", "told"), [("integral", 0), ("pool", 1)])
def test_a_network_gives_landmarks_and_starts_at_the_given_shape_or_the_centre(
    head: HeadName, told: int
) -> None:
    net = tiny(head=head)
    shape = np.random.default_rng(1).uniform(-0.4, 0.4, (68, 2))
    net.start_at(shape)
    found = predict(net, crops())
    assert found.shape == (3, 68, 2)
    assert np.abs(found - told * shape).max() < 0.1


def test_normalisation_is_that_of_the_configuration() -> None:
    images = torch.from_numpy(crops())
    found = tiny(normalization="imagenet").normalize(images)
    mean, std = (np.array(v) for v in NORMALIZATIONS["imagenet"])
    expected = ((crops() - mean) / std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)
    symmetric = tiny().normalize(images).numpy()
    np.testing.assert_allclose(symmetric, crops().transpose(0, 3, 1, 2) / 127.5 - 1, atol=1e-5)


def test_a_saved_network_predicts_the_same_to_the_last_bit(tmp_path: Path) -> None:
    net = tiny(normalization="imagenet")
    save_network(net, tmp_path / "net")
    again = load_network(tmp_path / "net")
    assert again.config == net.config
    np.testing.assert_array_equal(predict(again, crops()), predict(net, crops()))


def test_batches_do_not_change_predictions_beyond_rounding(tmp_path: Path) -> None:
    net = tiny()
    faces = prepared_faces(tmp_path, 7)
    whole = predict_faces(net, faces, batch_size=7)
    np.testing.assert_allclose(predict_faces(net, faces, batch_size=2), whole, atol=1e-5)
    some = predict_faces(net, faces, np.array([4, 1]))
    np.testing.assert_allclose(some, whole[[4, 1]], atol=1e-5)


def test_weights_are_taken_from_a_timm_file_with_the_normalisation_it_states(
    tmp_path: Path,
) -> None:
    source = tiny().backbone
    floats = {k: v for k, v in source.state_dict().items() if v.is_floating_point()}
    state = {name: value.contiguous() + 0.5 for name, value in floats.items()}
    state["classifier.weight"] = torch.zeros(2, 2)
    path = tmp_path / "timm.safetensors"
    safetensors.torch.save_file(state, path, metadata={"normalization": "imagenet"})
    net = tiny(str(path))
    assert (net.config.mean, net.config.std) == NORMALIZATIONS["imagenet"]
    for name, value in net.backbone.state_dict().items():
        if name in state:
            torch.testing.assert_close(value, state[name])


def test_our_own_weights_start_another_network_with_their_normalisation(tmp_path: Path) -> None:
    source = tiny(normalization="imagenet")
    save_network(source, tmp_path / "net")
    net = tiny(str(tmp_path / "net" / "weights.safetensors"))
    assert net.config.mean == source.config.mean
    for name, value in source.backbone.state_dict().items():
        torch.testing.assert_close(net.backbone.state_dict()[name], value)


@pytest.mark.parametrize("head", ["integral", "pool"])
def test_our_own_weights_bring_the_head_as_far_as_it_fits(head: HeadName, tmp_path: Path) -> None:
    source = tiny(head=head)
    with torch.no_grad():
        for parameter in source.head.parameters():
            parameter.add_(1)
    save_network(source, tmp_path / "net")
    weights = str(tmp_path / "net" / "weights.safetensors")
    start = np.zeros((68, 2))
    net = build_network(TINY, head, weights, "auto", points=68, size=32, start=start)
    for name, value in source.head.state_dict().items():
        torch.testing.assert_close(net.head.state_dict()[name], value, rtol=0, atol=0)
    other = build_network(TINY, head, weights, "auto", points=5, size=32)
    same = [
        n
        for n, v in source.head.state_dict().items()
        if other.head.state_dict()[n].shape == v.shape
    ]
    assert bool(same) is (head == "integral")
    for name in same:
        torch.testing.assert_close(other.head.state_dict()[name], source.head.state_dict()[name])


def test_a_file_that_does_not_say_its_normalisation_is_refused_until_it_is_set(
    tmp_path: Path,
) -> None:
    path = tmp_path / "timm.safetensors"
    state = {name: value.contiguous() for name, value in tiny().backbone.state_dict().items()}
    safetensors.torch.save_file(state, path)
    with pytest.raises(UserError, match="set normalization to symmetric or imagenet"):
        tiny(str(path))
    assert tiny(str(path), "symmetric").config.mean == NORMALIZATIONS["symmetric"][0]


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"conv_stem.weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="does not fit the backbone"):
        tiny(str(path), "symmetric")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    save_network(tiny(), tmp_path / "net")
    weights = tmp_path / "net" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(UserError, match="is not a whole safetensors file"):
        load_network(tmp_path / "net")


def test_pretrained_weights_that_cannot_be_downloaded_end_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import timm

    real = timm.create_model

    def offline(name: str, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        if pretrained:
            raise ConnectionError("no route to host")
        return real(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UserError, match=r"could not be downloaded.*no route to host"):
        tiny("pretrained")


def test_pretrained_weights_bring_timms_own_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    real = timm.create_model

    def cached(name: str, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        return real(name, **options)

    monkeypatch.setattr(timm, "create_model", cached)
    net = tiny("pretrained")
    assert net.config.mean == pytest.approx(NORMALIZATIONS["imagenet"][0])
    assert net.config.std == pytest.approx(NORMALIZATIONS["imagenet"][1])


def test_a_backbone_without_feature_maps_is_refused() -> None:
    with pytest.raises(UserError, match="feature maps"):
        build_network("vit_tiny_patch16_224", "pool", "random", "auto", points=68, size=224)


def test_a_full_disk_while_weights_are_written_leaves_the_old_ones_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_network(tiny(), tmp_path / "net")
    before = {p.name: p.read_bytes() for p in (tmp_path / "net").iterdir()}

    def full(self: Path, data: bytes) -> int:
        self.open("wb").write(data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_network(tiny(head="pool"), tmp_path / "net")
    assert {p.name: p.read_bytes() for p in (tmp_path / "net").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


def test_the_imagenet_stand_in_fits_mobilenetv2(shared: Path) -> None:
    path = shared / "weights" / "mobilenetv2_100_imagenet.safetensors"
    net = build_network("mobilenetv2_100", "pool", str(path), "symmetric", points=68, size=64)
    expected = safetensors.torch.load_file(path)["conv_stem.weight"]
    torch.testing.assert_close(net.backbone.state_dict()["conv_stem.weight"], expected)


def test_a_network_that_averages_mirror_images_gives_mirrored_landmarks_for_a_mirrored_face() -> (
    None
):
    flip = np.arange(68)[::-1].tolist()
    torch.manual_seed(0)
    net = build_network(TINY, "integral", "random", "auto", points=68, size=32, flip=flip).eval()
    straight = predict(net, crops())
    mirrored = predict(net, crops()[:, :, ::-1])
    np.testing.assert_allclose(mirrored[:, flip] * [-1, 1], straight, atol=1e-6)
    with torch.no_grad():
        # Trained it is as a single look, so that an epoch costs no more.
        inputs = net.normalize(torch.from_numpy(crops()))
        single = LandmarkNet(net.config.model_copy(update={"flip": None}))
        single.load_state_dict(net.state_dict())
        looks = [single.eval()(images) for images in (inputs, inputs.flip(3))]
    expected = (looks[0].numpy() + looks[1].numpy()[:, flip] * [-1, 1]) / 2
    np.testing.assert_allclose(straight, expected, atol=1e-6)


def test_pretrained_weights_that_timm_does_not_have_are_refused_with_the_backbone() -> None:
    with pytest.raises(UserError, match="timm has no weights for backbone 'botnet50ts_256'; take"):
        build_network("botnet50ts_256", "pool", "pretrained", "auto", points=68, size=64)
