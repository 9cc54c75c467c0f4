"""The names of timm's networks, without importing timm.

timm takes seconds to import, and a misspelt backbone is to be refused before any work begins, by
stages that build no network, too. Its modules say with a decorator which functions are networks,
so their text is enough; a test holds the names to `timm.list_models()`.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model\s*\ndef (\w+)\(", re.MULTILINE)
# Weights that timm publishes, `network.tag`, as keys of a table.
_TAGGED = re.compile(r"^\s*['\"](\w+\.[\w.]+)['\"]\s*:", re.MULTILINE)


def timm_networks() -> list[str]:
    """Return the names of all networks of the installed timm, sorted."""
    return sorted(_names()[0])


def is_timm_network(name: str) -> bool:
    """Say whether timm builds a network of this name by itself.

    timm downloads from a hub, or reads a folder's own description, for names such as hf-hub:… and
    local-dir:…; none of these is. What follows a dot names published weights of a network.
    """
    networks, tagged = _names()
    return name in tagged if "." in name else name in networks


@cache
def _names() -> tuple[frozenset[str], frozenset[str]]:
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'timm'", name="timm")
    texts = [
        path.read_text(encoding="utf-8")
        for path in sorted((Path(spec.origin).parent / "models").glob("*.py"))
    ]
    networks = frozenset(name for text in texts for name in _REGISTERED.findall(text))
    tagged = frozenset(name for text in texts for name in _TAGGED.findall(text))
    return networks, frozenset(name for name in tagged if name.split(".")[0] in networks)
