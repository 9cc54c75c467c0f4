"""Marked blocks of Markdown that a script fills."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.markdown_blocks import fill_blocks
from landmark_kd.core.errors import UserError

TEXT = "before\n<!-- a -->\nold\n<!-- /a -->\nbetween\n<!-- b -->\n<!-- /b -->\nafter\n"


def test_blocks_are_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(TEXT, encoding="utf-8")
    fill_blocks(path, {"b": "new b\n", "a": "| new |\n| a |"})
    filled = (
        "before\n<!-- a -->\n| new |\n| a |\n<!-- /a -->\nbetween\n<!-- b -->\nnew b\n<!-- /b -->\n"
        "after\n"
    )
    assert path.read_text(encoding="utf-8") == filled
    fill_blocks(path, {"b": "new b", "a": "| new |\n| a |"})
    assert path.read_text(encoding="utf-8") == filled


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "<!-- a -->\nnever closed",
        "<!-- /a -->\nupside down\n<!-- a -->",
        TEXT.replace("before", "<!-- a -->"),
        TEXT.replace("after", "<!-- /a -->"),
    ],
)
def test_marks_that_are_not_there_once_are_named_and_nothing_is_written(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"page\.md should hold one line <!-- a --> and one line"):
        fill_blocks(path, {"b": "new"} | {"a": "new"} if "<!-- b -->" in text else {"a": "new"})
    assert path.read_text(encoding="utf-8") == text


def test_a_missing_page_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"page\.md is missing; it should hold .* a, b"):
        fill_blocks(tmp_path / "page.md", {"a": "", "b": ""})
