from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from landmark_kd.core.errors import UserError
from landmark_kd.data.fetching import transfer
from landmark_kd.data.fetching.transfer import PatientRetry, UnreachableError, download
from tests.support.download_server import (
    ETAG,
    DownloadServer,
    endless,
    hanging,
    piece,
    redirect,
    running_server,
    status,
    whole,
)

BODY = np.random.default_rng(0).bytes(400_000)
OTHER = np.random.default_rng(1).bytes(300_000)
HALF = 200_000
DATE = "Mon, 01 Jan 2024 00:00:00 GMT"
LIMIT = 1_000_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DownloadServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "RETRY", PatientRetry(total=2))
    with running_server() as running:
        yield running


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "f.zip.part"


def _interrupted(server: DownloadServer, part: Path) -> None:
    """Leave half of BODY behind, as a run does that a bad connection ended."""
    server.answers["/f"] = [whole(BODY, cut_at=HALF)]
    with pytest.raises(UnreachableError):
        download(server.url("/f"), part, max_bytes=LIMIT)
    server.seen.clear()
    assert 0 < part.stat().st_size <= HALF


def _nothing_left(part: Path) -> bool:
    return list(part.parent.iterdir()) == []


def test_a_file_is_downloaded_whole_and_only_it_is_left(server: DownloadServer, part: Path) -> None:
    server.answers["/f"] = [whole(BODY)]
    download(server.url("/f"), part, max_bytes=len(BODY))
    assert part.read_bytes() == BODY
    assert list(part.parent.iterdir()) == [part]
    assert server.ranges("/f") == [None]
    assert server.seen[0][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("marks", [{"etag": ETAG}, {"etag": None, "modified": DATE}])
def test_a_cut_connection_is_resumed_where_it_was_cut(
    server: DownloadServer, part: Path, marks: dict[str, str | None]
) -> None:
    server.answers["/f"] = [whole(BODY, cut_at=HALF, **marks), whole(BODY, **marks)]  # type: ignore[arg-type]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY
    first, second = server.ranges("/f")
    assert first is None
    assert second is not None
    assert HALF // 2 < int(second.removeprefix("bytes=").removesuffix("-")) <= HALF
    assert server.seen[1][1]["If-Range"] == (marks["etag"] or DATE)


def test_a_later_run_resumes_what_an_earlier_one_left(server: DownloadServer, part: Path) -> None:
    _interrupted(server, part)
    have = part.stat().st_size
    server.answers["/f"] = [whole(BODY)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY
    assert server.ranges("/f") == [f"bytes={have}-"]


def test_tries_are_counted_anew_while_the_file_grows(server: DownloadServer, part: Path) -> None:
    cuts = [whole(BODY, cut_at=at) for at in range(66_000, 396_001, 66_000)]
    assert len(cuts) > 3
    server.answers["/f"] = [*cuts, whole(BODY)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize("marks", [{"etag": None}, {"etag": 'W/"weak"'}])
def test_without_a_mark_of_its_version_a_file_is_fetched_from_its_start(
    server: DownloadServer, part: Path, marks: dict[str, str | None]
) -> None:
    server.answers["/f"] = [whole(OTHER, cut_at=HALF, **marks), whole(BODY, **marks)]  # type: ignore[arg-type]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY
    assert server.ranges("/f") == [None, None]


def test_a_server_without_ranges_is_asked_until_it_serves_the_whole(
    server: DownloadServer, part: Path
) -> None:
    server.answers["/f"] = [whole(BODY, cut_at=HALF), whole(BODY, ranges=False)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize("if_range", [True, False])
@pytest.mark.parametrize("body", [OTHER, OTHER[:1000]], ids=["shorter", "much shorter"])
def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(
    server: DownloadServer, part: Path, if_range: bool, body: bytes
) -> None:
    _interrupted(server, part)
    server.answers["/f"] = [whole(body, etag='"second"', if_range=if_range)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == body
    assert len(server.seen) == (1 if if_range else 2)


@pytest.mark.parametrize(
    "served",
    ["bytes 0-399999/400000", "bytes 7-9/400000", "", "bytes */9", f"bytes {'9' * 5000}-1/9"],
)
def test_another_piece_than_asked_for_is_not_appended(
    server: DownloadServer, part: Path, served: str
) -> None:
    _interrupted(server, part)
    server.answers["/f"] = [piece(BODY, 0, served), whole(BODY)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY
    assert len(server.seen) == 2


def test_a_piece_that_ends_early_is_followed_by_the_next(
    server: DownloadServer, part: Path
) -> None:
    _interrupted(server, part)
    start = part.stat().st_size
    end = start + 1000
    served = f"bytes {start}-{end - 1}/{len(BODY)}"
    server.answers["/f"] = [piece(BODY[:end], start, served), whole(BODY)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY
    assert server.ranges("/f") == [f"bytes={start}-", f"bytes={end}-"]


def test_a_part_of_another_address_is_not_continued(server: DownloadServer, part: Path) -> None:
    _interrupted(server, part)
    server.answers["/other"] = [whole(OTHER)]
    download(server.url("/other"), part, max_bytes=LIMIT)
    assert part.read_bytes() == OTHER
    assert server.ranges("/other") == [None]


@pytest.mark.parametrize(
    "note",
    [
        *(None, "", "[]", '{"url": 1}', '{"url": "http://elsewhere"}', "[" * 100_000),
        '{"url": "URL", "validator": 5, "length": null}',
        '{"url": "URL", "validator": "\\"a\\"\\r\\nHost: b", "length": null}',
        '{"url": "URL", "validator": "\\"a\\"", "length": "9"}',
        '{"url": "URL", "validator": "\\"a\\"", "length": 9, "more": 1}',
    ],
)
def test_a_part_without_a_good_note_is_not_continued(
    server: DownloadServer, part: Path, note: str | None
) -> None:
    part.write_bytes(OTHER)
    if note is not None:
        part.with_name(part.name + ".json").write_text(note.replace("URL", server.url("/f")))
    server.answers["/f"] = [whole(BODY)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY
    assert server.ranges("/f") == [None]


def test_a_part_that_is_whole_already_asks_for_nothing(server: DownloadServer, part: Path) -> None:
    part.write_bytes(BODY)
    note = {"url": server.url("/f"), "validator": ETAG, "length": len(BODY)}
    part.with_name(part.name + ".json").write_text(json.dumps(note))
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY
    assert server.seen == []


def test_a_length_that_is_no_number_is_passed_over(server: DownloadServer, part: Path) -> None:
    server.answers["/f"] = [piece(BODY, 0, "", code=200, length="9" * 5000)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY


def test_a_body_without_length_is_taken_to_its_end(server: DownloadServer, part: Path) -> None:
    server.answers["/f"] = [whole(BODY, length=False)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_a_refusal_is_final_and_names_address_and_status(
    server: DownloadServer, part: Path, code: int
) -> None:
    server.answers["/f"] = [status(code), whole(BODY)]
    with pytest.raises(UserError, match=rf"{server.url('/f')} answered {code} \w+") as caught:
        download(server.url("/f"), part, max_bytes=LIMIT)
    assert not isinstance(caught.value, UnreachableError)
    assert len(server.seen) == 1
    assert _nothing_left(part)


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_server_in_trouble_is_asked_again(server: DownloadServer, part: Path, code: int) -> None:
    server.answers["/f"] = [status(code), whole(BODY)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", [7.0]),
        ("1000000", [transfer.MAX_RETRY_AFTER_S]),
        ("Fri, 01 Jan 2100 00:00:00 GMT", [transfer.MAX_RETRY_AFTER_S]),
        *((text, []) for text in ("soon", "-1", "9" * 5000, DATE)),
    ],
)
def test_a_server_is_asked_again_when_it_says_so(
    server: DownloadServer,
    part: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    waited: list[float],
) -> None:
    waits: list[float] = []
    server.answers["/f"] = [status(503, retry_after=asked), whole(BODY)]
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waits.append)
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY
    assert waits == waited


def test_further_tries_wait_longer_and_longer_but_not_for_ever(
    server: DownloadServer, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.undo()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waits.append)
    server.answers["/f"] = [status(503)]
    with pytest.raises(UnreachableError, match="in 5 tries"):
        download(server.url("/f"), part, max_bytes=LIMIT)
    assert waits == [2.0, 4.0, 8.0]


def test_an_error_without_end_is_not_read(server: DownloadServer, part: Path) -> None:
    server.answers["/f"] = [endless(503), whole(BODY)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY


def test_a_server_that_stays_in_trouble_is_said_to_be_so(
    server: DownloadServer, part: Path
) -> None:
    server.answers["/f"] = [status(503)]
    with pytest.raises(UnreachableError, match="in 3 tries: the server answered 503 Service"):
        download(server.url("/f"), part, max_bytes=LIMIT)
    assert len(server.seen) == 3


def test_a_server_that_is_not_there_is_said_to_be_so(server: DownloadServer, part: Path) -> None:
    with running_server() as gone:
        url = gone.url("/f")
    with pytest.raises(UnreachableError, match=r"the connection failed: .*refused"):
        download(url, part, max_bytes=LIMIT)


def test_a_hanging_server_is_left_and_what_came_is_kept(
    server: DownloadServer, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT_S", (1.0, 0.1))
    server.answers["/f"] = [hanging(BODY, HALF)]
    with pytest.raises(UnreachableError, match="no answer in time"):
        download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.stat().st_size > 0
    server.answers["/f"] = [whole(BODY)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY
    assert server.ranges("/f")[-1] is not None


def test_an_endless_body_is_stopped_at_the_limit(server: DownloadServer, part: Path) -> None:
    server.answers["/f"] = [endless()]
    with pytest.raises(UserError, match="more than the 1000000 bytes"):
        download(server.url("/f"), part, max_bytes=LIMIT)
    assert _nothing_left(part)


def test_a_file_that_says_it_is_too_large_is_not_fetched(
    server: DownloadServer, part: Path
) -> None:
    server.answers["/f"] = [hanging(BODY, 0)]
    with pytest.raises(UserError, match="more than the 399999 bytes"):
        download(server.url("/f"), part, max_bytes=len(BODY) - 1)
    assert _nothing_left(part)


def test_redirects_are_followed_for_each_try(server: DownloadServer, part: Path) -> None:
    server.answers["/f"] = [redirect("/there")]
    server.answers["/there"] = [whole(BODY, cut_at=HALF), whole(BODY)]
    download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.read_bytes() == BODY
    assert len(server.ranges("/f")) == len(server.ranges("/there")) == 2


def test_redirects_that_lead_in_a_circle_are_ended(server: DownloadServer, part: Path) -> None:
    server.answers["/f"] = [redirect("/g")]
    server.answers["/g"] = [redirect("/f")]
    with pytest.raises(UserError, match="redirects"):
        download(server.url("/f"), part, max_bytes=LIMIT)
    assert len(server.seen) == requests.models.DEFAULT_REDIRECT_LIMIT + 1
    assert _nothing_left(part)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/f", "http://[::1/f"])
def test_redirects_out_of_the_web_are_not_followed(
    server: DownloadServer, part: Path, target: str
) -> None:
    server.answers["/f"] = [redirect(target)]
    with pytest.raises(UserError, match="cannot be downloaded"):
        download(server.url("/f"), part, max_bytes=LIMIT)
    assert _nothing_left(part)


@pytest.mark.parametrize(
    ("here", "target", "followed"),
    [
        ("https://a.example/f", "http://a.example/f", False),
        ("https://a.example/f", "//b.example/f", True),
        ("https://a.example/f", "/g", True),
        ("http://a.example/f", "https://a.example/f", True),
        ("http://a.example/f", "http://b.example/f", True),
    ],
)
def test_no_redirect_leaves_encryption(here: str, target: str, followed: bool) -> None:
    answer = requests.Response()
    answer.url = here
    answer.status_code = 302
    answer.headers["Location"] = target
    session = transfer._Session()
    if followed:
        assert session.get_redirect_target(answer) == target
    else:
        with pytest.raises(UserError, match="not encrypted"):
            session.get_redirect_target(answer)


def test_a_full_disk_is_an_error_of_the_system_and_keeps_what_came(
    server: DownloadServer, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    _interrupted(server, part)
    have = part.stat().st_size
    monkeypatch.setattr(transfer, "_check_size", full)
    server.answers["/f"] = [whole(BODY)]
    with pytest.raises(OSError, match="No space left"):
        download(server.url("/f"), part, max_bytes=LIMIT)
    assert part.stat().st_size >= have
