"""YuNet's file as the page needs it: with an input of any size, as OpenCV runs it anyway."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from landmark_kd.core.errors import UserError
from landmark_kd.inference.face_detector import FILE

# The file fixes its input at 640 x 640 pixels, though none of its layers needs that. In the file a
# side is the message Dimension with dim_value 640; dim_param with a name takes as many bytes.
_FIXED = bytes([0x0A, 3, 0x08, 0x80, 0x05])
_NAMED = (bytes([0x0A, 3, 0x12, 1]) + b"h", bytes([0x0A, 3, 0x12, 1]) + b"w")
OUTPUTS = {f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)}


def any_size(path: Path) -> bytes:
    """Return the content of YuNet's file, its input's height and width free.

    Raises:
        UserError: it is another network.
    """
    content = path.read_bytes()
    for named in _NAMED:
        content = content.replace(_FIXED, named, 1)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        shapes = [value.shape for value in session.get_inputs()]
        outputs = {value.name for value in session.get_outputs()}
    except Exception:  # onnxruntime's exceptions have no base of their own
        shapes, outputs = [], set()
    sides = [isinstance(side, str) for shape in shapes for side in shape[2:]]
    if len(shapes) != 1 or sides != [True, True] or outputs != OUTPUTS:
        raise UserError(f"{path} is a YuNet that the page cannot run; give {FILE}.")
    return content
