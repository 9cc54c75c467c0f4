from __future__ import annotations

import contextlib
import hashlib
import io
import multiprocessing
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import yaml

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.registry import DATASETS
from landmark_kd.data.fetching import transfer
from landmark_kd.data.fetching.catalogue import (
    CACHE_VARIABLE,
    CATALOGUE,
    default_cache,
    download_dataset,
    read_catalogue,
)
from tests.support.download_server import (
    DownloadServer,
    endless,
    hanging,
    redirect,
    running_server,
    status,
    whole,
)
from tests.support.raw_faces import snapshot

NOISE = np.random.default_rng(0).bytes(300_000)
LOGIN = b"<!DOCTYPE html><title>Log in</title>"


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _tgz(files: dict[str, bytes], link: str | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link is not None:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    return packed.getvalue()


IMAGES = _zip({"a.jpg": NOISE, "a.pts": b"points"})
LISTS = _tgz({"lists/train.txt": b"train", "lists/test.txt": b"test"})
UNPACKED = {"images/a.jpg": NOISE, "images/a.pts": b"points", "lists/train.txt": b"train"}
UNPACKED["lists/test.txt"] = b"test"


class Case:
    """A data set of two archives on a server that serves both well until told otherwise."""

    def __init__(self, server: DownloadServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.cache = folder / "cache"
        self.out = folder / "raw" / "faces"
        self.catalogue = folder / "downloads.yaml"
        server.answers["/p.zip"] = [whole(IMAGES)]
        server.answers["/l.tgz"] = [whole(LISTS)]
        self.entries: list[dict[str, Any]] = [
            self._entry("p.zip", "images", ["*.pts"]),
            self._entry("l.tgz", "lists", ["train.txt", "test.txt"]),
        ]

    def _entry(self, name: str, folder: str, holds: list[str]) -> dict[str, Any]:
        return {
            "name": name,
            "url": self.server.url(f"/{name}"),
            "page": "https://faces.example/page",
            "take": f"the file {name}",
            "checksum": None,
            "max_bytes": 1_000_000,
            "folder": folder,
            "holds": holds,
            "max_unpacked_bytes": 1_000_000,
            "max_files": 10,
        }

    def write_catalogue(self) -> None:
        source = {"home": "https://faces.example", "terms": "for tests", "files": self.entries}
        self.catalogue.write_text(yaml.safe_dump({"faces": source}))

    def fetch(self) -> None:
        self.write_catalogue()
        download_dataset("faces", self.out, cache=self.cache, catalogue=self.catalogue)

    def fails(self, *said: str) -> str:
        """Fetching ends in one sentence, with nothing in `out`."""
        with pytest.raises(UserError) as caught:
            self.fetch()
        sentence = str(caught.value)
        for words in said:
            assert words in sentence
        assert "\n" not in sentence
        assert not self.out.exists()
        assert not self.out.parent.exists() or list(self.out.parent.iterdir()) == []
        return sentence

    def works(self) -> None:
        self.fetch()
        assert snapshot(self.out) == UNPACKED
        assert sorted(path.name for path in self.out.iterdir()) == ["images", "lists"]
        assert self.cached() == ["l.tgz", "p.zip"]

    def cached(self) -> list[str]:
        return sorted(path.name for path in (self.cache / "faces").iterdir())

    def asked(self, path: str) -> int:
        return len(self.server.ranges(path))


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "RETRY", transfer.PatientRetry(total=2))
    with running_server() as server:
        yield Case(server, tmp_path)


def test_a_data_set_is_downloaded_and_unpacked_to_its_layout(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    case.works()
    assert "faces: for tests; see https://faces.example" in capsys.readouterr().out


def test_a_second_fetch_downloads_nothing(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.works()
    capsys.readouterr()
    case.works()
    assert (case.asked("/p.zip"), case.asked("/l.tgz")) == (1, 1)
    assert capsys.readouterr().out == ""


def test_an_empty_folder_that_is_there_is_filled(case: Case) -> None:
    case.out.mkdir(parents=True)
    case.works()


@pytest.mark.parametrize("wrapper", ["images/", "any name/", "a/b/"])
def test_folders_wrapped_around_the_content_are_dropped(case: Case, wrapper: str) -> None:
    files = {f"{wrapper}a.jpg": NOISE, f"{wrapper}a.pts": b"points", "__MACOSX/x.pts": b""}
    case.server.answers["/p.zip"] = [whole(_zip(files))]
    case.works()


def test_two_archives_may_share_a_folder_but_no_file(case: Case) -> None:
    case.entries[0]["folder"] = case.entries[1]["folder"] = "."
    case.fetch()
    assert sorted(snapshot(case.out)) == ["a.jpg", "a.pts", "test.txt", "train.txt"]
    case.out.rename(case.folder / "kept")
    case.server.answers["/l.tgz"] = [whole(_tgz({"train.txt": b"", "test.txt": b"", "a.pts": b""}))]
    (case.cache / "faces" / "l.tgz").unlink()
    case.fails("l.tgz holds a.pts, which is in . already")


def test_a_download_that_was_cut_is_resumed_by_the_next_run(case: Case) -> None:
    case.server.answers["/p.zip"] = [whole(IMAGES, cut_at=len(IMAGES) // 2)]
    said = case.fails(
        f"{case.server.url('/p.zip')} could not be downloaded in 3 tries",
        f"the connection was cut after {len(IMAGES) // 2} of {len(IMAGES)} bytes",
        "the file p.zip from https://faces.example/page",
    )
    assert str(case.cache / "faces") in said
    have = (case.cache / "faces" / "p.zip.part").stat().st_size
    assert 0 < have <= len(IMAGES) // 2
    case.server.answers["/p.zip"] = [whole(IMAGES)]
    case.works()
    assert case.server.ranges("/p.zip")[-1] == f"bytes={have}-"


def test_where_nobody_answers_one_file_is_tried_and_all_are_named(case: Case) -> None:
    case.server.answers["/p.zip"] = [status(503)]
    case.fails("the server answered 503", "l.tgz was not tried", "the file l.tgz")
    assert case.asked("/l.tgz") == 0
    case.server.answers["/p.zip"] = [whole(IMAGES)]
    case.works()


def test_a_missing_file_leaves_the_others_downloaded_and_may_come_by_hand(case: Case) -> None:
    case.server.answers["/p.zip"] = [status(404)]
    case.fails(
        f"{case.server.url('/p.zip')} answered 404 Not Found",
        "the file p.zip from https://faces.example/page",
        str(case.cache / "faces"),
        "data.path",
    )
    assert case.cached() == ["l.tgz"]
    (case.cache / "faces" / "p.zip").write_bytes(IMAGES)
    case.works()
    assert (case.asked("/p.zip"), case.asked("/l.tgz")) == (1, 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (LOGIN, "a web page, perhaps a form or a login"),
        (b"", "p.zip is not a whole archive but empty"),
        (IMAGES[:-1000], "cut off, damaged or something else"),
        (LISTS, "p.zip is not a whole archive"),
    ],
    ids=["login page", "empty", "cut", "other kind"],
)
def test_what_is_no_archive_is_not_kept(case: Case, body: bytes, said: str) -> None:
    case.server.answers["/p.zip"] = [whole(body)]
    case.fails(case.server.url("/p.zip"), said)
    assert case.cached() == ["l.tgz"]
    case.server.answers["/p.zip"] = [whole(IMAGES)]
    case.works()


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_wrong_checksum_is_told_and_the_file_is_not_kept(case: Case, algorithm: str) -> None:
    expected = hashlib.new(algorithm, IMAGES).hexdigest()
    case.entries[0]["checksum"] = f"{algorithm}:{expected}"
    other = _zip({"a.pts": b"other"})
    case.server.answers["/p.zip"] = [whole(other)]
    case.fails(case.server.url("/p.zip"), expected, hashlib.new(algorithm, other).hexdigest())
    assert case.asked("/p.zip") == 1
    assert case.cached() == ["l.tgz"]
    case.server.answers["/p.zip"] = [whole(IMAGES)]
    case.works()


def test_a_file_in_the_cache_with_a_wrong_checksum_is_downloaded_anew(case: Case) -> None:
    case.entries[0]["checksum"] = f"md5:{hashlib.md5(IMAGES).hexdigest()}"
    case.works()
    (case.cache / "faces" / "p.zip").write_bytes(_zip({"a.pts": b"other"}))
    case.works()
    assert case.asked("/p.zip") == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_zip({"../a.pts": b"x"}), "outside of its folder"),
        (_zip({"a.pts": bytes(2_000_000)}), "more than the 1000000 bytes"),
        (_zip({f"{i}.pts": b"" for i in range(11)}), "more than the 10 files"),
        (IMAGES.replace(NOISE[:20], NOISE[1:21]), "damaged or cut off in 'a.jpg'"),
        (_zip({"other.txt": b"x"}), "should hold *.pts, but holds other.txt"),
        (_zip({}), "but holds nothing"),
        (_zip({"a/x.pts": b"x", "b/x.pts": b"x"}), "should hold *.pts, but holds a, b"),
    ],
    ids=["leaves the folder", "bomb", "many files", "damaged", "other", "nothing", "ambiguous"],
)
def test_an_archive_that_cannot_be_used_is_not_kept(case: Case, body: bytes, said: str) -> None:
    case.server.answers["/p.zip"] = [whole(body)]
    case.fails(said, "it was removed, run the same command again")
    assert case.cached() == ["l.tgz"]
    case.server.answers["/p.zip"] = [whole(IMAGES)]
    case.works()


def test_a_tar_with_a_link_out_is_not_kept(case: Case) -> None:
    files = {"lists/train.txt": b"train", "lists/test.txt": b"test"}
    case.server.answers["/l.tgz"] = [whole(_tgz(files, link="/etc"))]
    case.fails("'link', which is a link or a device")
    assert case.cached() == ["p.zip"]
    case.server.answers["/l.tgz"] = [whole(LISTS)]
    case.works()


def test_an_archive_without_all_that_it_should_hold_is_not_kept(case: Case) -> None:
    case.server.answers["/l.tgz"] = [whole(_tgz({"lists/train.txt": b"train"}))]
    case.fails("l.tgz should hold train.txt and test.txt, but holds lists")
    assert case.cached() == ["p.zip"]


def test_an_endless_body_is_not_kept(case: Case) -> None:
    case.server.answers["/p.zip"] = [endless()]
    case.fails("more than the 1000000 bytes")
    assert case.cached() == ["l.tgz"]
    case.server.answers["/p.zip"] = [whole(IMAGES)]
    case.works()


def test_a_hanging_server_is_left_and_resumed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT_S", (1.0, 0.1))
    case.server.answers["/p.zip"] = [hanging(IMAGES, 200_000)]
    case.fails("no answer in time")
    case.server.answers["/p.zip"] = [whole(IMAGES)]
    case.works()
    assert case.server.ranges("/p.zip")[-1] is not None


def test_a_circle_of_redirects_is_told_and_a_good_redirect_followed(case: Case) -> None:
    case.server.answers["/p.zip"] = [redirect("/p.zip")]
    case.fails("redirects")
    case.server.answers["/p.zip"] = [redirect("/elsewhere")]
    case.server.answers["/elsewhere"] = [whole(IMAGES)]
    case.works()


def test_files_to_be_taken_by_hand_are_told_after_the_others_are_there(case: Case) -> None:
    case.entries[0]["url"] = None
    case.fails(
        "p.zip has to be taken by hand",
        "the file p.zip from https://faces.example/page",
        str(case.cache / "faces"),
        "data.path",
    )
    assert case.cached() == ["l.tgz"]
    assert case.asked("/p.zip") == 0
    (case.cache / "faces" / "p.zip").write_bytes(IMAGES)
    case.works()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (LOGIN, "a web page"),
        (_zip({"a.pts": b"other"}), "another checksum than the published md5:"),
    ],
)
def test_a_wrong_file_taken_by_hand_is_told_and_left_to_its_owner(
    case: Case, body: bytes, said: str
) -> None:
    case.entries[0] |= {"url": None, "checksum": f"md5:{hashlib.md5(IMAGES).hexdigest()}"}
    mine = case.cache / "faces" / "p.zip"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(body)
    case.fails(said)
    assert mine.read_bytes() == body
    mine.write_bytes(IMAGES)
    case.works()


def test_a_damaged_file_taken_by_hand_is_left_to_its_owner(case: Case) -> None:
    case.entries[0]["url"] = None
    mine = case.cache / "faces" / "p.zip"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(IMAGES.replace(NOISE[:20], NOISE[1:21]))
    case.fails("damaged", "take p.zip from https://faces.example/page once more")
    assert mine.exists()


def test_what_an_interrupted_run_leaves_does_not_disturb_the_next(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("landmark_kd.data.fetching.catalogue._find", interrupted)
        with pytest.raises(KeyboardInterrupt):
            case.fetch()
    assert not case.out.exists()
    case.works()
    assert case.asked("/p.zip") == 1


def _fetch_in_a_process(out: Path, cache: Path, catalogue: Path, log: Path) -> None:
    with log.open("w", buffering=1) as file, contextlib.redirect_stdout(file):
        download_dataset("faces", out, cache=cache, catalogue=catalogue)


@pytest.mark.seconds
def test_of_two_runs_at_once_one_downloads_and_the_other_waits(case: Case) -> None:
    both_run = threading.Event()
    case.server.answers["/p.zip"] = [whole(IMAGES, after=both_run)]
    case.write_catalogue()
    outs, logs = ([case.folder / f"{what}{i}" for i in (0, 1)] for what in ("out", "log"))
    context = multiprocessing.get_context("spawn")
    runs = [
        context.Process(target=_fetch_in_a_process, args=(out, case.cache, case.catalogue, log))
        for out, log in zip(outs, logs, strict=True)
    ]
    for run in runs:
        run.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if any("waiting" in log.read_text() for log in logs if log.exists()):
            both_run.set()
            break
        time.sleep(0.02)
    for run in runs:
        run.join(30 if both_run.is_set() else 0)
        run.terminate()
        run.join()
    assert [run.exitcode for run in runs] == [0, 0]
    assert [snapshot(out) for out in outs] == [UNPACKED, UNPACKED]
    assert (case.asked("/p.zip"), case.asked("/l.tgz")) == (1, 1)
    assert "".join(log.read_text() for log in logs).count("another run is fetching faces") == 1


def test_the_cache_is_named_by_a_variable(
    case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "mine"))
    case.write_catalogue()
    download_dataset("faces", case.out, catalogue=case.catalogue)
    assert (tmp_path / "mine" / "faces" / "p.zip").exists()
    monkeypatch.setenv(CACHE_VARIABLE, "~/mine")
    assert default_cache() == Path.home() / "mine"
    monkeypatch.delenv(CACHE_VARIABLE)
    assert default_cache().name == "landmark-kd"


def test_an_unknown_data_set_is_told(case: Case) -> None:
    case.write_catalogue()
    with pytest.raises(UserError, match="lists no data set other"):
        download_dataset("other", case.out, cache=case.cache, catalogue=case.catalogue)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"typo": 1}, "faces.files.0.typo is 1"),
        ({"max_bytes": "1"}, "faces.files.0.max_bytes is '1'"),
        ({"max_files": 0}, "faces.files.0.max_files is 0"),
        ({"url": "file:///etc/passwd"}, "faces.files.0.url is 'file:"),
        ({"checksum": "md5:1234"}, "faces.files.0.checksum is 'md5:1234'"),
        ({"name": "../x.zip"}, "faces.files.0.name is '../x.zip'"),
        (
            {"name": "x.rar"},
            "faces.files.0.name is 'x.rar'; String should match pattern",
        ),
        ({"folder": "../x"}, "faces.files.0.folder is '../x'"),
        ({"folder": "/x"}, "faces.files.0.folder is '/x'"),
        ({"holds": []}, "faces.files.0.holds is []"),
    ],
)
def test_a_mistake_in_the_catalogue_is_told_with_its_place(
    case: Case, change: dict[str, Any], said: str
) -> None:
    case.entries[0] |= change
    assert case.fails(said).startswith(f"{case.catalogue}: ")


def test_a_catalogue_that_is_no_yaml_is_told(case: Case) -> None:
    case.catalogue.write_text("{")
    with pytest.raises(UserError, match=r"downloads\.yaml is not valid YAML"):
        read_catalogue(case.catalogue)


def test_every_part_that_is_read_of_a_data_set_is_in_what_is_downloaded() -> None:
    catalogue = read_catalogue()
    for name in catalogue.keys() & DATASETS.keys():
        held = [PurePosixPath(f.folder, hold) for f in catalogue[name].files for hold in f.holds]
        places = {place for path in held for place in (path, *path.parents)}
        for part in DATASETS[name].parts:
            assert PurePosixPath(part.folder) in places
    assert "300w" in catalogue.keys() & DATASETS.keys()


def test_the_projects_links_are_encrypted_and_its_limits_hold_the_published_files() -> None:
    catalogue = read_catalogue(CATALOGUE)
    assert sorted(catalogue) == ["300w", "300w_lp", "cofw", "wflw"]
    for source in catalogue.values():
        names = [file.name for file in source.files]
        assert len(names) == len(set(names))
        for file in source.files:
            # The page of 300W-LP cannot be had encrypted; a person looks at it in a browser.
            assert file.page.startswith("https://") or (source.home, file.url) == (file.page, None)
            assert file.url is None or file.url.startswith("https://")
            assert file.url is None or PurePosixPath(file.url).name == file.name
            assert file.max_unpacked_bytes >= file.max_bytes
    (cofw,) = catalogue["cofw"].files
    assert cofw.checksum == "md5:8b21d126c4e1fb307cb463578eef0511"
    assert cofw.max_bytes == 503_327_162
    assert [file.name for file in catalogue["wflw"].files if file.url is None] == [
        "WFLW_images.tar.gz"
    ]


@pytest.mark.parametrize("name", ["300w", "wflw"])
def test_archives_made_of_real_faces_are_unpacked_to_the_layout_that_is_read(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By the project's own list, which asks for folders, wrappers and content."""
    cache = tmp_path / "cache" / name
    cache.mkdir(parents=True)
    monkeypatch.setattr(transfer, "download", _no_download)
    expected: dict[str, bytes] = {}
    for file in read_catalogue()[name].files:
        folder = shared / "data" / name / file.folder
        wrap = file.folder if name == "wflw" else ""
        paths = [path for hold in file.holds for path in sorted(folder.glob(hold))[:3]]
        files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
        if not files:  # IBUG is not among the shared faces
            files = {"image_003_1.pts": b"version: 1"}
        expected |= {str(PurePosixPath(file.folder, key)): files[key] for key in files}
        wrapped = {str(PurePosixPath(wrap, key)): files[key] for key in files}
        packed = _zip(wrapped) if file.name.endswith(".zip") else _tgz(wrapped)
        (cache / file.name).write_bytes(packed)
    download_dataset(name, tmp_path / "out", cache=tmp_path / "cache")
    assert snapshot(tmp_path / "out") == expected


def _no_download(*_: object, **__: object) -> None:
    raise AssertionError("a test asked a real server")
