"""Fills the tables of the model card, and draws the sheets on which its age groups were counted.

    python -m benchmarks.pfld.model_card
    python -m benchmarks.pfld.model_card --age-sheets /tmp/ages --faces ../shared/data/300w

The first command fills the marked blocks of docs/model_card.md from what `compare.py` measured
(results.json) and from the ages counted by eye (ages.json), both in reports/references. The second
writes train.png and test.png, 100 faces each, drawn at random with a fixed seed: images of people,
for looking at and not for passing on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.markdown_blocks import fill_blocks
from benchmarks.pfld.tables import card_blocks
from landmark_kd.core.errors import UserError, run_main
from landmark_kd.core.files import read_json
from landmark_kd.core.parallel import threaded_map
from landmark_kd.data.datasets.base import BadFaces, FaceRecord
from landmark_kd.data.datasets.registry import recognised
from landmark_kd.imaging.crops import sample
from landmark_kd.imaging.images import write_image
from landmark_kd.landmarks import geometry

PROJECT = Path(__file__).resolve().parents[2]
CARD = PROJECT / "docs" / "model_card.md"
RESULTS = PROJECT / "reports" / "references" / "results.json"
AGES = PROJECT / "reports" / "references" / "ages.json"

SHEET_FACES, SHEET_COLUMNS = 100, 10
SHEET_SEED = 0
TILE, MARGIN = 150, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--age-sheets", type=Path, metavar="DIR", help="draw the sheets, no more")
    parser.add_argument("--faces", type=Path, metavar="DIR", help="folder of 300-W, for the sheets")
    arguments = parser.parse_args()
    if arguments.age_sheets is None:
        fill_card()
        return
    if arguments.faces is None:
        raise UserError("--age-sheets needs the folder of 300-W; name it with --faces.")
    write_age_sheets(arguments.faces, arguments.age_sheets)


def fill_card() -> None:
    """Fill the marked blocks of the model card.

    Raises:
        UserError: the results are missing, or a block is not in the card.
    """
    fill_blocks(CARD, card_blocks(_read(RESULTS), _read(AGES)))


def write_age_sheets(folder: Path, out: Path) -> None:
    """Write a sheet of faces drawn at random from each split of 300-W."""
    _, dataset = recognised(folder, "300w")
    records = list(dataset.read(folder, BadFaces("skip")))
    for split in ("train", "test"):
        faces = [record for record in records if record.split == split]
        count = min(SHEET_FACES, len(faces))
        rows = np.random.default_rng(SHEET_SEED).choice(len(faces), count, replace=False)
        tiles = list(threaded_map(_tile, [faces[row] for row in sorted(rows)]))
        blank = np.full_like(tiles[0], 255)
        tiles += [blank] * (-count % SHEET_COLUMNS)
        lines = [np.hstack(tiles[i : i + SHEET_COLUMNS]) for i in range(0, count, SHEET_COLUMNS)]
        write_image(out / f"{split}.png", np.vstack(lines))
        print(f"{out / split}.png: {count} of {len(faces)} faces")


def _read(path: Path) -> Any:
    if not path.is_file():
        raise UserError(
            f"{path} is missing; `git checkout {path}` restores it, or for results.json "
            "`python -m benchmarks.pfld.compare` measures it anew."
        )
    return read_json(path)


def _tile(face: FaceRecord) -> np.ndarray:
    box = geometry.landmarks_box(face.landmarks)
    tile = sample(face.image.read(), geometry.square_crop(box, MARGIN, TILE), TILE)
    return cv2.copyMakeBorder(tile, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255))


if __name__ == "__main__":
    run_main(main)
