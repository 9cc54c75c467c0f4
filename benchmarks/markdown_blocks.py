"""Fills blocks of hand-written Markdown, between `<!-- name -->` and `<!-- /name -->`.

So no number of a report is typed by hand, and what stands around a block stays as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_file


def fill_blocks(path: Path, blocks: Mapping[str, str]) -> None:
    """Replace what stands between the marks of each block in a file.

    Raises:
        UserError: the file is missing, or a block's marks are not there exactly once, in order;
            nothing is written then.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing; it should hold the marked blocks {', '.join(blocks)}."
        ) from None
    for name, content in blocks.items():
        text = filled(text, name, content, str(path))
    with replaced_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def filled(text: str, name: str, content: str, where: str) -> str:
    """Return `text` with `content` between the block's marks, each of which keeps its line.

    Args:
        name: of the block.
        where: names the text in messages.

    Raises:
        UserError: see `fill_blocks`.
    """
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, opened, rest = text.partition(opening)
    _, closed, tail = rest.partition(closing)
    if not (opened and closed) or opening in rest or closing in head + tail:
        raise UserError(
            f"{where} should hold one line {opening} and one line {closing} after it; put them "
            "where the block belongs."
        )
    return f"{head}{opening}\n{content.strip()}\n{closing}{tail}"
