"""One file over HTTP, resumed where a connection was cut."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from pydantic import ValidationError
from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, ProtocolError

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import write_json
from landmark_kd.core.progress import ProgressBar
from landmark_kd.core.schema import Section

# To be connected, and between two pieces of an answer.
TIMEOUT_S = (15.0, 60.0)
MAX_RETRY_AFTER_S = 60.0

_CHUNK_BYTES = 1 << 16
# The server's trouble of the moment, not an answer to the question.
_TRANSIENT = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class UnreachableError(UserError):
    """A download that all tries failed to complete, and that may succeed later."""


class PatientRetry(Retry):
    """Waits between tries as long as the server asks for, within reason."""

    def parse_retry_after(self, retry_after: str) -> float:
        try:
            return min(super().parse_retry_after(retry_after), MAX_RETRY_AFTER_S)
        except (InvalidHeader, ValueError, OverflowError):  # no time that anybody can read
            return 0.0


# Further tries, after 0, 2, 4 and 8 s; one that brings the file on starts the count anew. The loop
# is ours, not an HTTPAdapter's: each try asks for another range, and bodies are cut too.
RETRY = PatientRetry(total=4, backoff_factor=1.0)


def download(url: str, part: Path, *, max_bytes: int) -> None:
    """Bring the file `part` to be the whole of what `url` serves.

    What an earlier run left in `part` is continued if the server still has the same file, which
    it says by an ETag or a date (kept in `<part>.json`); otherwise it is fetched from its start.

    Raises:
        UnreachableError: the connection failed or was cut again and again, or the server is in
            trouble; what has arrived stays.
        UserError: the server has no such file, or more than `max_bytes`; `part` is removed.
    """
    retry, longest = RETRY, _size(part)
    while True:
        try:
            with _Session() as session:
                _try_once(session, url, part, max_bytes)
        except _CurableError as error:
            if _size(part) > longest:
                retry, longest = RETRY, _size(part)
            try:
                retry = retry.increment("GET", url, error=error)
            except MaxRetryError:
                tries = len(retry.history) + 1
                raise UnreachableError(
                    f"{url} could not be downloaded in {tries} tries: {error}."
                ) from None
            print(f"{url}: {error}; trying again", flush=True)
            retry.sleep(error.answer)
        except UserError:
            _discard(part)
            raise
        else:
            _state_file(part).unlink(missing_ok=True)
            return


class _CurableError(Exception):
    """Why a try failed that is worth repeating, and the answer that may say when."""

    def __init__(self, reason: str, answer: BaseHTTPResponse | None = None) -> None:
        super().__init__(reason)
        self.answer = answer


class _State(Section):
    """What a part is the beginning of.

    Attributes:
        url: where it came from.
        validator: the server's mark of this version of the file.
        length: bytes of the whole, where the server said.
    """

    url: str
    validator: str
    length: int | None


class _Session(requests.Session):
    """Follows redirects, but from an encrypted connection to none that is not."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is not None:
            address = urljoin(resp.url, target)
            if urlsplit(resp.url).scheme == "https" and urlsplit(address).scheme != "https":
                raise UserError(f"{resp.url} leads to {address}, which is not encrypted.")
        return target


def _try_once(session: requests.Session, url: str, part: Path, max_bytes: int) -> None:
    state = _read_state(part, url)
    have = _size(part) if state else 0
    if state and have == state.length:
        return
    # The bytes as they are stored: an encoding would have another length and other offsets.
    headers = {"Accept-Encoding": "identity"}
    if state and have:
        headers |= {"Range": f"bytes={have}-", "If-Range": state.validator}
    try:
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            start, length = _understand(answer, state, have, part)
            if start == 0:
                _begin(part, url, _validator(answer), length)
            _check_size(url, length, max_bytes)
            _receive(answer, url, part, start=start, length=length, max_bytes=max_bytes)
    except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
        raise _CurableError(_reason(error)) from error
    except (requests.RequestException, ValueError) as error:  # also an address that is none
        raise UserError(f"{url} cannot be downloaded: {str(error).rstrip('.')}.") from None


def _understand(
    answer: requests.Response, state: _State | None, have: int, part: Path
) -> tuple[int, int | None]:
    """Return at which byte the answer's body begins, and the length of the whole file."""
    status = answer.status_code
    if status == HTTPStatus.OK:
        return 0, answer.raw.length_remaining
    if state and have and status == HTTPStatus.PARTIAL_CONTENT:
        served = re.fullmatch(
            r"bytes (\d{1,18})-\d+/(?:(\d{1,18})|\*)",
            answer.headers.get("Content-Range", "").strip(),
        )
        # Some servers know Range but not If-Range.
        same = _validator(answer) in (None, state.validator)
        if served and int(served[1]) == have and same:
            return have, state.length or (int(served[2]) if served[2] else None)
        _discard(part)
        raise _CurableError("the file has changed on the server")
    if state and have and status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        _discard(part)
        raise _CurableError("the file has become shorter on the server")
    sentence = f"answered {status} {answer.reason or ''}".rstrip()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT:
        raise _CurableError(f"the server {sentence}", answer.raw)
    raise UserError(f"{answer.url} {sentence}.")


def _receive(
    answer: requests.Response,
    url: str,
    part: Path,
    *,
    start: int,
    length: int | None,
    max_bytes: int,
) -> None:
    bar = ProgressBar(
        desc=part.stem, total=length, initial=start, unit="B", unit_scale=True, disable=None
    )
    is_cut = False
    with part.open("ab") as file, bar:
        try:
            for chunk in answer.raw.stream(_CHUNK_BYTES, decode_content=False):
                file.write(chunk)
                bar.update(len(chunk))
                start += len(chunk)
                _check_size(url, start, max_bytes)
        except ProtocolError:
            is_cut = True
    if is_cut or start != (start if length is None else length):
        raise _CurableError(f"the connection was cut after {start} of {length or 'unknown'} bytes")


def _check_size(url: str, size: int | None, max_bytes: int) -> None:
    if size is not None and size > max_bytes:
        raise UserError(f"{url} serves more than the {max_bytes} bytes that the file may have.")


def _begin(part: Path, url: str, validator: str | None, length: int | None) -> None:
    """Start a part anew; without a mark of its version nobody could continue it."""
    _discard(part)
    if validator is not None:
        write_json(_state_file(part), {"url": url, "validator": validator, "length": length})


def _validator(answer: requests.Response) -> str | None:
    """Return the ETag that stands for the exact bytes, or else the date of the last change."""
    etag = answer.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    return answer.headers.get("Last-Modified")


def _read_state(part: Path, url: str) -> _State | None:
    """Return what `part` is the beginning of, None where that is not known for sure."""
    try:
        state = _State.model_validate_json(_state_file(part).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    # A header of its own would be sent for a mark that goes on in another line.
    return state if state.url == url and state.validator.isprintable() else None


def _state_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state_file(part).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: BaseException) -> str:
    """Say in a few words why there was no answer; the libraries wrap the cause many times."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"the connection failed: {error}"
