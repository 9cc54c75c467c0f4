"""`make docs`: a site whose links are whole and which needs nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

pytestmark = pytest.mark.seconds

# What a browser would load by itself.
LOADED = re.compile(
    r"<(?:script|img|iframe|source|link)[^>]*\s(?:src|href)=[\"']?(https?://[^\"'\s>]*)"
)
ELSEWHERE = ("fonts.googleapis", "fonts.gstatic", "jsdelivr")


def build(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    # Not --quiet: it hides warnings from the count that makes a strict build fail.
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(PROJECT, folder)
    # Strict: a broken link, or a page that the navigation lacks, is an error.
    assert built.returncode == 0, built.stderr + built.stdout
    return folder


def test_every_page_and_report_is_on_the_site(site: Path) -> None:
    for name in ("index", "parameters", "CONTRIBUTING", "CHANGELOG", "reports/references/index"):
        assert (site / f"{name}.html").is_file(), name
    assert "kd.heatmap" in (site / "search" / "search_index.json").read_text(encoding="utf-8")


def test_the_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not LOADED.findall(text), page
        # Material would fetch Mermaid from a CDN where a page has a diagram of it.
        assert 'class="mermaid"' not in text, page
        assert not any(host in text for host in ELSEWHERE), page


@pytest.fixture
def small_project(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    shutil.copy(PROJECT / "docs" / "site_hooks.py", tmp_path / "docs")
    (tmp_path / "mkdocs.yml").write_text(
        "site_name: small\nstrict: true\nuse_directory_urls: false\nplugins: []\n"
        "exclude_docs: /site_hooks.py\nhooks: [docs/site_hooks.py]\n"
        "validation: {links: {anchors: warn, unrecognized_links: warn}}\n"
    )
    report = tmp_path / "reports" / "speed"
    report.mkdir(parents=True)
    (report / "README.md").write_text("# Speed\n\n## Loader\n\n[home](../../docs/index.md)\n")
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    return tmp_path


def test_links_to_files_of_the_project_lead_to_copies_in_the_site(small_project: Path) -> None:
    index = "[a](../reports/speed/README.md#loader) [b](../params.yaml) [c](https://dvc.org)"
    (small_project / "docs" / "index.md").write_text(index)
    built = build(small_project, small_project / "site")
    assert built.returncode == 0, built.stderr
    page = (small_project / "site" / "index.html").read_text(encoding="utf-8")
    assert 'href="reports/speed/index.html#loader"' in page
    assert 'href="params.yaml"' in page
    assert 'href="https://dvc.org"' in page
    assert (small_project / "site" / "params.yaml").read_text() == "seed: 1\n"
    report = small_project / "site" / "reports" / "speed" / "index.html"
    assert 'href="../../index.html"' in report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "link", ["../nowhere.yaml", "nowhere.md", "../reports/speed/README.md#nowhere", "../../outside"]
)
def test_a_broken_link_ends_the_build_and_is_named(small_project: Path, link: str) -> None:
    (small_project / "docs" / "index.md").write_text(f"[a]({link})")
    built = build(small_project, small_project / "site")
    assert built.returncode != 0
    assert "nowhere" in built.stderr or "outside" in built.stderr
