"""Archives from elsewhere, unpacked without trust in what they say about themselves."""

from __future__ import annotations

import errno
import lzma
import os
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Literal, cast

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_folder

Kind = Literal["zip", "tar", "tar.gz"]

SUFFIXES: dict[str, Kind] = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz"}

_CHUNK_BYTES = 1 << 20
# Longest name of a file in the file systems in use, and a path that fits below any folder.
_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 1024
# A tar member's long name or extended attributes are read into memory whole.
_MAX_TAR_HEADER_BYTES = 1 << 20
# zipfile, tarfile and the decompressors have no common error for a damaged archive.
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    LookupError,
)


def unpack(archive: Path, out: Path, *, max_bytes: int, max_files: int) -> None:
    """Unpack a .zip, .tar, .tar.gz or .tgz file into the folder `out`, whole or not at all.

    It is unpacked beside `out` and renamed when complete; a folder at `out` is replaced then.
    Modes, owners and times of the archive are not taken over, and macOS litter is left out.

    Args:
        max_bytes: most bytes that all members may have, counted while they are written.
        max_files: most members, folders too.

    Raises:
        UserError: the archive is damaged, encrypted or larger than allowed; a member is a link or
            a device, leaves the folder, or has another's name (upper and lower case are one).
            `out` is as it was.
    """
    written = 0
    names = _Names()
    with replaced_folder(out) as folder, _opened(archive) as members:
        for number, member in enumerate(_read_members(archive, members), start=1):
            if number > max_files:
                raise _refusal(archive, f"holds more than the {max_files} files allowed")
            path = _relative_path(archive, member)
            if _is_litter(path):
                continue
            if not names.add(path, member.is_folder):
                raise _refusal(archive, f"holds two members of the name {member.name!r}")
            target = folder / path
            if member.is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                for chunk in _read_chunks(archive, member):
                    written += len(chunk)
                    if written > max_bytes:
                        raise _refusal(
                            archive,
                            f"holds more than the {max_bytes} bytes allowed, reached in "
                            f"{member.name!r}",
                        )
                    file.write(chunk)


def check_kind(path: Path, name: str) -> None:
    """Check by its content that a file is the kind of archive that its name says.

    Args:
        path: where the file is.
        name: what it is called, where it now has a temporary name.

    Raises:
        UserError: it is empty, a web page or something else.
    """
    kind = _kind_of(name)
    with path.open("rb") as file:
        head = file.read(512).lstrip()
    if kind == "zip":
        fits = zipfile.is_zipfile(path)
    else:
        try:
            with _tar(path, kind):
                fits = True
        except (*_DAMAGE, OSError) as error:
            if not _is_damage(error):
                raise
            fits = False
    if not fits:
        found = "cut off, damaged or something else"
        if not head:
            found = "empty"
        elif head.startswith(b"<"):
            found = "a web page, perhaps a form or a login"
        raise UserError(f"{name} is not a whole {kind} archive but {found}.")


@dataclass(frozen=True)
class _Member:
    name: str
    is_folder: bool
    open: Callable[[], IO[bytes]]


class _Names:
    """The names unpacked so far, upper and lower case being one as on many disks."""

    def __init__(self) -> None:
        self._is_folder: dict[str, bool] = {}

    def add(self, path: PurePosixPath, is_folder: bool) -> bool:
        """Note a path and its parents; False if a file of such a name is there already."""
        for parent in list(path.parents)[-2::-1]:
            if not self._is_folder.setdefault(_folded(parent), True):
                return False
        key = _folded(path)
        if is_folder:
            return self._is_folder.setdefault(key, True)
        return key not in self._is_folder and not self._is_folder.setdefault(key, False)


def _folded(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def _kind_of(name: str) -> Kind:
    for suffix, kind in SUFFIXES.items():
        if name.lower().endswith(suffix):
            return kind
    raise UserError(f"{name} is not an archive that can be unpacked; {', '.join(SUFFIXES)} can be.")


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    kind = _kind_of(archive.name)
    with _damage_is_told(archive):
        container = zipfile.ZipFile(archive) if kind == "zip" else _tar(archive, kind)
    with container:
        if isinstance(container, zipfile.ZipFile):
            yield _zip_members(archive, container)
        else:
            yield _tar_members(archive, container)


def _zip_members(archive: Path, container: zipfile.ZipFile) -> Iterator[_Member]:
    for info in container.infolist():
        # The name as it stands in the file: zipfile cuts `filename` at a NUL.
        name = info.orig_filename
        if info.flag_bits & 0x1:
            raise _refusal(archive, f"holds {name!r}, which is encrypted")
        file_type = stat.S_IFMT(info.external_attr >> 16)
        if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refusal(archive, f"holds {name!r}, which is a link or a device")

        def open_member(info: zipfile.ZipInfo = info) -> IO[bytes]:
            return container.open(info)

        yield _Member(name, info.is_dir(), open_member)


class _CheckedTarInfo(tarfile.TarInfo):
    """Makes errors of what tarfile passes over: it takes a damaged header for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _CheckedTarInfo:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            # An archive ends with blocks of zeros.
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(str(error)) from error
        is_content = info.type in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE)
        if not is_content and info.size > _MAX_TAR_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {info.size} bytes")
        return info


def _tar(archive: Path, kind: Kind) -> tarfile.TarFile:
    if kind == "tar.gz":
        return tarfile.open(archive, "r:gz", tarinfo=_CheckedTarInfo)
    return tarfile.open(archive, "r:", tarinfo=_CheckedTarInfo)


def _tar_members(archive: Path, container: tarfile.TarFile) -> Iterator[_Member]:
    for info in container:
        if not info.isfile() and not info.isdir():
            raise _refusal(archive, f"holds {info.name!r}, which is a link or a device")

        def open_member(info: tarfile.TarInfo = info) -> IO[bytes]:
            return cast(IO[bytes], container.extractfile(info))

        yield _Member(info.name, info.isdir(), open_member)
    # gzip compares its checksum when it comes to the end, which lies behind tar's.
    assert container.fileobj is not None
    container.fileobj.read(_CHUNK_BYTES)


def _read_members(archive: Path, members: Iterator[_Member]) -> Iterator[_Member]:
    while True:
        with _damage_is_told(archive):
            member = next(members, None)
        if member is None:
            return
        yield member


def _read_chunks(archive: Path, member: _Member) -> Iterator[bytes]:
    with _damage_is_told(archive, member):
        source = member.open()
    with source:
        while True:
            with _damage_is_told(archive, member):
                chunk = source.read(_CHUNK_BYTES)
            if not chunk:
                return
            yield chunk


def _relative_path(archive: Path, member: _Member) -> PurePosixPath:
    """Return a member's path below the folder it is unpacked to; no parts for that folder."""
    name = member.name
    windows = PureWindowsPath(name)
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or windows.drive or "\\" in name or ".." in parts:
        raise _refusal(archive, f"holds {name!r}, which would lie outside of its folder")
    if any(ord(letter) < 0x20 for letter in name) or (not parts and not member.is_folder):
        raise _refusal(archive, f"holds {name!r}, which is not a name of a file")
    sizes = [len(os.fsencode(part)) for part in parts]
    if sum(sizes) + len(sizes) > _MAX_PATH_BYTES or max(sizes, default=0) > _MAX_NAME_BYTES:
        raise _refusal(archive, f"holds {name[:40]!r}…, whose name is too long")
    return PurePosixPath(*parts)


def _is_litter(path: PurePosixPath) -> bool:
    """Whether macOS put a file there for itself."""
    return "__MACOSX" in path.parts or path.name == ".DS_Store" or path.name.startswith("._")


@contextmanager
def _damage_is_told(archive: Path, member: _Member | None = None) -> Iterator[None]:
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if not _is_damage(error):
            raise
        where = f" in {member.name!r}" if member else ""
        what = " ".join(str(error).split()) or type(error).__name__
        raise _refusal(archive, f"is damaged or cut off{where} ({what})") from error


def _is_damage(error: Exception) -> bool:
    """Whether the archive is at fault, not the disk it is read from.

    Decompressors raise OSError without a number; seeking to where a damaged archive points to
    raises EINVAL.
    """
    return not isinstance(error, OSError) or error.errno in (None, errno.EINVAL)


def _refusal(archive: Path, what: str) -> UserError:
    return UserError(f"{archive} {what}; nothing of it was unpacked.")
