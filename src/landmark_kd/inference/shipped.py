"""The networks that come with the package: files in its folder `assets`, known by their names.

docs/model_card.md says what they were trained on and what they are worth.
"""

from __future__ import annotations

import os
from importlib import resources

from landmark_kd.core.errors import UserError

# The one that is taken where none is named.
DEFAULT = "accurate"
SUFFIX = ".onnx"


def shipped_names() -> list[str]:
    """Return the names of the networks that come with the package."""
    folder = resources.files("landmark_kd") / "assets"
    if not folder.is_dir():
        return []
    files = (file.name for file in folder.iterdir())
    return sorted(name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX))


def shipped_model(name: str = DEFAULT) -> bytes:
    """Return the content of a network's ONNX file.

    Raises:
        UserError: there is none of that name.
    """
    names = shipped_names()
    if name in names:
        return (resources.files("landmark_kd") / "assets" / f"{name}{SUFFIX}").read_bytes()
    if DEFAULT not in names:
        raise UserError(
            f"the network that comes with landmark-kd is missing: there is no {DEFAULT}{SUFFIX} in "
            f"{resources.files('landmark_kd') / 'assets'}; install the package again, or give a "
            "file (--model FILE, LandmarkDetector.load(path))."
        )
    raise UserError(
        f"there is no network named {name!r}; give one of {', '.join(names)}, or a file, whose "
        f"name ends in {SUFFIX} or has a separator in it, as {os.path.join(os.curdir, name)}."
    )


def names_file(model: str | os.PathLike[str]) -> bool:
    """Return whether a file is meant, not a network that comes with the package.

    So it is of a path object, and of a text that ends in .onnx or has a separator of folders in it,
    whatever lies in the working folder.
    """
    if not isinstance(model, str):
        return True
    separators = filter(None, (os.sep, os.altsep))
    return model.lower().endswith(SUFFIX) or any(separator in model for separator in separators)
