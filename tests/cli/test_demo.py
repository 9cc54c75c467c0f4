"""`landmark-kd demo`: how it starts, ends and refuses; tests/demo has the page itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from landmark_kd.cli import demo
from landmark_kd.demo.runtime import FILES, runtime_folder
from landmark_kd.inference.yunet_file import FILE
from tests.conftest import PROJECT
from tests.support.command import run

pytestmark = pytest.mark.seconds


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_it_serves_the_page_until_it_is_interrupted(cache: Path, tmp_path: Path) -> None:
    runtime = runtime_folder()
    runtime.mkdir(parents=True)
    for name in FILES:
        (runtime / name).write_text(name)
    command = [sys.executable, "-m", "landmark_kd.cli.main", "demo", "--no-browser", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(3)]
        assert said[0].startswith("model: ")
        assert said[1].startswith("licence: ")
        assert said[2].startswith("page: http://127.0.0.1:")
        port = int(said[2].split(":")[3].split("/")[0])
        for path in ("/", "/ui.js", "/settings.json", "/model.onnx", f"/runtime/{FILES[0]}"):
            connection = HTTPConnection("127.0.0.1", port)
            connection.request("GET", path)
            assert connection.getresponse().status == 200, path
            connection.close()
        process.send_signal(signal.SIGINT)
        try:
            rest, warning = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, rest) == (0, "ended\n")
    # The tests' detector is Haar, which a page does not have.
    assert warning.startswith("warning: there is no file of the face detector YuNet, so the page")
    assert warning.count("\n") == 1


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    return said[0]


def test_a_port_in_use_is_said_before_anything_is_brought(
    capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("demo", "--no-browser", "--port", port) == 1
    assert f"port {port} of 127.0.0.1 is in use" in one_sentence(capsys)
    assert not cache.exists()


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("demo", f"--port={port}") == 2
    assert "is not a port" in capsys.readouterr().err


def test_a_page_without_runtime_and_npm_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("demo", "--no-browser", "--port", "0") == 1
    assert "install Node.js" in one_sentence(capsys)


def test_a_model_of_another_kind_is_refused(
    capsys: pytest.CaptureFixture[str], shared: Path
) -> None:
    yunet = shared / "peers" / FILE
    assert run("demo", "--no-browser", "--port", "0", "--model", yunet) == 1
    assert "has no metadata of landmark-kd" in one_sentence(capsys)


def test_a_face_detector_that_is_none_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "notes.onnx").write_text("no network")
    for name, why in (("notes.onnx", "is no YuNet"), ("none.onnx", "is not there")):
        arguments = ["--no-browser", "--port", "0", "--detector-model", tmp_path / name]
        assert run("demo", *arguments) == 1
        assert why in one_sentence(capsys)


@pytest.mark.parametrize(
    ("shipped", "taken"), [(["accurate"], "accurate"), (["accurate", "fast"], "fast")]
)
def test_the_fast_network_is_taken_where_it_is_shipped(
    shipped: list[str],
    taken: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo, "shipped_names", lambda: shipped)
    assert run("demo", "--help") == 0
    assert f"(default: {taken})" in " ".join(capsys.readouterr().out.split())
