"""README.md and the drawing of the pipeline, against the files that they speak of."""

from __future__ import annotations

import re

from tests.conftest import PROJECT
from tests.support.declared_stages import STAGES, covers, outs

LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#([^)\s]+))?\)")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len((PROJECT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_links_of_the_readme_lead_somewhere() -> None:
    links = LINK.findall((PROJECT / "README.md").read_text(encoding="utf-8"))
    assert len(links) > 10
    for target, anchor in links:
        path = PROJECT / target
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_every_stage_has_a_row_in_both_tables() -> None:
    for name in ("README.md", "docs/pipeline.md"):
        _, _, below = (PROJECT / name).read_text(encoding="utf-8").partition("| stage | does |")
        rows = re.findall(r"^\| (`.*?) \|", below.partition("\n\n")[0], flags=re.MULTILINE)
        assert [stage for row in rows for stage in re.findall(r"`(\w+)`", row)] == list(STAGES)


def test_the_arrows_of_the_drawing_are_those_of_dvc_yaml_that_no_others_imply() -> None:
    drawing = (PROJECT / "docs" / "pipeline.svg").read_text(encoding="utf-8")
    reads = {
        name: {
            other
            for other, made in STAGES.items()
            if any(covers(out, dep) for out in outs(made) for dep in stage["deps"])
        }
        for name, stage in STAGES.items()
    }

    def behind(name: str) -> set[str]:
        return set().union(*({other} | behind(other) for other in reads[name]))

    needed = {
        f"{other}-{name}"
        for name, others in reads.items()
        for other in others
        if not any(other in behind(third) for third in others)
    }
    assert set(re.findall(r'<path id="([\w-]+)"', drawing)) == needed
    assert set(re.findall(r">(\w+)</text>", drawing)) == set(STAGES)
