"""docs/parameters.md: made of params.yaml, its comments, the typed parameters and dvc.yaml."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from landmark_kd.core.errors import UserError
from tests.conftest import PROJECT
from tools.parameters_page import parameters_page, read_groups


def test_the_committed_page_is_what_the_tool_makes() -> None:
    page = (PROJECT / "docs" / "parameters.md").read_text(encoding="utf-8")
    assert page == parameters_page(), (
        "run `python -m tools.parameters_page docs/parameters.md`, then look at the page"
    )


def test_a_line_says_default_bounds_and_readers() -> None:
    page = parameters_page()
    assert (
        "- `evaluate.bootstrap`: default `2000`. Allowed: a whole number from 100. Read by" in page
    )
    assert "- `data.path`: default `null`. Allowed: a text or `null`. Read by `fetch`." in page
    assert "- `base.workers`: default `0`. Allowed: a whole number from 0 up to 256.\n" in page


def test_a_comment_holds_for_the_keys_below_it_up_to_the_next_one() -> None:
    groups = read_groups("# Head.\n\nkd:\n  # Two lines\n  # of text\n  a: 1\n  b:\n    c: 2\n"
                         "  # Another.\n  d: 3\n")  # fmt: skip
    assert [(g.comment, g.keys) for g in groups] == [
        ("Two lines of text.", ("kd.a", "kd.b.c")),
        ("Another.", ("kd.d",)),
    ]


def test_a_key_without_a_comment_is_named() -> None:
    with pytest.raises(UserError, match=r"asm\.limit has no comment"):
        read_groups("base:\n  # Seed.\n  seed: 1\n\nasm:\n  limit: 3.0\n")


def test_every_key_of_the_file_is_on_the_page_once(tmp_path: Path) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(PROJECT / name, tmp_path)
    lines = parameters_page(tmp_path).splitlines()
    listed = [line.split("`")[1] for line in lines if line.startswith("- `")]

    def keys(content: dict[str, object], within: str = "") -> list[str]:
        found = []
        for name, value in content.items():
            found += keys(value, f"{within}{name}.") if isinstance(value, dict) else [within + name]
        return found

    assert listed == keys(yaml.safe_load((tmp_path / "params.yaml").read_text()))


def test_a_key_that_the_code_does_not_know_is_named(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "dvc.yaml", tmp_path)
    (tmp_path / "params.yaml").write_text("crop:\n  # Nobody reads it.\n  depth: 3\n")
    with pytest.raises(UserError, match=r"crop\.depth, which is not a key"):
        parameters_page(tmp_path)
