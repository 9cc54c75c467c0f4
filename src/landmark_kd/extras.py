"""Packages that the command needs for data sets, but not for prediction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from landmark_kd.errors import UserError


@contextmanager
def needs_train_packages(command: str) -> Iterator[None]:
    """Turn a failed import of the extra `train` into a sentence that says what to install.

    Raises:
        UserError: a package that the imports within need is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("landmark_kd"):
            raise
        raise UserError(
            f"`landmark-kd {command}` needs the package {error.name}, which prediction does not; "
            "install it with all that belongs to data sets: pip install 'landmark-kd[train]'."
        ) from None
