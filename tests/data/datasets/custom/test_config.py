"""landmark-kd.yaml: what is wrong with it is said in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.config import RESERVED_NAMES, read_custom_config
from landmark_kd.data.datasets.registry import DATASETS
from tests.support.raw_custom import CONFIG, FIVE_NAMES, write_config


def _message(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_custom_config(folder)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_yaml_becomes_a_landmark_scheme(tmp_path: Path) -> None:
    write_config(tmp_path)
    scheme = read_custom_config(tmp_path).scheme()
    assert scheme.points == 5
    assert scheme.names == tuple(FIVE_NAMES)
    np.testing.assert_array_equal(scheme.flip, [1, 0, 2, 4, 3])
    assert scheme.normalizer == (0, 1)
    assert scheme.normalizer_name == "eyes"
    assert scheme.pupils == ((0,), (1,))
    assert scheme.contours == (((3, 4), False),)


def test_names_pupils_and_contours_may_be_left_out(tmp_path: Path) -> None:
    content = {k: v for k, v in CONFIG.items() if k not in ("names", "pupils", "contours")}
    (tmp_path / "landmark-kd.yaml").write_text(yaml.safe_dump(content))
    scheme = read_custom_config(tmp_path).scheme()
    assert scheme.names == ("point_0", "point_1", "point_2", "point_3", "point_4")
    assert scheme.pupils is None
    assert scheme.contours == ()


def test_a_custom_set_cannot_take_the_name_of_any_subset_that_is_built_in() -> None:
    names = {
        name
        for dataset in DATASETS.values()
        for name in (
            *(part.subset for part in dataset.parts),
            *dataset.unions,
            *dataset.published,
        )
    }
    assert names <= RESERVED_NAMES


def _split(**changes: Any) -> dict[str, Any]:
    return {"split": {**CONFIG["split"], **changes}}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"flip_pairs": [[0, 1], [1, 3]]}, ["flip_pairs has point 1 in [0, 1] and in [1, 3]"]),
        ({"flip_pairs": [[0, 1], [0, 1]]}, ["flip_pairs has point 0", "in one pair only"]),
        ({"flip_pairs": [[0, 1], [2, 2]]}, ["the pair [2, 2] of one point", "middle line"]),
        ({"flip_pairs": [[0, 5]]}, ["flip_pairs has point 5, but points is 5", "0 to 4"]),
        ({"flip_pairs": [[-1, 5]]}, ["flip_pairs.0.0 is -1, but", "greater than or equal to 0"]),
        ({"flip_pairs": [[0]]}, ["flip_pairs.0 is [0], but list should have at least 2"]),
        ({"normalizer": [1, 1]}, ["normalizer is [1, 1]", "always 0"]),
        ({"normalizer": [0, 9]}, ["normalizer has point 9"]),
        ({"normalizer": [0, 3]}, ["normalizer is [0, 3], which mirrored are 1 and 4"]),
        ({"pupils": [[0], [3]]}, ["pupils are [0] and [3], but the first mirrored is [1]"]),
        ({"pupils": [[0, 7], [1]]}, ["pupils has point 7"]),
        ({"contours": [{"points": [0, 9], "closed": True}]}, ["contours.0 has point 9"]),
        (
            {"contours": [{"points": [0, 1], "closde": True}]},
            ["contours.0.closde is not a known key", "did you mean closed?"],
        ),
        ({"names": ["a", "b"]}, ["names are 2, but points is 5"]),
        ({"names": ["a", "b", "c", "d", "a"]}, ["names has 'a' twice"]),
        ({"name": "Train"}, ["name: 'Train' is a subset of a built-in data set"]),
        ({"name": "my set"}, ["name: 'my set' must be 1 to 40 letters, digits"]),
        ({"name": ".."}, ["name: '..' must be"]),
        ({"name": 300}, ["name is 300, but input should be a valid string"]),
        ({"annotations": "landmarks.txt"}, ["'landmarks.txt'; it must be a .csv file, a .json"]),
        ({"annotations": "../landmarks.csv"}, ["annotations: '../landmarks.csv' must lie within"]),
        ({"annotations": []}, ["annotations: [] must be a name, or a list of names"]),
        ({"annotations": ["a.csv", 1]}, ["annotations: ['a.csv', 1] must be a name, or a list"]),
        ({"annotations": ["a.csv", "b.txt"]}, ["annotations is 'b.txt'; it must be a .csv file"]),
        ({"annotations": ["a.csv", "a.csv"]}, ["annotations has 'a.csv' twice"]),
        ({"annotations": ["a.csv", "b.csv"], "images": ["a"]}, ["images is a list of 1, but ann"]),
        ({"annotations": "a.csv", "images": ["a"]}, ["images is a list of 1, but annotations"]),
        ({"images": "/data/images"}, ["images: '/data/images' must lie within"]),
        ({"images": "C:\\images"}, ["must lie within"]),
        ({"images": "..\\images"}, ["must lie within"]),
        ({"first_pixel": 2}, ["first_pixel is 2, but input should be 0 or 1"]),
        ({"points": "five"}, ["points is 'five'", "integer"]),
        ({"colour": 1}, ["colour is not a known key", "contours"]),
        (_split(test=1.5), ["split.test: 1.5 must be a share", "less than 1", "such as [test]"]),
        (_split(test=[]), ["split.test: [] must be a share"]),
        (_split(test=["a"]), ["split: test and validation list values of column, but column is"]),
        (_split(column="part", test=["a"], validation=["A"]), ["list the value 'a' twice"]),
        (_split(column="part", test=None, validation=["a"]), ["but test is null, so that the col"]),
        (_split(validation="a"), ["split.validation is 'a', but", "list"]),
        (_split(test=None), ["split: column and test are both null"]),
        (_split(sed=1), ["split.sed is not a known key", "did you mean seed?"]),
        (
            {"annotations": "pts", **_split(column="person")},
            ["split.column is 'person', but with annotations: pts it is folder"],
        ),
        ({"licence": ""}, ["licence is ''", "at least 1 character"]),
    ],
)
def test_a_mistake_is_said_with_file_key_value_and_what_is_allowed(
    tmp_path: Path, changes: dict[str, Any], parts: list[str]
) -> None:
    path = write_config(tmp_path, **changes)
    text = _message(tmp_path)
    for part in (f"{path}: ", *parts):
        assert part in text


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    content = {k: v for k, v in CONFIG.items() if k != "licence"}
    (tmp_path / "landmark-kd.yaml").write_text(yaml.safe_dump(content))
    assert "landmark-kd.yaml: licence is missing;" in _message(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"name: [", "is not valid YAML"),
        (b"\xff\xfe\x00", "is not valid YAML"),
        (b"", "must hold keys such as name, annotations and points, but holds None"),
        (b"- 1\n- 2\n", "must hold keys such as"),
    ],
)
def test_a_file_that_is_no_yaml_of_keys_is_refused(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "landmark-kd.yaml").write_bytes(content)
    assert sentence in _message(tmp_path)


def test_a_folder_without_the_yaml_says_how_to_get_one(tmp_path: Path) -> None:
    assert "nowhere does not exist" in _message(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    assert "file is a file; give the folder" in _message(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "is empty: it holds no landmark-kd.yaml" in _message(tmp_path / "empty")
    assert f"`landmark-kd data init {tmp_path}` writes one" in _message(tmp_path)


def test_a_folder_too_high_or_too_low_gets_the_right_one_suggested(tmp_path: Path) -> None:
    custom = tmp_path / "mine"
    (custom / "images").mkdir(parents=True)
    write_config(custom)
    assert f"did you mean {custom}?" in _message(tmp_path)
    assert f"did you mean {custom}?" in _message(custom / "images")
