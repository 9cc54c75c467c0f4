"""What a stage imports and which parameters it reads, found by reading its source."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.conftest import PROJECT

PACKAGE = "landmark_kd"


def module_file(name: str) -> Path | None:
    """The file of a project module by its dotted name; None if it is not the project's."""
    for root in (PROJECT / "src", PROJECT):
        base = root.joinpath(*name.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


def imported_names(path: Path) -> set[str]:
    """Dotted names that a file may import from the project, submodules and packages alike."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {n for n in names if n.split(".")[0] in (PACKAGE, "stages")}


def project_files(stage_file: Path) -> set[str]:
    """All files of the project that running a stage loads, relative to the project."""
    waiting, seen = [stage_file, PROJECT / "stages" / "__init__.py"], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imported_names(path):
            parts = name.split(".")
            # Importing a.b loads a first.
            found = [module_file(".".join(parts[: i + 1])) for i in range(len(parts))]
            waiting += [file for file in found if file is not None]
    return {str(path.relative_to(PROJECT)) for path in seen}


def read_params(stage_file: Path) -> set[str]:
    """Dotted names of the values that a stage's `main` takes from `params`, such as crop.

    A function that takes all of `params` is there by its own name.
    """
    names = set()
    nodes = list(ast.walk(ast.parse(stage_file.read_text(encoding="utf-8"))))
    # Of params.crop.margin not params.crop as well.
    inside = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if any(isinstance(a, ast.Name) and a.id == "params" for a in node.args):
                names.add(node.func.id)
        elif isinstance(node, ast.Attribute) and id(node) not in inside:
            chain, inner = [node.attr], node.value
            while isinstance(inner, ast.Attribute):
                chain.append(inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id == "params":
                names.add(".".join(reversed(chain)))
    return names
