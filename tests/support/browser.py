"""Chromium with the page of `landmark-kd demo`, and what it said and asked for."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from landmark_kd.demo.files import page_files, runtime_files
from landmark_kd.demo.runtime import is_complete, runtime_folder
from landmark_kd.demo.server import PageServer
from landmark_kd.inference.detector import LandmarkDetector

# Seconds are given in milliseconds to playwright.
PATIENCE = 60_000


@contextmanager
def served(model: str | Path, face_detector: Path | None) -> Iterator[str]:
    """Serve the page with a network and yield its address; skip where the runtime is not there."""
    runtime = runtime_folder()
    if not is_complete(runtime):
        pytest.skip(f"no onnxruntime-web in {runtime}; `landmark-kd demo` brings it with npm")
    files = page_files(LandmarkDetector.load(model), model, face_detector)
    with PageServer(files | runtime_files(runtime), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


@contextmanager
def playwright() -> Iterator[Any]:
    """Start playwright, of which there can be one at a time; skip where it is not there."""
    library = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with library.sync_playwright() as started:
        yield started


@contextmanager
def chromium(started: Any, *arguments: str) -> Iterator[Any]:
    """Start the system's Chromium with a started playwright; skip where it is not there."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium on this computer")
    browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", *arguments])
    yield browser
    browser.close()


@contextmanager
def opened(browser: Any, url: str, **context: Any) -> Iterator[Any]:
    """Open the page, wait until it is ready, and check at the end that it kept its promises.

    It may say nothing on the console, and ask nobody but its own server.
    """
    said: list[str] = []
    asked: list[str] = []
    allowed = context.pop("camera", False)
    made = browser.new_context(**context)
    if allowed:
        made.grant_permissions(["camera"], origin=url.rstrip("/"))
    page = made.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    made.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    page.wait_for_selector("body.ready")
    yield page
    made.close()
    assert said == []
    assert len(asked) > 10
    assert [to for to in asked if not to.startswith((url, f"blob:{url}"))] == []


def saved_points(page: Any) -> dict[str, Any]:
    """Press the button that saves the points, and read the file."""
    with page.expect_download() as download:
        page.click("#save-points")
    return json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
