"""Data sets fetched from where their authors keep them, as `downloads.yaml` lists them."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated

import pooch
from filelock import AcquireReturnProxy, FileLock, Timeout
from pydantic import Field, TypeAdapter, ValidationError, field_validator

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_folder
from landmark_kd.core.schema import Section, read_yaml
from landmark_kd.data.fetching import transfer
from landmark_kd.data.fetching.archives import check_kind, unpack

CATALOGUE = Path(__file__).with_name("downloads.yaml")
CACHE_VARIABLE = "LANDMARK_KD_DOWNLOADS"

# How many folders an archive may have wrapped around its content.
_MAX_WRAPPERS = 2

Count = Annotated[int, Field(ge=1)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*\.(?i:zip|tar|tar\.gz|tgz)$")]
Address = Annotated[str, Field(pattern=r"^https?://\S+$")]
Checksum = Annotated[str, Field(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]


class RemoteFile(Section):
    """One archive of a data set.

    Attributes:
        name: of the file, in the cache too.
        url: where it is downloaded, None where it has to be taken by hand.
        page: where a person finds it.
        take: what to take there, in words.
        checksum: `md5:…` or `sha256:…` as published, None where none is.
        max_bytes: most bytes that the file may have.
        folder: where its content belongs, below the data set's folder; "." is that folder.
        holds: patterns, each of which must match a file in `folder`.
        max_unpacked_bytes: most bytes that its content may have.
        max_files: most files and folders that it may hold.
    """

    name: FileName
    url: Address | None
    page: Address
    take: str
    checksum: Checksum | None
    max_bytes: Count
    folder: str
    holds: Annotated[list[str], Field(min_length=1)]
    max_unpacked_bytes: Count
    max_files: Count

    @field_validator("folder")
    @classmethod
    def _inside(cls, folder: str) -> str:
        if PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts:
            raise ValueError("it must lie below the data set's folder")
        return folder


class Source(Section):
    """Where a data set comes from: its home page, its terms in words, its archives."""

    home: Address
    terms: str
    files: Annotated[list[RemoteFile], Field(min_length=1)]


def download_dataset(
    name: str, out: Path, *, cache: Path | None = None, catalogue: Path = CATALOGUE
) -> None:
    """Put a data set's files into the folder `out`, unpacked in its official layout.

    Its archives stay in `<cache>/<name>`, so that a second call downloads nothing; what has to
    be taken by hand is looked for there too. The cache is that of the operating system unless
    `cache` or the environment variable LANDMARK_KD_DOWNLOADS names one. Of several runs at once
    one downloads and the others wait.

    Raises:
        UserError: a file is missing, and how to get it; an archive is not what it should be.
            `out` is as it was, and what has been downloaded whole stays in the cache.
    """
    source = read_catalogue(catalogue).get(name)
    if source is None:
        raise UserError(f"{catalogue} lists no data set {name}; it cannot be downloaded.")
    folder = (cache or default_cache()) / name
    with _only_run(folder):
        _complete(name, source, folder)
        with replaced_folder(out) as unpacked:
            for file in source.files:
                _unpack(file, folder / file.name, unpacked)


def default_cache() -> Path:
    """Return the folder for downloads where none is given."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser().absolute() if named else Path(pooch.os_cache("landmark-kd"))


def read_catalogue(path: Path = CATALOGUE) -> dict[str, Source]:
    """Read the list of data sets that can be downloaded.

    Raises:
        UserError: it is not such a list; the sentence names the entry.
    """
    content = read_yaml(path)
    try:
        return TypeAdapter(dict[str, Source]).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {key} is {first['input']!r}; {first['msg']}.") from None


def _only_run(folder: Path) -> AcquireReturnProxy:
    """Hold a data set's downloads for this run alone; wait for a run that holds them."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        print(f"another run is fetching {folder.name} into {folder}; waiting for it", flush=True)
        return lock.acquire()


def _complete(name: str, source: Source, folder: Path) -> None:
    """Download into `folder` what is not there.

    Raises:
        UserError: some files are still missing then; it tells of all of them.
    """
    if not all((folder / file.name).exists() for file in source.files):
        print(f"{name}: {source.terms}; see {source.home}", flush=True)
    registry = pooch.create(
        path=folder,
        base_url="",
        registry={file.name: file.checksum for file in source.files},
        urls={file.name: file.url for file in source.files if file.url},
    )
    problems = []
    by_hand = []
    reachable = True
    for file in source.files:
        try:
            if file.url is None:
                _check_taken(file, folder / file.name)
            elif reachable or (folder / file.name).exists():
                registry.fetch(file.name, downloader=partial(_download, file=file, folder=folder))
            else:
                raise UserError(f"{file.name} was not tried.")
        except UserError as error:
            reachable = reachable and not isinstance(error, transfer.UnreachableError)
            problems.append(_clause(error))
            by_hand.append(f"{file.take} from {file.page}")
        except ValueError as error:  # pooch: the checksum is wrong
            sentence, _, _ = str(error).partition(". ")
            problems.append(f"{file.url}: {sentence}")
            by_hand.append(f"{file.take} from {file.page}")
    if problems:
        raise UserError(
            f"{name} is not complete: {'; '.join(problems)}. Run the same command again to go on "
            f"from here; what does not come by itself can be taken by hand ({'; '.join(by_hand)}) "
            f"and put into {folder}, or give an unpacked copy with -S data.path=FOLDER."
        )


def _download(
    url: str, target: str, _registry: pooch.Pooch, *, file: RemoteFile, folder: Path
) -> None:
    """Download for pooch, which compares the checksum of `target` and gives it its name."""
    part = folder / f"{file.name}.part"
    transfer.download(url, part, max_bytes=file.max_bytes)
    try:
        check_kind(part, file.name)
    except UserError as error:
        part.unlink()
        raise UserError(f"{url} did not serve what it should: {error}") from None
    os.replace(part, target)


def _check_taken(file: RemoteFile, path: Path) -> None:
    """Check a file that a person had to put into the cache."""
    if not path.exists():
        raise UserError(f"{file.name} has to be taken by hand.")
    check_kind(path, file.name)
    if not pooch.hashes.hash_matches(path, file.checksum):
        raise UserError(f"{path} has another checksum than the published {file.checksum}.")


def _unpack(file: RemoteFile, archive: Path, out: Path) -> None:
    """Move an archive's content to where it belongs in `out`.

    Raises:
        UserError: the archive is not as it should be. It is removed where it can be downloaded
            anew.
    """
    scratch = out / ".unpacked"
    try:
        unpack(archive, scratch, max_bytes=file.max_unpacked_bytes, max_files=file.max_files)
        content = _find(file, archive, scratch)
        target = out / file.folder
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(content.iterdir()):
            if (target / path.name).exists():
                raise UserError(f"{archive} holds {path.name}, which is in {file.folder} already.")
            os.replace(path, target / path.name)
    except UserError as error:
        if file.url is None:
            advice = f"take {file.name} from {file.page} once more"
        else:
            archive.unlink()
            advice = f"it was removed, run the same command again or take it from {file.page}"
        raise UserError(f"{_clause(error)}; {advice}.") from None
    shutil.rmtree(scratch)


def _find(file: RemoteFile, archive: Path, unpacked: Path) -> Path:
    """Return the folder that holds what the archive should hold, within its wrappers."""
    level = [unpacked]
    for _ in range(1 + _MAX_WRAPPERS):
        fitting = [folder for folder in level if _holds(folder, file.holds)]
        if len(fitting) == 1:
            return fitting[0]
        level = [path for folder in level for path in sorted(folder.iterdir()) if path.is_dir()]
    found = ", ".join(sorted(path.name for path in unpacked.iterdir())[:5]) or "nothing"
    raise UserError(f"{archive} should hold {' and '.join(file.holds)}, but holds {found}.")


def _holds(folder: Path, patterns: list[str]) -> bool:
    return all(any(folder.glob(pattern)) for pattern in patterns)


def _clause(error: UserError) -> str:
    return str(error).removesuffix(".")
