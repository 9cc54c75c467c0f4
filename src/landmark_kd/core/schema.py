"""YAML files, and others, as typed values; the first mistake in one is said in a sentence."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError

from landmark_kd.core.errors import UserError

Model = TypeVar("Model", bound=BaseModel)

# Characters of a value in a sentence.
LONGEST_VALUE = 80
# A few lines of YAML with aliases may stand for more elements than there is memory to print.
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxlist, _REPR.maxdict = 3, 30, 30
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = LONGEST_VALUE


class Section(BaseModel):
    """A mapping of a file: every key known, every value of its type."""

    # strict: "12" is no number and 1 not true; protected_namespaces: no key begins with model_.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )


def read_yaml_model(
    path: Path,
    model: type[Model],
    *,
    absent: str,
    example: str,
    restore: str,
    renamed: Mapping[str, str] = MappingProxyType({}),
    removed: Mapping[str, str] = MappingProxyType({}),
) -> Model:
    """Read and check a YAML file.

    Args:
        path: the file.
        model: what it must hold.
        absent: what to do where the file is missing.
        example: keys it holds, in words.
        restore: what to do where a key is missing.
        renamed: keys of earlier versions and what they are called now.
        removed: keys of earlier versions and why they are no more.

    Raises:
        UserError: one sentence with the file, the key, its value and what is allowed.
    """
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {absent}.") from None
    _check_old_keys(path, content, renamed, removed)
    return check_model(path, content, model, example=example, restore=restore)


class _CoreConstructor(SafeConstructor):
    """Values of YAML 1.2's core schema, which has no dates: 2026-11-27 is a text."""


_CoreConstructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds, by YAML 1.2 as DVC writes and reads it.

    So 1e-5 is a number, and no and on are texts.

    Raises:
        UserError: it is not valid YAML; one sentence with the file and the place.
        OSError: it cannot be read.
    """
    try:
        reader = YAML(typ="safe", pure=True)
        reader.Constructor = _CoreConstructor
        return reader.load(path.read_text(encoding="utf-8-sig"))
    except (OSError, MemoryError):
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = in_short(Exception(error.problem or error.context))
        raise UserError(f"{path} is not valid YAML: {what}{place}.") from None
    except Exception as error:  # ruamel raises ValueError, … where a value is none
        raise UserError(f"{path} is not valid YAML: {in_short(error)}.") from None


def _check_old_keys(
    path: Path, content: Any, renamed: Mapping[str, str], removed: Mapping[str, str]
) -> None:
    for old in (*renamed, *removed):
        section = content
        *outer, key = old.split(".")
        for part in outer:
            section = section.get(part) if isinstance(section, dict) else None
        if isinstance(section, dict) and key in section:
            if old in renamed:
                raise UserError(f"{path}: {old} was renamed to {renamed[old]}; write that instead.")
            raise UserError(f"{path}: {old} was removed ({removed[old]}); delete the line.")


def check_model(
    path: Path, content: Any, model: type[Model], *, example: str, restore: str
) -> Model:
    """Check what was read from a file.

    Args:
        path: the file.
        content: what it holds.
        model: what it must hold.
        example: keys it holds, in words.
        restore: what to do where a key is missing.

    Raises:
        UserError: one sentence with the file, the key, its value and what is allowed.
    """
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold {example}, but holds {_short(content)}.")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {_sentence(error, model, restore)}") from None
    except UnicodeEncodeError as error:  # "\\ud83d", half of a character
        raise UserError(f"{path} has a text that is not Unicode: {in_short(error)}.") from None


def _sentence(error: ValidationError, model: type[BaseModel], restore: str) -> str:
    """Say the first mistake; how many more there are follows."""
    # A misspelt key is also a missing one; the spelling says more.
    mistakes = sorted(error.errors(), key=lambda mistake: mistake["type"] == "missing")
    first = mistakes[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here are {', '.join(known)}."
        text = f"{key} is not a known key (its value: {_short(first['input'])}); {hint}"
    elif first["type"] == "missing":
        text = f"{key} is missing; {restore}."
    elif first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        text = f"{key}: {message}." if key else f"{message}."
    else:
        allowed = first["msg"][0].lower() + first["msg"][1:]
        text = f"{key} is {_short(first['input'])}, but {allowed}."
    more = len(mistakes) - 1
    return text + (
        f" ({more} more mistake{'s' if more > 1 else ''} after this one)" if more else ""
    )


def _known_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys of the section at a location, through lists and optional ones."""
    section = model
    for part in location:
        if isinstance(part, str):
            section = _section_in(section.model_fields[part].annotation)
    return list(section.model_fields)


def _section_in(annotation: Any) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(_section_in(arg) for arg in get_args(annotation) if arg is not type(None))


def _short(value: Any) -> str:
    text = _REPR.repr(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def in_short(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())
