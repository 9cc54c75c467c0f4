"""A network's files are refused in a sentence, before anything is built or downloaded."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from landmark_kd.config.params import CropParams, HeadName
from landmark_kd.core.errors import UserError
from landmark_kd.models.config import LARGEST_POINTS
from landmark_kd.models.heads import HEADS
from landmark_kd.models.network import (
    LandmarkNet,
    build_network,
    load_network,
    predict,
    save_network,
)
from tests.support.poison import forged_safetensors
from tests.support.strategies import damaged, examples

pytestmark = pytest.mark.seconds

BACKBONE = "test_efficientnet"
SIZE = 32
# Names that make timm download from a hub, or read a folder's own description of a network.
ELSEWHERE = [
    "hf_hub:timm/resnet18.a1_in1k",
    "hf-hub:timm/resnet18.a1_in1k",
    "HF-HUB:timm/test_efficientnet",
    "local-dir:{folder}",
    "local-dir:{folder}/test_efficientnet",
    "timm/resnet18",
    "{folder}",
    "../test_efficientnet",
    "test_efficientnet.a/b",
    "test_efficientnet.a:b",
    "resnet18.no_such_weights",
    "resnet18.",
    "https://example.org/a",
    "Test_EfficientNet",
    "",
    "\x1b[2J",
    "test_efficientnet\n",
    "a" * 100_000,
]


@pytest.fixture(scope="module", autouse=True)
def no_network() -> Iterator[None]:
    """Whatever tries to reach another computer fails these tests."""

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError(f"a connection was tried: {arguments}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("saved") / "net"
    save_network(build_network(BACKBONE, "pool", "random", "auto", points=68, size=SIZE), folder)
    return folder


@pytest.mark.parametrize("head", HEADS)
def test_a_network_of_each_head_is_loaded_as_it_was_saved(head: HeadName, tmp_path: Path) -> None:
    net = build_network(BACKBONE, head, "random", "imagenet", points=68, size=64)
    save_network(net, tmp_path / "net")
    again = load_network(tmp_path / "net")
    assert again.config == net.config
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(predict(again, images), predict(net.eval(), images))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "net"))


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_network(folder)
    sentence = str(caught.value)
    assert sentence.isprintable()
    assert len(sentence) <= 1000
    return sentence


def change(folder: Path, **values: Any) -> Path:
    path = folder / "network.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return path


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_backbone_that_is_not_timms_own_is_refused_and_nothing_is_fetched(
    folder: Path, name: str
) -> None:
    # What timm would read for local-dir.
    (folder / "config.json").write_text(json.dumps({"architecture": BACKBONE}))
    path = change(folder, backbone=name.format(folder=folder))
    sentence = refused(folder)
    assert f"{path}: backbone" in sentence
    assert "run `dvc checkout`" in sentence


@pytest.mark.parametrize(
    ("key", "odd"),
    [
        *product(["backbone"], [None, 3, ["resnet18"], {"a": 1}, True]),
        *product(["head"], ["heatmap", "", None, 0, ["pool"]]),
        *product(["points"], [0, -68, 68.5, 68.0, "68", True, None, [68], 10**12]),
        *product(["size"], [0, -1, 8, 10**6, 10**40, 32.0, "32", False, None]),
        *product(["mean"], [None, 3, [], [1, 2], [1, 2, 3, 4], ["1", "2", "3"], "abc"]),
        *product(["mean"], [[1, 2, float("nan")], [1, 2, 1e308], [[1], [2], [3]], {}]),
        *product(["std"], [[1, 1, 0], [-1, 1, 1], [1, 1, float("inf")], [1e-300, 1, 1]]),
        *product(["init"], [None, 3, ["random"]]),
        *product(["flip"], ["a", 3, [], [0] * 68, [0.5] * 68, {}, [[0]], list(range(1, 69))]),
        ("surplus", 1),
    ],
)
def test_odd_values_in_network_json_are_named(folder: Path, key: str, odd: Any) -> None:
    path = change(folder, **{key: odd})
    sentence = refused(folder)
    assert sentence.startswith(f"{path}: {key}")
    assert sentence.endswith("run `dvc checkout` or `dvc repro -f` to restore it.")


@pytest.mark.parametrize(
    "key", ["backbone", "head", "points", "size", "mean", "std", "init", "flip"]
)
def test_a_missing_value_in_network_json_is_named(folder: Path, key: str) -> None:
    path = folder / "network.json"
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))
    assert refused(folder).startswith(f"{path}: {key} is missing")


@pytest.mark.parametrize("content", ["[]", "3", '"a"', "null", "[" * 100_000, '{"a":' * 100_000])
@pytest.mark.parametrize("rest", ["", "\0", "\ud83d"])
def test_network_json_that_is_no_object_is_refused(folder: Path, content: str, rest: str) -> None:
    path = folder / "network.json"
    path.write_bytes((content + rest).encode("utf-8", "surrogatepass"))
    assert str(path) in refused(folder)


@pytest.mark.parametrize("key", ["backbone", "head"])
def test_half_of_a_character_in_network_json_is_refused(folder: Path, key: str) -> None:
    path = change(folder, **{key: "\ud83d"})
    assert str(path) in refused(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    for name in ("weights.safetensors", "network.json"):
        (folder / name).unlink()
        assert f"{folder / name} is missing" in refused(folder)


@pytest.mark.seconds
@pytest.mark.parametrize(
    "changes",
    [
        {"points": 29},
        {"backbone": "resnet18"},
        # 20 GB of weights, and a last layer of 25 million numbers.
        {"backbone": "vit_giant_patch14_224", "size": 224},
        {"backbone": "eva_giant_patch14_560", "size": 560},
        {"points": LARGEST_POINTS},
    ],
)
def test_weights_of_another_network_are_refused_before_it_is_built(
    folder: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(folder, **changes)
    devices = []

    def built(self: LandmarkNet, *arguments: Any) -> None:
        devices.append(torch.get_default_device().type)
        build(self, *arguments)

    build = LandmarkNet.__init__
    monkeypatch.setattr(LandmarkNet, "__init__", built)
    sentence = refused(folder)
    assert str(folder) in sentence
    assert devices == ["meta"]


def test_a_network_that_cannot_be_built_is_refused_with_its_file(folder: Path) -> None:
    change(folder, backbone="efficientvit_b0")
    sentence = refused(folder)
    assert f"{folder / 'network.json'}: the backbone efficientvit_b0 cannot be built" in sentence
    assert "Cannot disable pooling" in sentence
    change(folder, backbone="vit_tiny_patch16_224")
    assert "cannot be built for crops of 32 pixels" in refused(folder)


def test_params_that_ask_for_a_network_that_cannot_be_built_end_in_the_same_sentence() -> None:
    with pytest.raises(UserError, match="crossvit_9_240 cannot be built for crops of 64 pixels"):
        build_network("crossvit_9_240", "pool", "random", "auto", points=68, size=64)


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return dict(safetensors.torch.load_file(folder / "weights.safetensors"))


def write_tensors(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    safetensors.torch.save_file(tensors, folder / "weights.safetensors")


def test_weights_of_other_names_shapes_or_types_are_refused(folder: Path) -> None:
    good = tensors_of(folder)
    name = next(n for n, value in good.items() if value.ndim == 4)
    less = {n: value for n, value in good.items() if n != name}
    for tensors, counts in [
        (less, "1 tensors are missing, 0 are of no use and 0 have another"),
        ({**good, "more": torch.zeros(1)}, "0 tensors are missing, 1 are of no use and 0 have"),
        ({**good, name: good[name][:, :, :1].contiguous()}, "and 1 have another shape or type"),
        ({**good, name: good[name].half()}, "and 1 have another shape or type"),
        ({}, "0 are of no use and 0 have another"),
    ]:
        write_tensors(folder, tensors)
        sentence = refused(folder)
        assert counts in sentence
        assert "network.json beside it" in sentence


@pytest.mark.parametrize("kind", [torch.complex64, torch.float8_e4m3fn])
def test_weights_of_a_type_that_no_network_has_are_refused(folder: Path, kind: torch.dtype) -> None:
    tensors = tensors_of(folder)
    name = next(iter(tensors))
    write_tensors(folder, {**tensors, name: tensors[name].to(kind)})
    assert f"{name} is {kind}, but weights are real numbers of 16 to 64 bits" in refused(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder: Path, value: float) -> None:
    tensors = tensors_of(folder)
    name = next(n for n, tensor in tensors.items() if tensor.ndim == 4)
    tensors[name].view(-1)[-1] = value
    write_tensors(folder, tensors)
    assert f"{name} has numbers that are not finite" in refused(folder)
    path = str(folder / "weights.safetensors")
    with pytest.raises(UserError, match="numbers that are not finite"):
        build_network(BACKBONE, "pool", path, "auto", points=68, size=SIZE)


@pytest.mark.parametrize("content", forged_safetensors())
def test_a_forged_header_of_weights_is_refused(folder: Path, content: bytes) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(content)
    assert str(path) in refused(folder)
    other = folder / "other.safetensors"
    other.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(other))):
        build_network(BACKBONE, "pool", str(other), "symmetric", points=68, size=SIZE)


@pytest.mark.parametrize("metadata", [{}, {"normalization": "other"}, {"normalization": ""}])
def test_metadata_that_names_no_normalisation_of_ours_says_nothing(
    folder: Path, metadata: dict[str, str]
) -> None:
    path = folder / "other.safetensors"
    safetensors.torch.save_file(tensors_of(folder), path, metadata=metadata)
    with pytest.raises(UserError, match="set normalization to symmetric or imagenet"):
        build_network(BACKBONE, "pool", str(path), "auto", points=68, size=SIZE)


@pytest.mark.parametrize(
    "content", ["[]", "{}", "[" * 100_000, '{"mean": [0, 0, 0], "std": [1, 1, 1]}', "\0"]
)
def test_an_odd_network_json_beside_initial_weights_is_refused(folder: Path, content: str) -> None:
    path = folder / "network.json"
    path.write_text(content)
    with pytest.raises(UserError, match=re.escape(str(path))):
        build_network(
            BACKBONE, "pool", str(folder / "weights.safetensors"), "auto", points=68, size=SIZE
        )


@pytest.mark.parametrize("key", ["mean", "std"])
def test_odd_statistics_beside_initial_weights_are_refused(folder: Path, key: str) -> None:
    path = change(folder, **{key: [0, float("nan"), "a"]})
    with pytest.raises(UserError, match=rf"{re.escape(str(path))}: {key}"):
        build_network(
            BACKBONE, "pool", str(folder / "weights.safetensors"), "auto", points=68, size=SIZE
        )


@pytest.mark.seconds
def test_the_largest_crop_that_params_allow_can_be_loaded(tmp_path: Path) -> None:
    largest = CropParams.model_fields["resolution"].metadata[-1].le
    net = build_network(BACKBONE, "pool", "random", "auto", points=1, size=largest)
    save_network(net, tmp_path / "net")
    assert load_network(tmp_path / "net").config == net.config


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([BACKBONE, "pool", 68, SIZE, "random", [0.5] * 3, "hf-hub:a/b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def loads_or_is_refused(folder: Path) -> None:
    try:
        net = load_network(folder)
    except UserError:
        assert str(folder) in refused(folder)
        return
    images = np.zeros((2, net.config.size, net.config.size, 3), np.uint8)
    assert predict(net, images).shape == (2, net.config.points, 2)


@pytest.mark.seconds
@examples(60)
@given(data=st.data())
def test_whatever_values_network_json_has_it_is_refused_or_predicts(
    saved: Path, data: st.DataObject
) -> None:
    path = saved / "network.json"
    good = path.read_text()
    content = json.loads(good)
    for key in data.draw(st.lists(st.sampled_from([*content, "more"]), min_size=1, max_size=3)):
        content[key] = data.draw(VALUES)
    path.write_text(json.dumps(content))
    try:
        loads_or_is_refused(saved)
    finally:
        path.write_text(good)


@pytest.mark.seconds
@pytest.mark.parametrize("name", ["network.json", "weights.safetensors"])
@examples(60)
@given(data=st.data())
def test_a_damaged_file_of_a_network_is_refused_or_predicts(
    saved: Path, name: str, data: st.DataObject
) -> None:
    path = saved / name
    good = path.read_bytes()
    path.write_bytes(data.draw(damaged(good)))
    try:
        loads_or_is_refused(saved)
    finally:
        path.write_bytes(good)
