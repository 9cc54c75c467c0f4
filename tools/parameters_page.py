"""Writes docs/parameters.md: every parameter with its default, what is allowed and what it does.

    python -m tools.parameters_page docs/parameters.md

Types and bounds are those of `config.params`, defaults and descriptions those of params.yaml, whose
comments each hold for the keys below them up to the next comment, and stages those of dvc.yaml.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic.fields import FieldInfo

from landmark_kd.config.params import REMOVED, RENAMED, Params
from landmark_kd.core.errors import UserError, run_main
from landmark_kd.core.files import replaced_file

PROJECT = Path(__file__).resolve().parents[1]
INDENT = 2  # of a section's keys in params.yaml

INTRODUCTION = """\
<!-- Made by `python -m tools.parameters_page docs/parameters.md`; edit params.yaml instead. -->

# Parameters

All of them stand in [params.yaml](../params.yaml), in sections. Change one for a single run with

```sh
dvc exp run -S student.epochs=40 -S kd.weights.tolerant=0
```

or edit the file and say `dvc repro`. A wrong key, type, value or combination is refused by the
first stage that starts, before any work, with one sentence. *Read by* names the stages that run
again when the parameter changes; stages that read what those make run again after them. A parameter
that no stage is named for never changes a result.
"""
EARLIER_NAMES = """\
## Earlier names

A params.yaml of an earlier version is refused, with a sentence that says what became of the key.

| earlier | today |
|---|---|
"""
BOUNDS = {
    annotated_types.Ge: ("from {}", "ge"),
    annotated_types.Gt: ("above {}", "gt"),
    annotated_types.Le: ("up to {}", "le"),
    annotated_types.Lt: ("below {}", "lt"),
}


@dataclass(frozen=True)
class Group:
    """Keys of one section of params.yaml that share a comment.

    Attributes:
        comment: on one line.
        keys: with their sections, as `-S` takes them.
    """

    comment: str
    keys: tuple[str, ...]

    @property
    def section(self) -> str:
        return self.keys[0].partition(".")[0]


def parameters_page(project: Path = PROJECT) -> str:
    """Return the page as Markdown.

    Raises:
        UserError: a key of params.yaml has no comment, or is not one of `Params`.
    """
    text = (project / "params.yaml").read_text(encoding="utf-8")
    stages = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    defaults = dict(_leaves(yaml.safe_load(text)))
    lines = [INTRODUCTION]
    section = ""
    for group in read_groups(text):
        if group.section != section:
            section = group.section
            lines.append(f"## {section}\n")
        lines.append(f"### {', '.join(group.keys)}\n\n{_with_links(group.comment)}\n")
        for key in group.keys:
            default = json.dumps(defaults[key], ensure_ascii=False).strip('"')
            readers = [f"`{name}`" for name, stage in stages.items() if _reads(stage, key)]
            read_by = f" Read by {', '.join(readers)}." if readers else ""
            lines.append(f"- `{key}`: default `{default}`. Allowed: {_allowed(key)}.{read_by}")
        lines.append("")
    lines.append(
        EARLIER_NAMES
        + "\n".join(
            [
                *(f"| `{old}` | `{new}` |" for old, new in RENAMED.items()),
                *(f"| `{old}` | removed: {why} |" for old, why in REMOVED.items()),
            ]
        )
    )
    return "\n".join(lines) + "\n"


def read_groups(text: str) -> list[Group]:
    """Return the keys of params.yaml by the comment that holds for them, in their order.

    A comment holds up to the next one, or to the end of its section.

    Raises:
        UserError: a key has no comment.
    """
    groups: list[tuple[str, list[str]]] = []
    sections: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
            continue
        name, _, value = stripped.partition(":")
        depth = (len(line) - len(line.lstrip())) // INDENT
        sections = [*sections[:depth], name]
        if not stripped or depth == 0:
            comment = []
            groups.append(("", []))
            continue
        if comment:
            groups.append((f"{' '.join(comment).removesuffix('.')}.", []))
            comment = []
        if value.strip():
            groups[-1][1].append(".".join(sections))
    for words, keys in groups:
        if keys and not words:
            raise UserError(
                f"params.yaml: {keys[0]} has no comment above it; write one, since "
                "docs/parameters.md is made of them."
            )
    return [Group(words, tuple(keys)) for words, keys in groups if keys]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="Markdown file to write")
    out = parser.parse_args().out
    with replaced_file(out) as temporary:
        temporary.write_text(parameters_page(), encoding="utf-8")


def _leaves(content: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", value


def _with_links(comment: str) -> str:
    """Turn `docs/data.md` into a link to that page."""
    return re.sub(r"docs/(\w+)\.md", r"[\1](\1.md)", comment)


def _reads(stage: Mapping[str, Any], key: str) -> bool:
    return any(key == read or key.startswith(f"{read}.") for read in stage.get("params", []))


def _allowed(key: str) -> str:
    """Say in words what the type of a key allows.

    Raises:
        UserError: there is no such key.
    """
    *outer, last = key.split(".")
    section: Any = Params
    try:
        for name in outer:
            section = section.model_fields[name].annotation
        field: FieldInfo = section.model_fields[last]
    except (KeyError, AttributeError):
        raise UserError(f"params.yaml has {key}, which is not a key of Params.") from None
    return _in_words(field.annotation, field.metadata)


def _in_words(annotation: Any, bounds: list[Any]) -> str:
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_in_words(*_type_and_bounds(kind)) for kind in get_args(annotation))
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if annotation is NoneType:
        return "`null`"
    if annotation is bool:
        return "`true`, `false`"
    if annotation is str:
        return "a text"
    words = [
        form.format(getattr(bound, name))
        for kind, (form, name) in BOUNDS.items()
        for bound in bounds
        if isinstance(bound, kind)
    ]
    return " ".join(["a whole number" if annotation is int else "a number", *words])


def _type_and_bounds(annotation: Any) -> tuple[Any, list[Any]]:
    """Split `Annotated[int, Field(ge=1)]` into its type and its bounds."""
    if not hasattr(annotation, "__metadata__"):
        return annotation, []
    kind, *more = get_args(annotation)
    fields = [part.metadata if isinstance(part, FieldInfo) else [part] for part in more]
    return kind, [bound for found in fields for bound in found]


if __name__ == "__main__":
    run_main(main)
