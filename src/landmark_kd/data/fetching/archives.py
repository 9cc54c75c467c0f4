"""Archives from elsewhere, unpacked without trust in what they say about themselves."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_folder
from landmark_kd.core.names import LONGEST_NAME, fault_of_name
from landmark_kd.core.schema import in_short

# A tar member's long name or extended attributes are read into memory whole.
_MAX_TAR_HEADER_BYTES = 1 << 20


def unpack(archive: Path, out: Path, *, max_bytes: int, max_files: int) -> None:
    """Unpack a .zip, .tar, .tar.gz or .tgz file into the folder `out`, whole or not at all.

    It is unpacked beside `out` and renamed when complete; a folder at `out` is replaced then.
    Modes, owners and times of the archive are not taken over, and macOS litter is left out.

    Args:
        max_bytes: most bytes that all members may have.
        max_files: most members, folders too.

    Raises:
        UserError: the archive is damaged, encrypted or larger than allowed; a member is a link or
            a device, leaves the folder, or has another's name (upper and lower case are one).
            `out` is as it was.
    """
    left = max_bytes
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    with replaced_folder(out) as folder, _told(archive), _opened(archive, archive.name) as packed:
        for number, member in enumerate(_members(packed, folder), start=1):
            if number > max_files:
                raise _RefusedError(f"holds more than the {max_files} files allowed")
            if fault := member.fault or _fault_of_name(member):
                raise _RefusedError(f"holds '{member.name}', which {fault}")
            path = PurePosixPath(member.name)
            if "__MACOSX" in path.parts or path.name == ".DS_Store" or path.name.startswith("._"):
                continue
            key = PurePosixPath(unicodedata.normalize("NFC", str(path)).casefold())
            if files & {key, *key.parents} or (key in folders and not member.is_folder):
                raise _RefusedError(f"holds two members of the name {member.name!r}")
            (folders if member.is_folder else files).add(key)
            folders.update(key.parents)
            # Of no member the libraries read more than the size that its header says.
            left -= member.size
            if left < 0:
                limit = f"the {max_bytes} bytes allowed"
                raise _RefusedError(f"holds more than {limit}, reached in {member.name!r}")
            with _told(archive, f" in {member.name!r}"):
                member.extract()


def check_kind(path: Path, name: str) -> None:
    """Check by its content that a file is the kind of archive that its name says.

    Args:
        path: where the file is.
        name: what it is called, where it now has a temporary name.

    Raises:
        UserError: it is empty, a web page or something else.
    """
    try:
        with _told(path):
            _opened(path, name).close()
    except UserError:
        with path.open("rb") as file:
            head = file.read(512).lstrip()
        found = "cut off, damaged or something else than its name says"
        if not head:
            found = "empty"
        elif head.startswith(b"<"):
            found = "a web page, perhaps a form or a login"
        raise UserError(f"{name} is not a whole archive but {found}.") from None


class _RefusedError(Exception):
    """What is wrong with an archive, in words that follow its name."""


class _Member(NamedTuple):
    name: str
    size: int
    is_folder: bool
    fault: str | None
    extract: Callable[[], object]


class _CheckedTarInfo(tarfile.TarInfo):
    """Makes errors of what tarfile passes over: it takes a damaged header for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _CheckedTarInfo:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            # An archive ends with blocks of zeros.
            if buf == bytes(tarfile.BLOCKSIZE):
                raise
            raise tarfile.ReadError(str(error)) from error
        is_content = info.type in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE)
        if not is_content and info.size > _MAX_TAR_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {info.size} bytes")
        return info


def _opened(path: Path, name: str) -> zipfile.ZipFile | tarfile.TarFile:
    if name.lower().endswith(".zip"):
        return zipfile.ZipFile(path)
    if name.lower().endswith(".tar"):
        return tarfile.open(path, "r:", tarinfo=_CheckedTarInfo)
    return tarfile.open(path, "r:gz", tarinfo=_CheckedTarInfo)


def _members(packed: zipfile.ZipFile | tarfile.TarFile, folder: Path) -> Iterator[_Member]:
    if isinstance(packed, zipfile.ZipFile):
        for entry in packed.infolist():
            fault = None
            if entry.flag_bits & 0x1:
                fault = "is encrypted"
            elif stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                fault = "is a link or a device"
            # Of other ways zipfile makes, in memory, of each piece whatever it becomes.
            elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                fault = "is compressed in another way than by deflate"
            extract: Callable[[], object] = partial(packed.extract, entry, folder)
            # `filename` ends at a NUL, which the name in the file may hold.
            yield _Member(entry.orig_filename, entry.file_size, entry.is_dir(), fault, extract)
        return
    # As `filter="data"`, which Python before 3.11.4 does not know.
    packed.extraction_filter = getattr(tarfile, "data_filter", None)
    for info in packed:
        if info.size < 0:
            raise tarfile.ReadError(f"a size of {info.size} bytes")
        plain = info.isdir() or (info.isfile() and not info.issparse())
        fault = None if plain else "is a link or a device"
        extract = partial(packed.extract, info, folder, set_attrs=False)
        yield _Member(info.name, info.size, info.isdir(), fault, extract)
    # gzip compares its checksum when it comes to the end, which lies behind tar's.
    assert packed.fileobj is not None
    packed.fileobj.read(tarfile.RECORDSIZE)


def _fault_of_name(member: _Member) -> str | None:
    name = member.name
    *parents, last = name.split("/")
    if PureWindowsPath(name).anchor or "\\" in name or ".." in (*parents, last):
        return "would lie outside of its folder"
    is_control = any(ord(letter) < 0x20 for letter in name)
    if is_control or (last in ("", ".") and not member.is_folder):
        return "is not a name of a file"
    # Of a member with its folders, so that it fits below any folder.
    if len(os.fsencode(name)) > LONGEST_NAME:
        return "has a name that is too long"
    fault = next(filter(None, map(fault_of_name, PurePosixPath(name).parts)), None)
    return f"has a name that {fault}" if fault else None


@contextmanager
def _told(archive: Path, where: str = "") -> Iterator[None]:
    """Say in one sentence what is wrong with an archive."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except _RefusedError as error:
        raise UserError(f"{archive} {error}; nothing of it was unpacked.") from None
    except Exception as error:  # zipfile and tarfile have no common one for a damaged archive
        # A damaged archive may point to places that cannot be; all else is the fault of the disk.
        numbers = (None, errno.EINVAL)
        if isinstance(error, OSError) and (error.errno not in numbers or error.filename):
            raise
        reason = in_short(error) or type(error).__name__
        what = f"is damaged or cut off{where} ({reason})"
        raise UserError(f"{archive} {what}; nothing of it was unpacked.") from error
