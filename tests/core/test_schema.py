"""YAML files mean what DVC, which writes YAML 1.2, means by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from landmark_kd.core.errors import UserError
from landmark_kd.core.schema import read_yaml


def reading(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-5", 1e-5), ("1e-05", 1e-5), ("5E-5", 5e-5), ("-1e-5", -1e-5), ("0.00001", 1e-5)],
        *[(".5", 0.5), ("1.", 1.0), ("1e5", 1e5), ("012", 12), ("0o17", 15), ("0x1F", 31)],
        *[("no", "no"), ("on", "on"), ("y", "y"), ("Yes", "Yes"), ("true", True), ("null", None)],
        *[("1:30", "1:30"), ("2026-11-27", "2026-11-27"), ("'2020'", "2020"), ("~", None)],
    ],
)
def test_values_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: object) -> None:
    found = reading(tmp_path, f"key: {text}\n")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "value", [1e-5, 5e-7, 1e22, 0.1, 3, True, None, "no", "1e-5", "012", "1:30", "2026-11-27", ""]
)
def test_what_dvc_writes_is_read_as_it_was(tmp_path: Path, value: object) -> None:
    path = tmp_path / "file.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML().dump({"key": value}, file)  # the library by which DVC writes params.yaml
    assert read_yaml(path) == {"key": value}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", r'duplicate key "a".* in line 3, column 1'),
        ("a: b: c\n", "mapping values are not allowed here in line 1, column 5"),
        ("a: 1\n\tb: 2\n", "in line 2"),
        ("a: !!python/object:os.system x\n", "could not determine a constructor .* in line 1"),
        ("a: *b\n", "undefined alias 'b' in line 1"),
        ("[" * 3000, "is not valid YAML"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        reading(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert "file.yaml is not valid YAML: " in str(caught.value)
    assert "http" not in str(caught.value)
