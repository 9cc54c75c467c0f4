"""What `make docs` does beyond the pages of docs/: MkDocs calls these functions (mkdocs.yml).

Pages link to files of the project as they lie in it, so that they can be read where they are:
docs/data.md says ../reports/README.md. In the site the project's other pages stand below docs/'s
own, and whatever else a page links to is copied beside them.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "*/README.md", "reports/*/README.md")
DOCS = "docs/"
# The target of a Markdown link or image, without its anchor.
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the project's other pages, and the files that pages link to."""
    project = _project(config)
    for pattern in PAGES:
        for path in sorted(project.glob(pattern)):
            _add(files, path.relative_to(project).as_posix(), config)
    for page in list(files.documentation_pages()):
        for target in LINK.findall(page.content_string):
            linked = _in_project(page, target)
            if not linked.startswith((DOCS, "..")) and (project / linked).is_file():
                _add(files, linked, config)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the project into links within the site."""
    here = posixpath.dirname(page.file.src_uri) or "."

    def in_site(match: re.Match[str]) -> str:
        target = _in_project(page.file, match[1]).removeprefix(DOCS)
        # What is not there stays as it was written: MkDocs names it and stops.
        return posixpath.relpath(target, here) if files.get_file_from_path(target) else match[1]

    return LINK.sub(in_site, markdown)


def _project(config: MkDocsConfig) -> Path:
    return Path(config.docs_dir).parent


def _in_project(page: File, target: str) -> str:
    """Return the path in the project of what a page links to."""
    of_docs = page.abs_src_path is not None and f"{os.sep}docs{os.sep}" in page.abs_src_path
    written_in = posixpath.join(DOCS if of_docs else "", posixpath.dirname(page.src_uri))
    return posixpath.normpath(posixpath.join(written_in, target))


def _add(files: Files, path: str, config: MkDocsConfig) -> None:
    if files.get_file_from_path(path) is None:
        folder = str(_project(config))
        files.append(File(path, folder, config.site_dir, config.use_directory_urls))
