"""Files that try to run something, or to read other files, are refused and do neither.

Here: arrays, weights, checkpoints, YAML, JSON and tables of the pipeline, images. Elsewhere:
network.json and headers of weights (test_network_files), records of checkpoints (test_checkpoints),
ONNX (test_poisoned_onnx, test_properties_models), files that name others, as HDF5 and ONNX can
(test_files_that_name_others), zip and tar (test_archives), notes of downloads (test_transfers),
points, WFLW lists, COFW, CSV and COCO as people write them (test_properties_readers, _own_sets).
"""

from __future__ import annotations

import json
import pickle
import struct
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from landmark_kd.config.params import load_params
from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.config import read_custom_config
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.fetching.catalogue import read_catalogue
from landmark_kd.faces.prepared import SAME_FILE, landmarks_file, load_faces
from landmark_kd.imaging.images import read_image
from landmark_kd.models.network import build_network, load_network, save_network
from landmark_kd.soft_landmarks.shape_model import ShapeModel
from landmark_kd.training.resume.checkpoints import Checkpoint, Checkpoints
from tests.support.poison import Payload, forged_safetensors, poisons, yaml_poisons
from tests.support.prepared_faces import prepared_faces, real_shapes
from tests.support.raw_custom import CONFIG, write_config, write_table

pytestmark = pytest.mark.seconds

KINDS = ["pickle", "npy of objects", "npz of objects", "torch", "old torch", "zip"]


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


def refused(read: Callable[[], object], *parts: str) -> None:
    with pytest.raises(UserError) as caught:
        read()
    sentence = str(caught.value)
    assert sentence.isprintable()
    assert len(sentence) < 1000
    for part in parts:
        assert part in sentence


def test_the_poison_works_where_it_is_loaded_carelessly(mark: Path, tmp_path: Path) -> None:
    contents = poisons(mark)
    assert list(contents) == KINDS
    path = tmp_path / "poison"

    def load_torch() -> None:
        torch.load(path, weights_only=False)

    careless: dict[str, Callable[[], Any]] = {
        "pickle": lambda: pickle.loads(path.read_bytes()),
        "npy of objects": lambda: np.load(path, allow_pickle=True),
        "npz of objects": lambda: np.load(path, allow_pickle=True)["mean"],
        "torch": load_torch,
        "old torch": load_torch,
    }
    for kind, load in careless.items():
        path.write_bytes(contents[kind])
        load()
        mark.rmdir()
    yaml.unsafe_load(yaml_poisons(mark)[0])
    assert mark.is_dir()


@pytest.mark.parametrize("kind", KINDS)
def test_no_array_of_the_pipeline_is_unpickled(tmp_path: Path, mark: Path, kind: str) -> None:
    faces = prepared_faces(tmp_path / "faces", 3, occluded=np.zeros((3, 68), bool))
    poison = poisons(mark)[kind]
    for name in ("images.npy", "landmarks.npy", "crop_to_image.npy", "occluded.npy"):
        path = tmp_path / "faces" / name
        good = path.read_bytes()
        path.write_bytes(poison)
        refused(lambda: load_faces(tmp_path / "faces"), f"{path} is damaged")
        path.write_bytes(good)
    for name in ("soft.npy", "tough.npy", "tolerant.npy"):
        path = tmp_path / name
        path.write_bytes(poison)
        refused(lambda path=path: landmarks_file(path, faces), f"{path} is damaged")  # type: ignore[misc]
    path = tmp_path / "shape_model.npz"
    path.write_bytes(poison)
    refused(lambda: ShapeModel.load(path), f"{path} holds no shape model")
    assert not mark.exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_coordinates_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    faces = prepared_faces(tmp_path / "faces", 3)
    for name in ("landmarks.npy", "crop_to_image.npy"):
        path = tmp_path / "faces" / name
        good = np.load(path, allow_pickle=False)
        (bad := good.copy())[1, 1, 1] = value
        np.save(path, bad)
        refused(lambda: load_faces(tmp_path / "faces"), f"{path} is damaged", "not finite")
        np.save(path, good)
    path = tmp_path / "faces" / "landmarks.npy"
    np.save(path, np.full_like(faces.landmarks, value))
    refused(lambda: load_faces(tmp_path / "faces"), f"{path} is damaged", "not finite")
    bad = faces.crop_landmarks()
    bad[2, 67, 0] = value
    for name in ("soft.npy", "tough.npy", "tolerant.npy"):
        np.save(tmp_path / name, bad)
        path = tmp_path / name
        refused(lambda path=path: landmarks_file(path, faces), f"{path} is damaged", "not finite")  # type: ignore[misc]


def test_a_shape_model_of_pickled_members_is_not_unpickled(tmp_path: Path, mark: Path) -> None:
    path = tmp_path / "shape_model.npz"
    ShapeModel.fit(real_shapes(20)).save(path)
    with np.load(path, allow_pickle=False) as stored:
        members: dict[str, Any] = dict(stored)
    for name in members:
        path.write_bytes(b"")
        (poisoned := dict(members))[name] = np.array([Payload(mark)], dtype=object)
        np.savez(path, allow_pickle=True, **poisoned)
        refused(lambda: ShapeModel.load(path), f"{path} holds no shape model")
    assert not mark.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_safetensors_whatever_the_file_is_called(
    tmp_path: Path, mark: Path, kind: str
) -> None:
    net = build_network("test_efficientnet", "pool", "random", "auto", points=68, size=32)
    save_network(net, tmp_path / "model")
    path = tmp_path / "model" / "weights.safetensors"
    path.write_bytes(poisons(mark)[kind])
    refused(lambda: load_network(tmp_path / "model"), f"{path} is not a whole safetensors file")
    refused(
        lambda: build_network("test_efficientnet", "pool", str(path), "auto", points=68, size=32),
        f"{path} is not a whole safetensors file",
    )
    assert not mark.exists()


@pytest.mark.parametrize("kind", [*KINDS, *range(len(forged_safetensors()))])
def test_a_checkpoint_of_another_kind_is_left_out(
    tmp_path: Path, mark: Path, kind: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its record and checksum are right."""
    content = poisons(mark)[kind] if isinstance(kind, str) else forged_safetensors()[kind]
    said: list[str] = []
    store = Checkpoints(tmp_path, "a" * 64, said.append)
    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save", lambda tensors: content)
        store.save(Checkpoint({}, {}, epoch=1, epochs=2))
    assert (tmp_path / "000001.safetensors").read_bytes() == content
    assert store.load() is None
    assert "is left out" in said[0]
    assert "not what was written" not in said[0]
    assert not mark.exists()


@pytest.mark.parametrize("number", range(6))
def test_yaml_makes_values_and_nothing_else(tmp_path: Path, mark: Path, number: int) -> None:
    text = yaml_poisons(mark)[number]
    path = tmp_path / "landmark-kd.yaml"
    path.write_text(text)
    for read in (load_params, read_catalogue, lambda path: read_custom_config(path.parent)):
        refused(lambda read=read: read(path), f"{path} is not valid YAML", "python/")  # type: ignore[misc]
    assert not mark.exists()


@pytest.mark.parametrize(
    "value",
    [
        *("[" * 3000, "{a: " * 3000, "9" * 5000, "0b_", '"\\ud83d"', "\0"),
        *("!!int x", "!!bool x", "!!float x", "!!binary x", "? [a]\n: b"),
    ],
)
def test_yaml_that_is_none_is_refused_in_one_sentence(tmp_path: Path, value: str) -> None:
    path = write_config(tmp_path)
    path.write_text(path.read_text().replace("licence: Mine, for anything.", f"licence: {value}"))
    assert value in path.read_text()
    refused(lambda: read_custom_config(tmp_path), str(path))
    refused(lambda: load_params(path), str(path))
    refused(lambda: read_catalogue(path), str(path))


@pytest.mark.parametrize("key", ["name", "licence", "annotations", "normalizer_name"])
def test_half_of_a_character_in_yaml_is_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "landmark-kd.yaml"
    content = yaml.safe_dump({name: value for name, value in CONFIG.items() if name != key})
    path.write_text(f'{content}{key}: "a\\ud83d"\n')
    refused(lambda: read_custom_config(tmp_path), str(path), "nicode")


def test_yaml_that_stands_for_more_than_there_is_memory_is_not_written_out(tmp_path: Path) -> None:
    laughs = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 30))
    content = yaml.safe_dump({**CONFIG, "licence": None}).replace("licence: null\n", "")
    text = f"l0: &l0 [ha]\n{laughs}\n{content}licence: *l29\n"
    (tmp_path / "landmark-kd.yaml").write_text(text)
    refused(lambda: read_custom_config(tmp_path), "licence is [[[[...], [...]", "30 more mistakes")


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a": ' * 100_000, "9" * 5000, '{"a": 1e'])
def test_json_that_is_none_is_refused_in_one_sentence(tmp_path: Path, content: str) -> None:
    prepared_faces(tmp_path / "faces", 2)
    path = tmp_path / "faces" / "info.json"
    path.write_text(content)
    refused(lambda: load_faces(tmp_path / "faces"), f"{path} is damaged")


@pytest.mark.parametrize(
    ("key", "odd"),
    [
        *product(["scheme"], [None, [], {}, {"names": 3}, {"flip": "a"}]),
        *product(["crop_size", "border"], [None, "64", 1.5, [1], -99]),
        *product(["box_in_haar", "box_in_yunet"], ["a", 3, {}]),
        *product(["published"], [None, [], "a"]),
        ("dataset", 7),
        ("margin", "0.25"),
        ("surplus", 1),
    ],
)
def test_odd_values_in_what_is_said_of_faces_are_refused(
    tmp_path: Path, key: str, odd: object
) -> None:
    prepared_faces(tmp_path / "faces", 2)
    path = tmp_path / "faces" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: odd}))
    refused(lambda: load_faces(tmp_path / "faces"), "is damaged")


@pytest.mark.parametrize(
    "content",
    [
        *([], None, {}, 3, {"folder": 3}, {"folder": None}, {"folder": ""}, {"folder": "."}),
        *({"folder": name} for name in ("..", "../other", "{other}", "a/b", "no-such", "a\0b")),
    ],
)
def test_faces_that_are_said_to_lie_elsewhere_lie_beside_or_nowhere(
    tmp_path: Path, content: Any
) -> None:
    """`same_as.json` may name a folder beside its own, and no other."""
    prepared_faces(tmp_path, 2)
    prepared_faces(tmp_path / "other", 2)
    prepared_faces(tmp_path / "faces/test", 2)
    folder = tmp_path / "faces/teacher_test"
    folder.mkdir()
    path = folder / SAME_FILE
    path.write_text(json.dumps(content).replace("{other}", str(tmp_path / "other")))
    refused(lambda: load_faces(folder), str(tmp_path / "faces"))
    path.write_text(json.dumps({"folder": "test"}))
    assert len(load_faces(folder)) == 2


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _bmp(width: int, height: int) -> bytes:
    head = struct.pack("<2sIHHI", b"BM", 154, 0, 0, 54)
    return (
        head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(100)
    )


@pytest.mark.parametrize("write", [_png, _bmp])
@pytest.mark.parametrize(
    ("width", "height"), [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (10**6, 1500), (0, 0)]
)
def test_an_image_that_says_it_is_larger_than_any_is_refused(
    tmp_path: Path, write: Callable[[int, int], bytes], width: int, height: int
) -> None:
    path = tmp_path / "image"
    path.write_bytes(write(width, height))
    refused(lambda: read_image(path), f"the image {path} does not decode")


def test_a_table_of_faces_is_data_only(tmp_path: Path, mark: Path) -> None:
    faces = prepared_faces(tmp_path / "faces", 2)
    texts = [f"=cmd|'mkdir {mark}'", f"__import__('os').mkdir('{mark}')"]
    faces.table.assign(name=texts, photo=texts).to_csv(tmp_path / "faces/faces.csv", index=False)
    assert load_faces(tmp_path / "faces").table["name"].tolist() == texts
    assert not mark.exists()


def test_a_table_with_an_endless_cell_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path, ["image,x0,y0", "a.png,1,2"])
    (tmp_path / "landmarks.csv").write_text("image,x0,y0\n" + "a" * 500_000)
    refused(lambda: read_custom_dataset(tmp_path), "landmarks.csv, line 2: is not a line of a .csv")
