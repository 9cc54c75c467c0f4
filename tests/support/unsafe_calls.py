"""Finds, by reading source, what could run code or commands that somebody else wrote."""

from __future__ import annotations

import ast

# Modules whose loading functions run what a file says.
MODULES = frozenset(("pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "shelve"))
MODULES |= {"marshal", "jsonpickle"}
# Functions that may not be used at all, nor be handed on.
FUNCTIONS = frozenset(
    (
        *(f"builtins.{name}" for name in ("eval", "exec", "compile", "__import__")),
        *(f"yaml.{name}" for name in ("load", "unsafe_load", "full_load")),
        *(f"yaml.{name}" for name in ("load_all", "unsafe_load_all", "full_load_all")),
        *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
        *("pandas.read_pickle", "pandas.eval", "numpy.fromregex", "shutil.unpack_archive"),
        *("torch.hub.load", "torch.jit.load", "torch.package.PackageImporter"),
    )
)
# Functions that are safe with one argument given as this value, and not without it.
SAFE_WITH = {"numpy.load": ("allow_pickle", False), "torch.load": ("weights_only", True)}
# Of archives: members may lie outside of the folder.
METHODS = frozenset(("extractall",))


def unsafe_calls(source: str) -> list[str]:
    """Return "line N: what" of each use of the above in a module's source."""
    tree = ast.parse(source)
    names = _imported(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    safe = {id(call.func) for call in calls if _is_safe_call(call, names)}
    found: list[tuple[int, str]] = []
    found += [(call.lineno, "shell=True") for call in calls if _asks_for_shell(call)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [name for name in _modules(node) if name.split(".")[0] in MODULES]
            found += [(node.lineno, f"import of {name}") for name in modules]
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            found.append((node.lineno, node.attr))
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in safe:
            name = _full_name(node, names)
            if name in FUNCTIONS or name in SAFE_WITH:
                found.append((node.lineno, name))
    return [f"line {line}: {what}" for line, what in sorted(found)]


def _imported(tree: ast.AST) -> dict[str, str]:
    """What names of the module stand for, with dots."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if node.module else []


def _full_name(node: ast.expr, names: dict[str, str]) -> str:
    """The dotted name of a name or attribute; empty where it begins with anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id, f"builtins.{node.id}")
    if isinstance(node, ast.Attribute):
        left = _full_name(node.value, names)
        return f"{left}.{node.attr}" if left else ""
    return ""


def _is_safe_call(call: ast.Call, names: dict[str, str]) -> bool:
    name, value = SAFE_WITH.get(_full_name(call.func, names), ("", None))
    return any(
        keyword.arg == name
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value is value
        for keyword in call.keywords
    )


def _asks_for_shell(call: ast.Call) -> bool:
    return any(
        keyword.arg == "shell"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
        for keyword in call.keywords
    )
