"""What the comparisons with PFLD read: its file and the test faces, as arguments of a script."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def shared_folder(project: Path) -> Path:
    """Return where the faces and the reference's file lie, outside git; tests look there, too."""
    return Path(os.environ.get("LANDMARK_KD_SHARED", project.parent / "shared"))


def add_reference_inputs(parser: argparse.ArgumentParser, shared: Path) -> None:
    """Add --pfld and --faces, by default those of `shared`."""
    parser.add_argument(
        "--pfld",
        type=Path,
        default=shared / "peers" / "pfld_68.onnx",
        help="PFLD's ONNX file (default: %(default)s)",
    )
    parser.add_argument(
        "--faces",
        type=Path,
        default=shared / "data" / "300w",
        help="folder of 300-W (default: %(default)s)",
    )
