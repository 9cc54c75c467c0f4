"""A web server for this computer alone, which knows a handful of files and no others."""

from __future__ import annotations

import errno
import os
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

from landmark_kd import __version__
from landmark_kd.core.errors import UserError

HOST = "127.0.0.1"
# A page that is reached by another name is another site's, which turned its name to this computer.
NAMES = (HOST, "localhost")

MIME = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
# Nothing from elsewhere, and nothing to elsewhere: images cannot leave the page.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "media-src": "'self' blob:",
    "connect-src": "'self'",
    "worker-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    # A page of its own: only such a one may use several threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Another start may serve another network at the same address.
    "Cache-Control": "no-store",
}


class PageServer(ThreadingHTTPServer):
    """Serves files by their paths at HOST, until it is shut down.

    Args:
        files: contents, or files that hold them, by path, as /model.onnx; the suffix says the kind.
        port: 0 for one that is free.

    Raises:
        UserError: the port cannot be had.
    """

    daemon_threads = True
    # On Windows it would let two servers share a port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, files: dict[str, bytes | Path], port: int) -> None:
        self.files = files
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            number = getattr(error, "errno", None)
            why = "is in use" if number == errno.EADDRINUSE else f"cannot be had ({error})"
            raise UserError(
                f"port {port} of {HOST} {why}; give another one with --port (0: any free one)."
            ) from None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over browsers that go away in the middle of a file."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version = f"landmark-kd/{__version__}"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        path = self.path.partition("?")[0]
        held = self.server.files.get("/index.html" if path == "/" else path)
        if name not in NAMES or held is None:
            self.send_error(HTTPStatus.NOT_FOUND if name in NAMES else HTTPStatus.FORBIDDEN)
            return
        try:
            body = held if isinstance(held, bytes) else held.read_bytes()
        except OSError:  # it was there when the server began
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", MIME[PurePosixPath(path).suffix or ".html"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: a terminal full of requests hides what matters."""
