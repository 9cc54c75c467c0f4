"""onnxruntime-web, which runs networks in the page: brought by npm once, kept in the user's cache.

Its version and its checksum are those of `page/package-lock.json`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_folder

PAGE = Path(__file__).parent / "page"
PACKAGE = "onnxruntime-web"
# What the page loads of it: the CPU runtime, 14 MB.
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def runtime_folder() -> Path:
    """Return the folder of the user's cache in which FILES lie, or are to lie."""
    import pooch  # longer to import than all else here

    lock = json.loads((PAGE / "package-lock.json").read_text(encoding="utf-8"))
    version = lock["packages"][f"node_modules/{PACKAGE}"]["version"]
    return Path(pooch.os_cache("landmark-kd")) / f"{PACKAGE}-{version}"


def is_complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def bring_runtime(folder: Path) -> None:
    """Put FILES into a folder with npm, which checks what it downloads.

    Raises:
        UserError: npm is not there, or fails.
    """
    by_hand = f"or put {', '.join(FILES)} of {folder.name} into {folder} yourself"
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            f"the page needs {folder.name}, which npm brings once, and there is no npm; install "
            f"Node.js, {by_hand}."
        )
    with tempfile.TemporaryDirectory(prefix="landmark-kd-") as place:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PAGE / name, place)
        # No package's own scripts are run.
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        ended = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        brought = Path(place) / "node_modules" / PACKAGE / "dist"
        if ended.returncode or not is_complete(brought):
            raise UserError(
                f"npm could not bring {folder.name} ({_why(ended.stderr)}); see to it that it "
                f"reaches its registry and run the same command again, {by_hand}."
            )
        with replaced_folder(folder) as temporary:
            for name in FILES:
                shutil.copy(brought / name, temporary)


def _why(stderr: str) -> str:
    """Return the first thing that npm says, without its mark."""
    lines = [line.removeprefix("npm error ").strip() for line in stderr.splitlines()]
    said = [line for line in lines if line and not line.startswith(("code ", "errno "))]
    return said[0] if said else "it does not say why"
