"""Names of files that DVC and other systems can hold.

Linux takes any bytes for a name. A copy of what came from an archive or disk of another system may
so have names that are not UTF-8: DVC then fails at each command, for as long as the file is there.
"""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from landmark_kd.core.errors import UserError

# Bytes of one name that file systems allow.
LONGEST_NAME = 255
NOT_UTF8 = "is not UTF-8"
# Folders and files of its own that DVC leaves out, or refuses, within what it tracks.
_OF_DVC = frozenset((".git", ".hg", ".dvc", ".dvcignore"))


def fault_of_name(name: str) -> str | None:
    """Return what is wrong with a file's or folder's name, in words after 'a name that'."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return NOT_UTF8
    if any(ord(letter) < 0x20 or letter == "\x7f" for letter in name):
        return "has control characters"
    return "DVC keeps for itself" if name in _OF_DVC else None


def check_names(folder: Path, files: Iterable[Path]) -> None:
    """Check, before anything is copied or written, that names can be kept.

    Args:
        folder: where the files lie; the folders above it are the user's affair, as long as they
            can be written into params.yaml.
        files: in it or in folders within it.

    Raises:
        UserError: a name cannot.
    """
    if fault := fault_of_name(str(folder)):
        raise UserError(
            f"the folder {folder} has a path that {fault}: DVC cannot hold it; rename the folder, "
            "or the one above it."
        )
    faulty: dict[Path, str] = {}
    for file in files:
        for part in file.relative_to(folder).parts:
            if fault := fault_of_name(part):
                faulty[file] = fault
    if not faulty:
        return
    first, fault = next(iter(faulty.items()))
    others = len(faulty) - 1
    more = f" and {others} more file{'s' * (others > 1)}" if others else ""
    cure = rename_hint(folder) if fault == NOT_UTF8 else "rename it"
    raise UserError(
        f"{first.relative_to(folder)}{more} in {folder} {'have' if more else 'has'} a name that "
        f"{fault}: DVC and other systems cannot hold it; {cure}."
    )


def rename_hint(folder: Path) -> str:
    """Return what to do about names in a folder that are not UTF-8."""
    command = f"convmv -r -f latin1 -t utf8 --notest {shlex.quote(str(folder))}"
    return f"rename them (from Latin-1: `{command}`)"


def composed(text: str) -> str:
    """Return a name in the Unicode form NFC; Macs and Linux may have two forms of one name."""
    return unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """Return what names have in common that differ in Unicode form and letter case alone."""
    return composed(composed(text).casefold())


def existing(folder: Path, name: str) -> Path:
    """Return a path below a folder in the letter case in which it is there, as given else."""
    path = folder
    for part in PurePosixPath(name).parts:
        child = path / part
        if not child.exists() and path.is_dir():
            alike = (other for other in sorted(path.iterdir()) if fold(other.name) == fold(part))
            child = next(alike, child)
        path = child
    return path


def absence(path: Path, otherwise: str = "does not exist") -> str:
    """Return why a file or folder is not there, in words that follow its name.

    Args:
        path: that is not there.
        otherwise: what to say where it is no dangling link and no other name is like it.
    """
    # os.path, unlike Path, says False of a name that no file can have.
    if os.path.islink(path):
        return f"is a link to {os.readlink(path)}, which is not there"
    try:
        names = [other.name for other in path.parent.iterdir() if other.name != path.name]
    except (OSError, ValueError):
        names = []
    for name in names:
        if composed(name) == composed(path.name):
            return f"{otherwise}, but there is {name} in another Unicode form (NFC or NFD)"
        if fold(name) == fold(path.name):
            return f"{otherwise}, but there is {name}: only upper and lower case differ"
    return otherwise
