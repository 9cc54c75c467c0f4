"""The page's server: what it serves, to whom, and what it tells browsers."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.demo.files import runtime_files
from landmark_kd.demo.runtime import PAGE
from landmark_kd.demo.server import HOST, PageServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageServer]:
    (tmp_path / "secret.txt").write_text("secret")
    held = tmp_path / "held.wasm"
    held.write_bytes(b"\0asm")
    files: dict[str, bytes | Path] = {
        "/index.html": b"<!doctype html>",
        "/worker.js": b"1",
        "/runtime/a.mjs": b"2",
        "/runtime/a.wasm": held,
        "/gone.json": tmp_path / "gone.json",
    }
    with PageServer(files, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: PageServer, path: str, method: str = "GET", host: str | None = None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(HOST, server.server_address[1])
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/worker.js", "text/javascript; charset=utf-8", b"1"),
        ("/runtime/a.mjs", "text/javascript; charset=utf-8", b"2"),
        ("/runtime/a.wasm?again", "application/wasm", b"\0asm"),
    ],
)
def test_it_serves_what_it_was_given(
    server: PageServer, path: str, kind: str, content: bytes
) -> None:
    answer, found = ask(server, path)
    assert (answer.status, answer.headers["Content-Type"], found) == (200, kind, content)
    answer, found = ask(server, path, "HEAD")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(content)))
    assert found == b""


@pytest.mark.parametrize(
    "path", ["/secret.txt", "/../secret.txt", "/%2e%2e/x", "/runtime/", "/gone.json"]
)
def test_it_serves_nothing_else(server: PageServer, path: str) -> None:
    answer, content = ask(server, path)
    assert answer.status == 404
    assert b"secret" not in content.replace(path.encode(), b"")


def test_it_takes_no_other_method(server: PageServer) -> None:
    assert ask(server, "/", "POST")[0].status == 501


def test_a_page_of_another_name_is_told_nothing(server: PageServer) -> None:
    port = server.server_address[1]
    assert ask(server, "/", host=f"localhost:{port}")[0].status == 200
    for host in (f"elsewhere.example:{port}", "elsewhere.example", f"127.0.0.1.example:{port}"):
        answer, content = ask(server, "/", host=host)
        assert answer.status == 403
        assert b"doctype html>" not in content


@pytest.mark.parametrize("path", ["/", "/worker.js", "/nowhere"])
def test_browsers_are_to_load_and_send_nothing_elsewhere(server: PageServer, path: str) -> None:
    headers = ask(server, path)[0].headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    words = {word for part in policy.split("; ") for word in part.split(" ")[1:]}
    assert words == {"'none'", "'self'", "'wasm-unsafe-eval'", "blob:"}
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"


def test_it_is_there_for_this_computer_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_said_in_a_sentence() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"^port {port} of 127.0.0.1 is in use; .*--port"):
            PageServer({}, port)


def test_every_file_that_the_page_names_is_served(tmp_path: Path) -> None:
    served = {f"/{file.name}" for file in PAGE.iterdir()} | set(runtime_files(tmp_path))
    for script in PAGE.glob("*.js"):
        named = re.findall(r'from "\./([^"]+)"', script.read_text(encoding="utf-8"))
        assert {f"/{name}" for name in named} <= served, script.name
