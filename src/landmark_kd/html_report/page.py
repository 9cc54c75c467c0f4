"""Writes a page: templates filled in, everything inside one file, which asks the network nothing.

Jinja escapes whatever a data set brings (names of images and subsets), in the text and within the
embedded JSON, and the page's own policy lets it load nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from landmark_kd.core.files import replaced_file
from landmark_kd.visualization.plots import COLOURS, LABELS

# Bytes; mail and chat programs take such a file, and a browser opens it at once.
LARGEST = 5_000_000
# Left free, so that what is counted in letters fits in bytes.
SPARE = 50_000
LABEL_OF = {**LABELS, "control": "student, control"}
COLOUR_OF = {**COLOURS, "control": "#56B4E9"}
# Of networks and experiments without a colour of their own: Okabe and Ito's, in turn.
COLOURS_IN_TURN = ("#009E73", "#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#777777")
# What stands for a number that is not there, and before one below zero.
DASH, MINUS = "\u2013", "\u2212"
STATIC = ("style.css", "charts.js", "faces.js", "page.js", "report.js", "compare.js")


def write_page(path: Path, template: str, content: dict[str, Any]) -> int:
    """Fill in a template and write the page, all of it or nothing.

    Args:
        template: its file in templates/.
        content: what it needs; `data` is what its scripts read.

    Returns:
        The page's size in bytes.
    """
    text = render(template, content).encode("utf-8", errors="backslashreplace")
    with replaced_file(path) as temporary:
        temporary.write_bytes(text)
    return len(text)


def render(template: str, content: dict[str, Any]) -> str:
    """Return the page that a template makes of its content."""
    return _environment().get_template(template).render(content)


def size_of(template: str, content: dict[str, Any]) -> int:
    """Return how many bytes a page has."""
    return len(render(template, content).encode("utf-8", errors="backslashreplace"))


def looks(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return {name: {label, slot: of its CSS variable, onImage: its colour}} of networks."""
    return {
        name: {
            "label": label(name),
            "slot": name if name in COLOUR_OF else f"other{number}",
            "onImage": COLOUR_OF.get(name, COLOURS_IN_TURN[number % len(COLOURS_IN_TURN)]),
        }
        for number, name in enumerate(names)
    }


def label(name: str) -> str:
    """Return what a network is called on a page."""
    return LABEL_OF.get(name, name)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("landmark_kd.html_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Networks keep their order, and no byte is spent on blanks.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "separators": (",", ":")}
    templates = resources.files("landmark_kd.html_report") / "templates"
    # Our own files, the only text that is not escaped.
    environment.globals["static"] = {
        name: Markup((templates / name).read_text(encoding="utf-8")) for name in STATIC
    }
    environment.globals["label"] = label
    environment.filters["number"] = _number
    environment.filters["interval"] = _interval
    environment.filters["count"] = _count
    environment.filters["duration"] = _duration
    return environment


def _number(value: float | None, decimals: int = 2) -> str:
    return DASH if value is None else f"{value:.{decimals}f}".replace("-", MINUS)


def _interval(found: dict[str, float] | None, decimals: int = 2) -> str:
    """Write the ends of an interval: `3.10 to 3.26`."""
    if not found:
        return ""
    return f"{_number(found['low'], decimals)} to {_number(found['high'], decimals)}"


def _count(value: float | None) -> str:
    """Write a large count: 1.85 M, 0.257 G."""
    if value is None:
        return DASH
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:g}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
