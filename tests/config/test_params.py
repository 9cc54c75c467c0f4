"""params.yaml: what is wrong is said in one sentence, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from landmark_kd.config.params import RENAMED, load_params
from landmark_kd.core.errors import UserError
from landmark_kd.training.tasks import student_seed
from tests.conftest import PROJECT

Edit = Callable[..., Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """Write the project's params.yaml with some values replaced: edited({"base.seed": 3})."""

    def edit(changes: dict[str, Any]) -> Path:
        content = yaml.safe_load((PROJECT / "params.yaml").read_text())
        for key, value in changes.items():
            *sections, last = key.split(".")
            section = content
            for name in sections:
                section = section[name]
            section[last] = value
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return edit


def message(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_params(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_projects_own_params_are_valid() -> None:
    assert load_params(PROJECT / "params.yaml").data.name == "synthetic"


NOTHING_MATCHED = {"kd.features": 0, "kd.heatmap": 0}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"augment.rotatoin": 0.1}, ["augment.rotatoin", "0.1", "did you mean rotation"]),
        ({"nonsense": 1}, ["nonsense", "known here are", "base"]),
        ({"student.epochs": 0}, ["student.epochs", "0", "greater than or equal to 1"]),
        ({"student.epochs": "many"}, ["student.epochs", "'many'", "integer"]),
        ({"student.epochs": 2.5}, ["student.epochs", "2.5", "integer"]),
        ({"teacher.learning_rate": -1.0}, ["teacher.learning_rate", "-1.0", "greater than 0"]),
        ({"teacher.learning_rate": float("nan")}, ["teacher.learning_rate", "nan", "finite"]),
        ({"base.device": "gpu"}, ["base.device", "'gpu'", "'auto', 'cpu' or 'cuda'"]),
        ({"augment.scale_min": 2.0}, ["augment", "scale_min 2.0", "scale_max 1.15"]),
        ({"teacher.warmup_epochs": 99}, ["teacher", "warmup_epochs 99", "less than epochs"]),
        ({"student.backbone": "mobilenetv2_10"}, ["mobilenetv2_10'", "did you mean mobilenetv2_"]),
        ({"student.backbone": "hf_hub:timm/resnet18"}, ["student.backbone: 'hf_hub:", "own list"]),
        ({"teacher.backbone": "hf-hub:a/b"}, ["teacher.backbone: 'hf-hub:a/b' is not a network"]),
        ({"teacher.backbone": "local-dir:/tmp/net"}, ["teacher.backbone: 'local-dir:/tmp/net'"]),
        ({"student.backbone": "resnet18.none_such"}, ["did you mean", "resnet18"]),
        ({"student.backbone": "resnet18." + "a" * 1000}, ["student.backbone", "at most 100"]),
        ({"student.backbone": 18}, ["student.backbone", "18", "string"]),
        ({"student.init": "imagenet"}, ["student", "'imagenet'", "random, pretrained or the path"]),
        ({"student.init": "no/file.safetensors"}, ["no/file.safetensors", "does not exist"]),
        ({"data.name": "pts"}, ["data.path is not set", "landmark-kd.yaml"]),
        (
            {"data.name": "300-W"},
            ["data.name", "'300-W'", "'300w', '300w_lp', 'cofw', 'wflw' or 'pts'"],
        ),
        ({"crop.box": "dataset", "data.name": "300w"}, ["crop.box is dataset", "300w brings no"]),
        ({"crop.box": "dataset", "data.name": "300w_lp"}, ["300w_lp brings no boxes"]),
        ({"base.accumulate": 3}, ["teacher.batch_size is 16", "a multiple of 3", "at least 6"]),
        ({"base.precision": 16}, ["base.precision", "16", "32"]),
        ({"crop.box": "haar"}, ["crop.box", "'haar'", "'landmarks', 'dataset' or 'detector'"]),
        ({"evaluate.box_jitter.shift": 0.6}, ["evaluate.box_jitter.shift", "0.6", "less than"]),
        ({"crop.box": "dataset"}, ["crop.box is dataset", "synthetic brings no boxes"]),
        (
            {"crop.teacher_resolution": 16},
            ["crop.teacher_resolution", "16", "greater than or equal to 32"],
        ),
        (
            {"kd.variant": "points", "kd.weights.tough": 0, "kd.weights.tolerant": 0},
            ["variant is points", "both 0", "no teacher to learn from"],
        ),
        ({"kd.weights.main": 2.0}, ["kd", "weights.main is 2", "no minimum", "at least 2.125"]),
        ({"kd.beta": 1.5}, ["kd.beta", "1.5", "less than 1"]),
        ({"kd.tough.negative": 0.4}, ["kd.tough.negative", "0.4", "less than or equal to 0"]),
        ({"kd.tough.negtive": -0.4}, ["kd.tough.negtive", "did you mean negative"]),
        ({"unlabelled.keep": 0}, ["unlabelled.keep", "0", "greater than 0"]),
        (
            {"unlabelled.path": "/faces", "kd.teacher_predictions": "online"},
            ["unlabelled.path is set", "teacher_predictions is online", "take cached"],
        ),
        (
            {
                "unlabelled.path": "/faces",
                "unlabelled.box": "landmarks",
                "crop.box": "dataset",
                "data.name": "wflw",
            },
            ["unlabelled.box is landmarks", "crop.box is dataset", "take detector"],
        ),
        ({"kd.features": -1}, ["kd.features", "-1", "greater than or equal to 0"]),
        (
            {"student.loss": "rle", "student.head": "pool"},
            ["student", "loss is rle", "head is pool", "take integral"],
        ),
        ({"kd.points.loss": "rle"}, ["kd.points.loss", "'rle'", "'l1'"]),
        (
            {"kd.likelihood": 1, "student.head": "pool", **NOTHING_MATCHED},
            ["kd.likelihood", "student.head is pool", "take integral, or 0"],
        ),
        ({"kd.features": 0, "student.head": "pool"}, ["kd.heatmap", "student.head is pool"]),
        (
            {"kd.head": "teacher", "student.head": "pool", **NOTHING_MATCHED},
            ["kd.head", "student.head is pool", "take integral, or own"],
        ),
        (
            {"kd.features": 1, "teacher.head": "pool"},
            ["kd.features", "teacher.head is pool", "take integral"],
        ),
        (
            {"kd.features": 1, "student.head": "pool"},
            ["kd.features", "student.head is pool", "take integral"],
        ),
        ({"base.seed": -1}, ["base.seed", "-1", "greater than or equal to 0"]),
    ],
)
def test_a_mistake_is_named_with_its_value_and_what_is_allowed(
    edited: Edit, changes: dict[str, Any], parts: list[str]
) -> None:
    text = message(edited(changes))
    for part in parts:
        assert part in text


def test_weights_of_the_published_code_are_allowed_in_its_own_variant(edited: Edit) -> None:
    assert load_params(edited({"kd.weights.main": 2.0, "kd.variant": "code"}))


def test_without_the_tolerant_teacher_a_smaller_main_weight_is_enough(edited: Edit) -> None:
    assert load_params(edited({"kd.weights.main": 1.2, "kd.weights.tolerant": 0.0}))


def test_a_removed_key_is_named(edited: Edit, tmp_path: Path) -> None:
    path = edited({})
    content = yaml.safe_load(path.read_text())
    del content["kd"]["tau"]
    path.write_text(yaml.safe_dump(content))
    assert "kd.tau is missing" in message(path)


@pytest.mark.parametrize("text", ["base: [1, 2", "just words", ""])
def test_what_is_no_yaml_of_sections_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    assert "params.yaml" in message(path)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_key_of_an_earlier_version_says_what_it_is_called_now(
    edited: Edit, old: str, new: str
) -> None:
    said = message(edited({old: 1}))
    assert f"{old} was renamed to {new}; write that instead." in said


def test_a_key_that_is_no_more_says_so(edited: Edit) -> None:
    assert "augment.turn was removed" in message(edited({"augment.turn": 0.0}))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "params.yaml is missing" in message(tmp_path / "params.yaml")


def test_the_students_seed_is_the_projects_unless_it_has_its_own(edited: Edit) -> None:
    assert student_seed(load_params(edited({"base.seed": 7}))) == 7
    assert student_seed(load_params(edited({"base.seed": 7, "student.seed": 9}))) == 9
