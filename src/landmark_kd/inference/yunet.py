"""YuNet's network, run by onnxruntime: faces of small images, several of one size in one run.

OpenCV's FaceDetectorYN runs the same file and gives the same faces (a test compares), in two to
three times the time and one image at a time.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

# Pixels of the image that a cell of each of the network's three maps stands for.
STRIDES = (8, 16, 32)
# A face's score is at least this; of 1006 300-W train faces 99 in 100 have more than 0.866.
LEAST_SCORE = 0.6
# Two boxes that overlap more (intersection / union) are of one face.
OVERLAP = 0.3
MOST_FACES = 5000
# As it was published, the file states one image of 640 x 640 pixels, and takes any number of any
# size: the dimensions that it states, as they are written in the file, and the same without a
# number (any images) and with names (any height and width) in their place.
STATED = bytes.fromhex("0a020801 0a020803 0a03088005 0a03088005")
ANY_SIZE = bytes.fromhex("0a021200 0a020803 0a03120168 0a03120177")


OUTPUTS = [f"{part}_{stride}" for part, stride in product(("cls", "obj", "bbox", "kps"), STRIDES)]


def any_size(path: Path) -> bytes:
    """Return the content of YuNet's file, its input any number of images of any size."""
    return path.read_bytes().replace(STATED, ANY_SIZE)


class YuNet:
    """The network of YuNet's file.

    Args:
        path: of the file.
        threads: CPU threads; None leaves their number to onnxruntime.

    Raises:
        ValueError: it is no YuNet that takes images of any size, or onnxruntime cannot read it.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # it states outputs of 640 x 640 pixels, and warns of others
        if threads is not None:
            options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            any_size(path), options, providers=["CPUExecutionProvider"]
        )
        inputs = self._session.get_inputs()
        known = {output.name for output in self._session.get_outputs()}
        if len(inputs) != 1 or not known.issuperset(OUTPUTS):
            raise ValueError("it has other inputs and outputs")
        self._input = inputs[0].name
        # The smallest images that it takes.
        self.find(np.zeros((2, STRIDES[-1], STRIDES[-1], 3), np.uint8))

    def find(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the faces (M, 15) float64 of each of some images, the highest score first.

        The columns are the box's x, y, width and height, the five points' x and y (right and left
        eye, tip of the nose, right and left corner of the mouth) and the score, in pixels.

        Args:
            images: (N, H, W, 3) uint8 BGR.
        """
        count, height, width = images.shape[:3]
        # Filled up to whole cells of the coarsest map.
        below, right = -height % STRIDES[-1], -width % STRIDES[-1]
        pixels = np.zeros((count, 3, height + below, width + right), np.float32)
        pixels[:, :, :height, :width] = images.transpose(0, 3, 1, 2)
        found = self._session.run(OUTPUTS, {self._input: pixels})
        maps = [np.asarray(values) for values in found]
        columns = [(width + right) // stride for stride in STRIDES]
        parts = [
            _decoded(maps[i :: len(STRIDES)], stride, columns[i], count)
            for i, stride in enumerate(STRIDES)
        ]
        of_image = np.concatenate([part[0] for part in parts])
        faces = np.concatenate([part[1] for part in parts])
        return [_kept(faces[of_image == i]) for i in range(count)]


def _decoded(
    maps: list[np.ndarray], stride: int, columns: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what one map of `count` images says: of each face its image (M,), and it (M, 15)."""
    cls, obj, box, points = (values.reshape(-1, values.shape[-1]) for values in maps)
    scores = np.sqrt(cls.clip(0, 1) * obj.clip(0, 1))[:, 0]
    rows = np.flatnonzero(scores >= LEAST_SCORE)
    if not len(rows):
        return rows, np.empty((0, 15))
    of_image, cells = np.divmod(rows, max(1, len(scores) // count))
    place = np.stack([cells % columns, cells // columns], axis=1).astype(np.float64)
    centre = (box[rows, :2] + place) * stride
    # No face is larger than the image by far: exp of a wild number would be infinite.
    extent = np.exp(box[rows, 2:].clip(max=20).astype(np.float64)) * stride
    five = (points[rows] + np.tile(place, 5)) * stride
    return of_image, np.column_stack([centre - extent / 2, extent, five, scores[rows]])


def _kept(faces: np.ndarray) -> np.ndarray:
    """Return faces (M, 15) without those that a higher-scoring one overlaps."""
    faces = faces[np.isfinite(faces).all(axis=1) & (faces[:, 2:4] > 0).all(axis=1)]
    if len(faces) <= 1:
        return faces
    boxes, scores = faces[:, :4].tolist(), faces[:, -1].tolist()
    kept = cv2.dnn.NMSBoxes(boxes, scores, LEAST_SCORE, OVERLAP, top_k=MOST_FACES)
    return faces[np.asarray(kept, dtype=np.intp).reshape(-1)]
