"""All that the page loads, by the paths at which it is served."""

from __future__ import annotations

import json
from pathlib import Path

from landmark_kd.demo.runtime import FILES, PAGE
from landmark_kd.demo.server import MIME
from landmark_kd.demo.settings import page_settings
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.shipped import names_file, shipped_model
from landmark_kd.inference.yunet import any_size


def page_files(
    network: LandmarkDetector, model: str | Path, face_detector: Path | None
) -> dict[str, bytes | Path]:
    """Return the page with its networks: contents, or files that hold them, by path.

    Args:
        network: opened from `model`.
        model: a shipped network's name, or a file.
        face_detector: the file of a `face_detector.YuNetDetector`, which has looked whether it is
            one; None where the page is to do without.
    """
    settings = page_settings(network, has_face_detector=face_detector is not None)
    named = isinstance(model, str) and not names_file(model)
    files: dict[str, bytes | Path] = {
        f"/{file.name}": file
        for file in PAGE.iterdir()
        if file.suffix in MIME and not file.name.startswith("package")
    }
    files["/settings.json"] = json.dumps(settings).encode()
    files["/model.onnx"] = shipped_model(str(model)) if named else Path(model).read_bytes()
    if face_detector is not None:
        files["/face_detector.onnx"] = any_size(face_detector)
    return files


def runtime_files(folder: Path) -> dict[str, bytes | Path]:
    """Return onnxruntime-web's files, which lie in a folder, by path."""
    return {f"/runtime/{name}": folder / name for name in FILES}
