"""The files that names of images mean, as other tools and systems write those names.

A tool on Windows writes images\\a.jpg or C:\\faces\\a.jpg, a labelling server ../upload/4/a.jpg or
an address with %20 in it, a Mac another Unicode form of ë, and a table may name a.JPG where a.jpg
lies. A name that is a file as it stands is always that file.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, unquote, urlsplit

from landmark_kd.core.names import composed, fault_of_name, fold, rename_hint
from landmark_kd.data.datasets.custom.config import leaves_folder
from landmark_kd.data.datasets.custom.pts_tree import folders_below
from landmark_kd.imaging.images import IMAGE_SUFFIXES

# How a name that is not a file as it stands was understood, in words for many of them.
_SPELLING = "are written for another system or the web"
_FORM = "have another Unicode form (NFC or NFD) than their files"
_CASE = "differ from their files in upper and lower case alone"
_ENDING = "are without the ending of their files"
_BASE = "are found by their base name, which only one file has"
# What Label Studio puts before the name of a file that is uploaded.
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")


@dataclass(frozen=True)
class ImageNames:
    """What became of names of images.

    Attributes:
        files: the file of each name that has one, relative to the folder.
        absent: of each other name why not, in words that follow it.
        notes: a sentence for each way in which names were understood.
    """

    files: Mapping[str, str]
    absent: Mapping[str, str]
    notes: tuple[str, ...]


def find_images(folder: Path, names: Iterable[str]) -> ImageNames:
    """Find the files in a folder that names mean.

    A name that is none is tried with / for \\, as an address, in another Unicode form, in other
    letter case, and last by its base name: that has to be one file's alone, and no two names may
    mean one file by it.
    """
    files: dict[str, str] = {}
    lost: list[str] = []
    for name in dict.fromkeys(names):
        # os.path, unlike Path, says False of a name that is too long for any file.
        if not leaves_folder(name) and os.path.isfile(folder / name):
            files[name] = PurePosixPath(name).as_posix()
        else:
            lost.append(name)
    if not lost:
        return ImageNames(files, {}, ())
    index = _Index(folder)
    absent: dict[str, str] = {}
    found: dict[str, tuple[str, str]] = {}
    for name in lost:
        match = index.find(name)
        if isinstance(match, str):
            absent[name] = match
        else:
            found[name] = match
    # Names that mean a file for other reasons than its base name have it first.
    loose = {name for name, (_, how) in found.items() if how in (_BASE, _ENDING)}
    owner = {file: name for name, file in files.items()}
    owner |= {file: name for name, (file, _) in found.items() if name not in loose}
    claims = Counter(found[name][0] for name in loose)
    ways: dict[str, list[str]] = defaultdict(list)
    for name, (file, how) in found.items():
        if name in loose and (file in owner or claims[file] > 1):
            rival = owner.get(file) or next(n for n in loose - {name} if found[n][0] == file)
            absent[name] = (
                f"is not in {folder}, and {file} has its base name, but {rival} means that file"
            )
            continue
        files[name] = file
        ways[how].append(name)
    notes = tuple(
        f"{len(of_way)} of {len(files) + len(absent)} names of images {how}: {of_way[0]} is "
        f"{files[of_way[0]]}"
        for how, of_way in ways.items()
    )
    return ImageNames(files, absent, notes)


def spellings(name: str) -> Iterator[str]:
    """Yield what a name may mean once backslashes, addresses and %20 are taken for such."""
    yield name
    slashed = name.replace("\\", "/")
    if slashed != name:
        yield slashed
    texts = [slashed]
    if "://" in slashed or "?" in slashed:
        try:
            address = urlsplit(slashed)
        except ValueError:  # http://[…
            return
        texts = [address.path, *(value for _, value in parse_qsl(address.query))]
        yield from texts
    yield from (unquote(text) for text in texts if "%" in text)


class _Index:
    """The files below a folder by their base names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._dangling: dict[str, str] = {}
        self._odd: list[str] = []
        for within in folders_below(folder):
            for path in sorted(within.iterdir()):
                if path.name.startswith(".") or path.is_dir():
                    continue
                name = path.relative_to(folder).as_posix()
                if not path.is_file():
                    if path.is_symlink():
                        self._dangling[fold(name)] = os.readlink(path)
                elif fault_of_name(path.name):
                    self._odd.append(path.name)
                else:
                    self._by_name[fold(path.name)].append(name)
                    if path.suffix.lower() in IMAGE_SUFFIXES:
                        self._by_stem[fold(path.stem)].append(name)

    def find(self, name: str) -> tuple[str, str] | str:
        """Return a file and how the name means it, or why it means none."""
        several: Sequence[str] = ()
        for text in spellings(name):
            parts = _parts(text)
            if not parts:
                continue
            whole = "/".join(parts)
            bases = [parts[-1], _UPLOAD.sub("", parts[-1])]
            for base in dict.fromkeys(bases):
                files = self._by_name.get(fold(base), [])
                if found := self._by_whole(whole, files, text):
                    return found
                if file := _nearest(whole, base, files):
                    return file, _BASE
                several = several or files
            has_ending = PurePosixPath(parts[-1]).suffix.lower() in IMAGE_SUFFIXES
            files = [] if has_ending else self._by_stem.get(fold(parts[-1]), [])
            if len(files) == 1:
                return files[0], _ENDING
            several = several or files
        return self._why_not(name, several)

    @staticmethod
    def _by_whole(whole: str, files: Sequence[str], text: str) -> tuple[str, str] | None:
        """Return the one file whose whole name, folders too, is the one wanted."""
        if leaves_folder(text):
            return None
        if whole in files:
            return whole, _SPELLING
        formed = [f for f in files if composed(f) == composed(whole)]
        if len(formed) == 1:
            return formed[0], _FORM
        folded = [f for f in files if fold(f) == fold(whole)]
        return (folded[0], _CASE) if len(folded) == 1 else None

    def _why_not(self, name: str, several: Sequence[str]) -> str:
        wholes = ["/".join(_parts(text)) for text in spellings(name)]
        for path in map(PurePosixPath, wholes):
            for link in (path, *path.parents):
                if target := self._dangling.get(fold(str(link))):
                    return f"in {self._folder} is a link to {target}, which is not there"
        if several:
            return (
                f"is not in {self._folder}, and its base name is that of several files: "
                f"{several[0]} and {several[1]}" + " and others" * (len(several) > 2)
            )
        state = f"is not in {self._folder}"
        base = PurePosixPath(wholes[-1]).name
        if len(PurePosixPath(name.replace("\\", "/")).parts) > 1:
            state += f", and no file below it is called {base}"
        if other := self._by_stem.get(fold(PurePosixPath(base).stem)):
            return f"{state}, but there is {other[0]}"
        if self._odd:
            return (
                f"{state}; but names there such as {self._odd[0]} are not UTF-8, which may be why: "
                f"{rename_hint(self._folder)}"
            )
        return state


def _parts(text: str) -> list[str]:
    """Return folders and base name of a path of any system, without drive and climbs."""
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", ".") and not re.fullmatch(r"[A-Za-z]:", part):
            parts.append(part)
    return parts


def _nearest(whole: str, base: str, files: Sequence[str]) -> str | None:
    """Return the one file of a base name, or the one whose folders fit best; None: no one."""
    if len(files) == 1:
        return files[0]
    exact = [file for file in files if composed(PurePosixPath(file).name) == composed(base)]
    if len(exact) == 1:
        return exact[0]
    common = {file: _common_folders(whole, file) for file in files}
    best = max(common.values(), default=0)
    fitting = [file for file in files if common[file] == best]
    return fitting[0] if best and len(fitting) == 1 else None


def _common_folders(a: str, b: str) -> int:
    """Return how many folders right above them two files have in common."""
    above = zip(reversed(a.split("/")[:-1]), reversed(b.split("/")[:-1]), strict=False)
    return sum(1 for _ in takewhile(lambda pair: fold(pair[0]) == fold(pair[1]), above))
