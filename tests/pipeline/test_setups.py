"""The named set-ups: lines of `-S` that params.yaml takes, and what they promise."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from landmark_kd.config.params import Params
from tests.conftest import PROJECT

SETUPS = sorted((PROJECT / "setups").glob("*.txt"))


def settings(path: Path) -> dict[str, Any]:
    """What a set-up changes, as `dvc exp run $(cat FILE)` passes it on."""
    words = path.read_text().split()
    assert words[::2] == ["-S"] * (len(words) // 2), "every line is -S key=value"
    # Quotes would reach DVC as they are, since the shell splits the file's words and no more.
    assert words == shlex.split(path.read_text())
    pairs = (word.split("=", 1) for word in words[1::2])
    return {key: yaml.safe_load(value) for key, value in pairs}


def applied(path: Path) -> Params:
    content = yaml.safe_load((PROJECT / "params.yaml").read_text())
    for key, value in settings(path).items():
        *sections, last = key.split(".")
        section = content
        for name in sections:
            section = section[name]
        assert last in section, f"{path.name} sets {key}, which params.yaml does not have"
        section[last] = value
    return Params.model_validate(content)


def test_there_is_the_papers_set_up_and_ours() -> None:
    assert [path.stem for path in SETUPS] == ["accurate", "paper-112", "paper", "students"]


@pytest.mark.parametrize("path", SETUPS, ids=lambda path: path.stem)
def test_a_set_up_is_taken_by_params_and_changes_only_what_it_has_to(path: Path) -> None:
    applied(path)
    content = yaml.safe_load((PROJECT / "params.yaml").read_text())
    for key, value in settings(path).items():
        default = content
        for name in key.split("."):
            default = default[name]
        assert value != default, f"{path.name} sets {key} to what params.yaml has anyway"


def test_the_paper_at_112_pixels_is_the_paper_but_for_the_pixels() -> None:
    small, large = (settings(PROJECT / "setups" / f"{n}.txt") for n in ("paper-112", "paper"))
    assert small == large | {"crop.resolution": 112}


def test_the_papers_set_up_is_as_published() -> None:
    params = applied(PROJECT / "setups" / "paper.txt")
    assert params.teacher.backbone == "efficientnet_b3"
    assert params.student.backbone == "mobilenetv2_100"
    assert params.crop.resolution == 224
    assert (params.augment.rotation, params.augment.scale_min, params.augment.scale_max) == (
        0.55,
        0.7,
        1.3,
    )
    for network in (params.teacher, params.student):
        assert (network.init, network.head) == ("random", "pool")
        assert (network.batch_size, network.epochs, network.learning_rate) == (70, 150, 0.001)
