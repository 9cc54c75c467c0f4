"""onnxruntime-web: what is locked, and how npm's failures end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.demo.runtime import FILES, PACKAGE, PAGE, bring_runtime, is_complete


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands, the only one that is searched besides the system's shell."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_npm(tools: Path, script: str) -> None:
    npm = tools / "npm"
    npm.write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")
    npm.chmod(0o755)


def test_the_lock_pins_content_and_names_no_registry() -> None:
    text = (PAGE / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]
    assert "://" not in text
    assert packages[""]["dependencies"] == {PACKAGE: packages[f"node_modules/{PACKAGE}"]["version"]}
    assert all(entry["integrity"] for name, entry in packages.items() if name)


def test_without_npm_it_is_said_what_to_do(tools: Path, tmp_path: Path) -> None:
    folder = tmp_path / "onnxruntime-web-1.2.3"
    with pytest.raises(UserError) as caught:
        bring_runtime(folder)
    said = str(caught.value)
    assert said.startswith("the page needs onnxruntime-web-1.2.3, which npm brings once, and there")
    assert "install Node.js" in said
    assert str(folder) in said
    assert not folder.exists()


@pytest.mark.skipif(os.name == "nt", reason="npm is played by a shell script")
def test_what_npm_says_is_passed_on_and_nothing_is_left(tools: Path, tmp_path: Path) -> None:
    write_npm(tools, "echo 'npm error code EAI_AGAIN\nnpm error no way there' >&2; exit 1")
    with pytest.raises(UserError, match=r"npm could not bring web-1 \(no way there\); see to it"):
        bring_runtime(tmp_path / "web-1")
    assert sorted(tmp_path.iterdir()) == [tools]


@pytest.mark.skipif(os.name == "nt", reason="npm is played by a shell script")
def test_what_npm_brings_is_kept_without_the_rest(tools: Path, tmp_path: Path) -> None:
    names = " ".join(FILES)
    write_npm(
        tools,
        '[ "$1" = ci ] && [ "$2" = --ignore-scripts ] && [ -f package-lock.json ] || exit 1\n'
        f"mkdir -p node_modules/{PACKAGE}/dist && cd node_modules/{PACKAGE}/dist\n"
        f"for name in {names} another.wasm; do echo $name > $name; done",
    )
    folder = tmp_path / "cache" / "web-1"
    bring_runtime(folder)
    assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)
    assert is_complete(folder)
    (folder / FILES[0]).unlink()
    assert not is_complete(folder)
