"""A web server on 127.0.0.1 that behaves and misbehaves as told, for tests of downloads."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ETAG = '"first"'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DownloadServer

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.seen.append((self.path, dict(self.headers)))
        answers = self.server.answers.get(self.path, [status(404)])
        # The last answer stays.
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    def begin(self, code: int, headers: dict[str, str | None]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


Answer = Callable[[Handler], None]


class DownloadServer(ThreadingHTTPServer):
    """Answers each path by its list in `answers`, one after the other; `seen` is what was asked.

    Attributes:
        answers: for each path its answers to come.
        seen: path and headers of each request.
        closing: set when the server is about to stop, which ends answers that hang.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ranges(self, path: str) -> list[str | None]:
        """The Range header of each request of a path."""
        return [headers.get("Range") for asked, headers in self.seen if asked == path]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is part of the tests."""


@contextmanager
def running_server() -> Iterator[DownloadServer]:
    server = DownloadServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def whole(
    body: bytes,
    *,
    etag: str | None = ETAG,
    modified: str | None = None,
    ranges: bool = True,
    if_range: bool = True,
    after: threading.Event | None = None,
    cut_at: int | None = None,
    length: bool = True,
) -> Answer:
    """Serve a file as a web server should, except for what is switched off.

    Args:
        ranges: whether it can begin in the middle.
        if_range: whether it knows the header that asks whether the file is still the same.
        after: what it waits for.
        cut_at: byte of the file at which the connection is closed.
        length: whether it says the length.
    """

    def answer(handler: Handler) -> None:
        if after is not None:
            after.wait(60)
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        mark = handler.headers.get("If-Range")
        same = mark is None or not if_range or mark in (etag, modified)
        start = int(asked[1]) if asked and ranges and same else 0
        headers: dict[str, str | None] = {"ETag": etag, "Last-Modified": modified}
        if start >= len(body) and start:
            handler.begin(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
            return
        if length:
            headers["Content-Length"] = str(len(body) - start)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        handler.begin(206 if start else 200, headers)
        handler.wfile.write(body[start:cut_at])

    return answer


def piece(
    body: bytes, start: int, served: str, *, code: int = 206, length: str | None = None
) -> Answer:
    """Serve `body` from `start` on as a part of a file, `served` being what it says of it."""

    def answer(handler: Handler) -> None:
        said = length or str(len(body) - start)
        handler.begin(code, {"ETag": ETAG, "Content-Range": served, "Content-Length": said})
        handler.wfile.write(body[start:])

    return answer


def status(code: int, body: bytes = b"no such thing", *, retry_after: str | None = None) -> Answer:
    def answer(handler: Handler) -> None:
        handler.begin(code, {"Content-Length": str(len(body)), "Retry-After": retry_after})
        handler.wfile.write(body)

    return answer


def redirect(to: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.begin(HTTPStatus.FOUND, {"Location": to, "Content-Length": "0"})

    return answer


def endless(code: int = 200) -> Answer:
    """Serve zeros, without a length, as long as somebody takes them."""

    def answer(handler: Handler) -> None:
        handler.begin(code, {"ETag": ETAG})
        while not handler.server.closing.is_set():
            handler.wfile.write(bytes(1 << 16))

    return answer


def hanging(body: bytes, at: int) -> Answer:
    """Serve a file's beginning, then nothing more while the connection stays open."""

    def answer(handler: Handler) -> None:
        handler.begin(200, {"ETag": ETAG, "Content-Length": str(len(body))})
        handler.wfile.write(body[:at])
        handler.server.closing.wait(10)

    return answer
