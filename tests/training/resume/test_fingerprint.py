"""A checkpoint belongs to parameters, inputs and code: whatever changes them changes the hash."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from landmark_kd.core.files import file_hash
from landmark_kd.faces.prepared import Faces
from landmark_kd.training.resume import fingerprint as module
from landmark_kd.training.resume.fingerprint import fingerprint
from tests.support.prepared_faces import prepared_faces

CPU = torch.device("cpu")


@pytest.fixture
def faces(tmp_path: Path) -> Faces:
    return prepared_faces(tmp_path, 5, validation=1)


def of(
    faces: Faces,
    *,
    settings: dict[str, Any] | None = None,
    targets: np.ndarray | None = None,
    weights: dict[str, Tensor] | None = None,
) -> str:
    return fingerprint(
        settings or {"learning_rate": 0.1},
        faces,
        faces.crop_landmarks() if targets is None else targets,
        weights or {"a": torch.zeros(2), "steps": torch.tensor(0)},
        CPU,
    )


def test_the_same_training_has_the_same_hash_wherever_its_files_lie(
    faces: Faces, tmp_path: Path
) -> None:
    again = prepared_faces(tmp_path / "again", 5, validation=1)
    assert of(faces) == of(again) == of(replace(faces, images=np.array(faces.images)))


def test_every_change_of_settings_faces_targets_or_weights_changes_it(faces: Faces) -> None:
    images = np.array(faces.images)
    images[-1, -1, -1, -1] ^= 1
    table = faces.table.assign(validation=False)
    moved = np.nextafter(faces.landmarks, np.inf)
    hashes = [
        of(faces),
        of(faces, settings={"learning_rate": 0.2}),
        of(faces, settings={"weight_decay": 0.1}),
        of(faces, targets=np.nextafter(faces.crop_landmarks(), np.inf)),
        of(faces, weights={"a": torch.ones(2), "steps": torch.tensor(0)}),
        of(faces, weights={"a": torch.zeros(2), "steps": torch.tensor(1)}),
        of(replace(faces, images=images)),
        of(replace(faces, table=table)),
        of(replace(faces, landmarks=moved), targets=faces.crop_landmarks()),
    ]
    assert len(set(hashes)) == len(hashes)


def test_an_image_is_found_changed_behind_the_first_chunk_too(
    faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of(faces)
    monkeypatch.setattr(module, "_CHUNK", faces.images[:1].nbytes * 2)
    assert of(faces) == before
    images = np.array(faces.images)
    images[3, 0, 0, 0] ^= 1
    assert of(replace(faces, images=images)) != before


@pytest.mark.parametrize("name", ["landmark_kd.made_up", "stages.made_up"])
def test_code_that_is_imported_counts_and_other_packages_do_not(
    faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = tmp_path / "made_up.py"
    made_up = ModuleType(name)
    made_up.__file__ = str(source)
    source.write_text("A = 1\n")
    before = of(faces)
    monkeypatch.setitem(sys.modules, "other.made_up", made_up)
    assert of(faces) == before
    monkeypatch.setitem(sys.modules, name, made_up)
    first = of(faces)
    source.write_text("A = 2\n")
    assert len({before, first, of(faces)}) == 3


def test_the_stage_that_runs_counts(
    faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m stages.kd` is `__main__`, known as a stage by its spec alone."""
    stage = ModuleType("__main__")
    source = tmp_path / "kd.py"
    source.write_text("A = 1\n")
    stage.__file__ = str(source)
    stage.__spec__ = ModuleSpec("stages.kd", None)
    monkeypatch.setitem(sys.modules, "__main__", stage)
    first = of(faces)
    source.write_text("A = 2\n")
    assert of(faces) != first


def test_the_library_versions_and_the_device_count(
    faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of(faces)
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert of(faces) != before


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (file_hash(tmp_path / name) for name in "abc")
    assert a == b != c
