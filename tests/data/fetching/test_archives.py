from __future__ import annotations

import errno
import gzip
import io
import os
import random
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.fetching.archives import check_kind, unpack
from tests.support.raw_faces import snapshot

NOISE = np.random.default_rng(0).bytes(50_000)
CONTENT = {"faces/a.jpg": NOISE, "faces/a.pts": b"version: 1", "read me.txt": b"", "é/ü.txt": b"u"}
ALL_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


def _pack(archive: Path, members: list[tuple[str, bytes | None]]) -> Path:
    """Write an archive of the kind its name says; content None makes a folder."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in members:
                packed.writestr(zipfile.ZipInfo(name), content or b"", zipfile.ZIP_DEFLATED)
        return archive
    with tarfile.open(archive, "w" if archive.suffix == ".tar" else "w:gz") as packed_tar:
        for name, content in members:
            info = tarfile.TarInfo(name.removesuffix("/") if content is None else name)
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            packed_tar.addfile(info, io.BytesIO(content or b""))
    return archive


def _unpack(archive: Path, out: Path, max_bytes: int = 1 << 20, max_files: int = 100) -> None:
    unpack(archive, out, max_bytes=max_bytes, max_files=max_files)


def _refused(archive: Path, match: str, **limits: int) -> None:
    """Unpacking ends in one sentence that names the archive, and leaves nothing behind."""
    before = sorted(archive.parent.iterdir())
    with pytest.raises(UserError, match=match) as caught:
        _unpack(archive, archive.parent / "out", **limits)
    sentence = str(caught.value)
    assert sentence.startswith(f"{archive} ")
    assert sentence.endswith("; nothing of it was unpacked.")
    assert "\n" not in sentence
    assert sorted(archive.parent.iterdir()) == before


def _tar_of(archive: Path, info: tarfile.TarInfo) -> Path:
    with tarfile.open(archive, "w:gz" if archive.name.endswith("gz") else "w") as packed:
        packed.addfile(info)
    return archive


@pytest.mark.parametrize("suffix", [*ALL_SUFFIXES, ".ZIP"])
def test_archives_of_all_kinds_are_unpacked_as_they_were_packed(
    tmp_path: Path, suffix: str
) -> None:
    written = ".zip" if suffix == ".ZIP" else suffix
    members: list[tuple[str, bytes | None]] = [("faces/", None), ("empty/", None)]
    archive = _pack(tmp_path / f"a{written}", [*members, *CONTENT.items()])
    archive = archive.rename(tmp_path / f"a{suffix}")
    _unpack(archive, tmp_path / "out")
    assert snapshot(tmp_path / "out") == CONTENT
    assert (tmp_path / "out" / "empty").is_dir()


def test_a_tar_archive_as_the_tar_program_makes_it_is_unpacked(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    subprocess.run(["tar", "-czf", tmp_path / "a.tgz", "-C", folder, "."], check=True)
    _unpack(tmp_path / "a.tgz", tmp_path / "out")
    assert snapshot(tmp_path / "out") == CONTENT


def test_a_folder_that_was_there_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("old")
    archive = _pack(tmp_path / "a.zip", [("../new", b"new")])
    _refused(archive, "outside")
    assert snapshot(out) == {"old": b"old"}
    _unpack(_pack(archive, [("new", b"new")]), out)
    assert snapshot(out) == {"new": b"new"}


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
@pytest.mark.parametrize(
    "name",
    ["../a", "a/../../b", "a/..", "/etc/a", "//a/b", "C:/a", "c:a", "..\\a", "a\\b", "\\\\h\\s\\a"],
)
def test_no_name_leaves_the_folder(tmp_path: Path, suffix: str, name: str) -> None:
    archive = _pack(tmp_path / f"a{suffix}", [("good", b"x"), (name, b"x")])
    _refused(archive, "which would lie outside of its folder")


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("name", [".", "a\nb", "a" * 300, "a/" * 200 + "b", "a/."])
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, suffix: str, name: str) -> None:
    _refused(
        _pack(tmp_path / f"a{suffix}", [(name, b"x")]), "not a name of a file|name that is too long"
    )


def test_a_name_that_dvc_cannot_hold_is_refused(tmp_path: Path) -> None:
    archive = _pack(tmp_path / "a.tar", [(os.fsdecode(b"afw/Zo\xeb.jpg"), b"x")])
    _refused(archive, r"holds 'afw/Zo\\xeb\.jpg', which has a name that is not UTF-8")


def test_a_name_that_goes_on_after_a_nul_is_refused(tmp_path: Path) -> None:
    archive = _pack(tmp_path / "a.zip", [("good-bad", b"x")])
    archive.write_bytes(archive.read_bytes().replace(b"good-bad", b"good\0bad"))
    _refused(archive, "is not a name of a file")


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("odd")
    info.type = kind
    info.linkname = "../../etc/passwd"
    _refused(_tar_of(tmp_path / "a.tar.gz", info), "'odd', which is a link or a device")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("odd")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(info, "/etc/passwd")
    _refused(tmp_path / "a.zip", "'odd', which is a link or a device")


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    archive = _pack(tmp_path / "a.zip", [("secret", b"x")])
    data = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    archive.write_bytes(data)
    _refused(archive, "'secret', which is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_pieces_may_fill_the_memory_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as packed:
        packed.writestr("zeros", bytes(1_000_000))
    _refused(tmp_path / "a.zip", "'zeros', which is compressed in another way than by deflate")


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize(
    ("first", "second"),
    [("a/b", "a/b"), ("a/b.TXT", "A/B.txt"), ("a", "a/b"), ("a/b", "a"), ("é", "e\u0301")],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(
    tmp_path: Path, suffix: str, first: str, second: str
) -> None:
    archive = _pack(tmp_path / f"a{suffix}", [(first, b"1"), (second, b"2")])
    _refused(archive, "two members of the name")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_the_unpacked_size_is_limited(tmp_path: Path, suffix: str) -> None:
    zeros = bytes(3_000_000)
    archive = _pack(tmp_path / f"a{suffix}", [("a", zeros), ("b", zeros)])
    assert archive.stat().st_size < 20_000
    _refused(archive, "more than the 5999999 bytes allowed, reached in 'b'", max_bytes=5_999_999)
    _unpack(archive, tmp_path / "out", max_bytes=6_000_000)


def test_a_size_that_a_header_denies_is_found_out(tmp_path: Path) -> None:
    archive = _pack(tmp_path / "a.zip", [("a", bytes(3_000_000))])
    data = archive.read_bytes()
    size = (3_000_000).to_bytes(4, "little")
    assert data.count(size) == 2
    archive.write_bytes(data.replace(size, (10).to_bytes(4, "little")))
    _refused(archive, "damaged", max_bytes=1000)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_the_number_of_members_is_limited(tmp_path: Path, suffix: str) -> None:
    archive = _pack(tmp_path / f"a{suffix}", [(f"{i}/", None) for i in range(11)])
    _refused(archive, "more than the 10 files", max_files=10)
    _unpack(archive, tmp_path / "out", max_files=11)


def test_a_negative_size_does_not_make_room_for_others(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.size = -1024
    archive = tmp_path / "a.tar"
    archive.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    _refused(archive, "damaged .*a size of -1024 bytes")


def test_a_sparse_file_in_a_tar_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 20)
    subprocess.run(
        ["tar", "--sparse", "-cf", tmp_path / "a.tar", "-C", tmp_path, "sparse"], check=True
    )
    _refused(tmp_path / "a.tar", "'sparse', which is a link")


def test_a_huge_tar_header_is_not_read_into_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type = tarfile.GNUTYPE_LONGNAME
    info.size = 2 << 20
    archive = tmp_path / "a.tar"
    archive.write_bytes(info.tobuf() + b"a" * info.size + bytes(1024))
    _refused(archive, "a header of 2097152 bytes")


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_what_macos_adds_is_left_out(tmp_path: Path, suffix: str) -> None:
    names = ["__MACOSX/faces/._a.jpg", "faces/._a.jpg", "faces/.DS_Store", "faces/a.jpg"]
    _unpack(_pack(tmp_path / f"a{suffix}", [(n, b"x") for n in names]), tmp_path / "out")
    assert snapshot(tmp_path / "out") == {"faces/a.jpg": b"x"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["faces"]


def test_modes_of_the_archive_are_not_taken_over(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.mode = 0o6777
    folder = tarfile.TarInfo("f")
    folder.type = tarfile.DIRTYPE
    folder.mode = 0
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        packed.addfile(info)
        packed.addfile(folder)
    _unpack(tmp_path / "a.tar", tmp_path / "out")
    (tmp_path / "plain").touch()
    (tmp_path / "folder").mkdir()
    mode = {path.name: path.stat().st_mode for path in (tmp_path / "out").iterdir()}
    assert mode["a"] == (tmp_path / "plain").stat().st_mode
    assert mode["f"] == (tmp_path / "folder").stat().st_mode


@pytest.mark.parametrize("suffix", ALL_SUFFIXES)
def test_an_archive_cut_anywhere_is_damaged(tmp_path: Path, suffix: str) -> None:
    archive = _pack(tmp_path / f"a{suffix}", list(CONTENT.items()))
    data = archive.read_bytes()
    # A tar ends with zeros, of which some may be missing.
    end = len(data.rstrip(b"\0")) - 1 if suffix == ".tar" else len(data) - 1
    for size in (0, 1, 100, 512, 1024, len(data) // 2, end - 600, end):
        archive.write_bytes(data[:size])
        _refused(archive, "damaged or cut off")


@pytest.mark.parametrize("suffix", ALL_SUFFIXES)
def test_a_changed_byte_never_ends_in_a_crash(tmp_path: Path, suffix: str) -> None:
    archive = _pack(tmp_path / f"a{suffix}", [("f/a.jpg", NOISE[:300]), ("b", NOISE[:900])])
    data = archive.read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(80):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 3, 20))):
            changed[rng.randrange(len(data))] = rng.randrange(256)
        archive.write_bytes(changed)
        try:
            _unpack(archive, tmp_path / "out")
        except UserError:
            refused += 1
    assert refused > 15


def test_wrong_content_is_found_by_its_checksum(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a", b"the true content")
    archive.write_bytes(archive.read_bytes().replace(b"the true", b"not true"))
    _refused(archive, "damaged or cut off in 'a'")
    data = bytearray(gzip.compress(_pack(tmp_path / "a.tar", [("a", b"x")]).read_bytes()))
    data[-8] ^= 1
    (tmp_path / "a.tgz").write_bytes(data)
    _refused(tmp_path / "a.tgz", "damaged or cut off")


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    archive = _pack(tmp_path / "a.tar", [("a", b"x"), ("b", b"y")])
    data = bytearray(archive.read_bytes())
    data[1024 + 150] ^= 1
    archive.write_bytes(data)
    _refused(archive, "damaged or cut off")


@pytest.mark.parametrize(("suffix", "module"), [(".zip", "shutil"), (".tar", "tarfile")])
def test_a_full_disk_is_not_the_fault_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, module: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    archive = _pack(tmp_path / f"a{suffix}", [("a", b"x")])
    monkeypatch.setattr(f"{module}.copyfileobj", fail)
    with pytest.raises(OSError, match="No space left"):
        _unpack(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [archive]


def test_a_failing_disk_is_not_the_fault_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    archive = _pack(tmp_path / "a.zip", [("a", b"x")])
    monkeypatch.setattr(zipfile.ZipExtFile, "read", fail)
    with pytest.raises(OSError, match="Input/output"):
        _unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("suffix", ALL_SUFFIXES)
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"  \n<!DOCTYPE html><p>Log in", "a web page"),
        (b"something else " * 100, "cut off, damaged or something else"),
    ],
)
def test_what_is_no_archive_is_told_by_its_content(
    tmp_path: Path, suffix: str, content: bytes, found: str
) -> None:
    path = tmp_path / "x.part"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^a\{suffix} is not a whole archive but {found}"):
        check_kind(path, f"a{suffix}")


@pytest.mark.parametrize("suffix", ALL_SUFFIXES)
def test_an_archive_is_known_by_its_content_under_any_name(tmp_path: Path, suffix: str) -> None:
    archive = _pack(tmp_path / f"a{suffix}", list(CONTENT.items()))
    check_kind(archive.rename(tmp_path / "x.part"), f"a{suffix}")


def test_an_archive_of_another_kind_than_its_name_is_told(tmp_path: Path) -> None:
    packed = _pack(tmp_path / "a.zip", [("a", b"x")])
    with pytest.raises(UserError, match=r"a\.tar\.gz is not a whole"):
        check_kind(packed, "a.tar.gz")
    # A tar may hold a zip at its end, where zip archives are looked for.
    outer = _pack(tmp_path / "b.tar", [("a.zip", packed.read_bytes())])
    _unpack(outer, tmp_path / "out")
    assert snapshot(tmp_path / "out") == {"a.zip": packed.read_bytes()}
