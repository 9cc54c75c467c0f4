"""A sheet of small images of a data set's faces with their landmarks, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.core.parallel import threaded_map
from landmark_kd.data.datasets.base import Dataset, FaceRecord
from landmark_kd.imaging.crops import sample
from landmark_kd.imaging.images import WRITTEN_SUFFIXES, write_image
from landmark_kd.landmarks import geometry
from landmark_kd.visualization.overlay import GREEN, Colour, draw_landmarks

COLUMNS, ROWS = 6, 4

# Pixels.
TILE = 256
CAPTION = 40
HEAD = 40
GAP = 8
LINE = 18

# A tile is this much wider than what it shows.
MARGIN = 0.3
# BGR.
PAPER: Colour = (255, 255, 255)
INK: Colour = (40, 40, 40)
OCCLUDED: Colour = (60, 60, 255)
BOX: Colour = (255, 170, 50)
# OpenCV takes coordinates in 1 / 2^SHIFT pixels.
SHIFT = 4

FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.42


def check_sheet_path(path: Path, dataset_folder: Path) -> None:
    """Refuse, before any work, a sheet that cannot be written or would lie in the data set.

    Raises:
        UserError: its ending is not an image's, it is a folder, or it lies in `dataset_folder`.
    """
    if path.suffix.lower() not in WRITTEN_SUFFIXES:
        raise UserError(
            f"the contact sheet {path} must end in {', '.join(WRITTEN_SUFFIXES)}; give such a "
            "name with --sheet."
        )
    if path.is_dir():
        raise UserError(f"the contact sheet {path} is a folder; give a file with --sheet.")
    if path.resolve().is_relative_to(dataset_folder.resolve()):
        raise UserError(
            f"the contact sheet {path} would lie in the data set's folder {dataset_folder}, which "
            "is only read; give a file somewhere else with --sheet."
        )


def write_contact_sheet(path: Path, dataset: Dataset, faces: Sequence[FaceRecord]) -> int:
    """Write an image of up to COLUMNS x ROWS faces spread evenly over splits and files.

    Landmarks are green, those marked as occluded red, a box that the data set brings is blue.

    Args:
        path: ends in one of WRITTEN_SUFFIXES.
        faces: at least one; their images are read.

    Returns:
        The number of faces shown.

    Raises:
        UserError: an image does not decode.
    """
    shown = spread(faces, COLUMNS * ROWS)
    tiles = list(threaded_map(lambda face: _tile(face, dataset), shown))
    rows = -(-len(tiles) // COLUMNS)
    step = np.array([TILE + CAPTION, TILE]) + GAP
    height, width = np.array([rows, COLUMNS]) * step + GAP
    sheet = np.full((HEAD + height, width, 3), PAPER, dtype=np.uint8)
    for number, tile in enumerate(tiles):
        y, x = np.array(divmod(number, COLUMNS)) * step + [HEAD, GAP]
        sheet[y : y + len(tile), x : x + TILE] = tile
    _write(sheet, f"{dataset.name}: {len(shown)} of {len(faces)} faces; {_legend(shown)}", 25, GAP)
    write_image(path, sheet)
    return len(shown)


def spread(faces: Sequence[FaceRecord], count: int) -> list[FaceRecord]:
    """Choose up to `count` faces, as many of each split as can be, evenly over each split.

    Train faces come first, in the order given.
    """
    splits = [[f for f in faces if f.split == split] for split in ("train", "test")]
    fewer, more = sorted(splits, key=len)
    of_fewer = min(len(fewer), count // 2)
    wanted = {id(fewer): of_fewer, id(more): min(len(more), count - of_fewer)}
    return [face for split in splits for face in _evenly(split, wanted[id(split)])]


def _evenly(faces: list[FaceRecord], count: int) -> list[FaceRecord]:
    return [faces[(2 * i + 1) * len(faces) // (2 * count)] for i in range(count)]


def _tile(face: FaceRecord, dataset: Dataset) -> np.ndarray:
    """Draw one face and its caption, (TILE + CAPTION, TILE, 3) BGR."""
    extent = geometry.landmarks_box(face.landmarks)
    size = (extent[2:] - extent[:2]).max()
    corners = face.landmarks
    if face.box is not None:
        corners = np.concatenate([corners, face.box.reshape(2, 2)])
    to_tile = geometry.square_crop(geometry.landmarks_box(corners), MARGIN, TILE)
    image = sample(face.image.read(), to_tile, TILE)
    if face.box is not None:
        _rectangle(image, geometry.apply(to_tile, face.box.reshape(2, 2)))
    points = geometry.apply(to_tile, face.landmarks)
    image = draw_landmarks(image, points, dataset.scheme.contours, GREEN, thickness=1)
    if face.occluded is not None and face.occluded.any():
        image = draw_landmarks(image, points[face.occluded], (), OCCLUDED, thickness=2)
    tile = np.full((TILE + CAPTION, TILE, 3), PAPER, dtype=np.uint8)
    tile[:TILE] = image
    subsets = ", ".join(dict.fromkeys((face.part.subset, *face.subsets)))
    split = "validation" if face.validation else face.split
    about = split if subsets == face.split else f"{split}: {subsets}"
    _write(tile, _fitting(f"{about}, {size:.0f} px", keep_end=False), TILE + 2 * LINE - 4, 0)
    _write(tile, _fitting(face.name, keep_end=True), TILE + LINE - 4, 0)
    return tile


def _rectangle(image: np.ndarray, corners: np.ndarray) -> None:
    (x0, y0), (x1, y1) = corners
    line = np.rint(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) * 2**SHIFT).astype(np.int32)
    cv2.polylines(image, [line], True, BOX, 2, cv2.LINE_AA, SHIFT)


def _legend(faces: Sequence[FaceRecord]) -> str:
    parts = ["landmarks green"]
    if any(face.occluded is not None for face in faces):
        parts.append("occluded ones red")
    if any(face.box is not None for face in faces):
        parts.append("the set's boxes blue")
    return ", ".join(parts) + "; below: name, split, subsets, longer side of the landmarks' box"


def _fitting(text: str, *, keep_end: bool) -> str:
    """Shorten a text to the width of a tile; of a name the end tells more."""
    # OpenCV draws ASCII only.
    text = text.encode("ascii", "replace").decode("ascii")
    shown = text
    while _width(shown) > TILE:
        text = text[1:] if keep_end else text[:-1]
        shown = f"...{text}" if keep_end else f"{text}..."
    return shown


def _width(text: str) -> int:
    return cv2.getTextSize(text, FONT, FONT_SCALE, 1)[0][0]


def _write(image: np.ndarray, text: str, y: int, x: int) -> None:
    cv2.putText(image, text, (x, y), FONT, FONT_SCALE, INK, 1, cv2.LINE_AA)
