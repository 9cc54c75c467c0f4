from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, Dataset, FaceRecord, Part
from landmark_kd.data.datasets.registry import DATASETS, recognised
from landmark_kd.data.inspection import contact_sheet
from landmark_kd.data.inspection.contact_sheet import (
    BOX,
    CAPTION,
    COLUMNS,
    GAP,
    HEAD,
    OCCLUDED,
    ROWS,
    TILE,
    check_sheet_path,
    spread,
    write_contact_sheet,
)
from landmark_kd.imaging.images import ImageFile, read_image
from landmark_kd.visualization.overlay import GREEN
from tests.support.raw_cofw_wflw import write_cofw, write_wflw
from tests.support.raw_faces import write_300w


class GreyImage:
    def read(self) -> np.ndarray:
        return np.full((60, 80, 3), 128, dtype=np.uint8)


def read(folder: Path) -> tuple[Dataset, list[FaceRecord]]:
    _, dataset = recognised(folder)
    return dataset, list(dataset.read(folder, BadFaces("error")))


def faces_of(train: int, test: int) -> list[FaceRecord]:
    parts = [Part("a", "train", "train", None)] * train + [Part("b", "test", "test", None)] * test
    return [
        FaceRecord(f"{i}", ImageFile(Path("x")), np.zeros((68, 2)), f"{i}", part)
        for i, part in enumerate(parts)
    ]


def tiles(sheet: np.ndarray) -> list[np.ndarray]:
    """Cut the images, without their captions, out of a sheet."""
    step_y, step_x = TILE + CAPTION + GAP, TILE + GAP
    return [
        sheet[y : y + TILE, x : x + TILE]
        for y in range(HEAD, sheet.shape[0] - TILE, step_y)
        for x in range(GAP, sheet.shape[1] - TILE, step_x)
    ]


def near(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Count the pixels of about a colour."""
    return int((np.abs(image.astype(int) - colour).max(axis=2) < 40).sum())


def test_the_sheet_has_a_tile_a_face_and_lines_only_on_these(tmp_path: Path) -> None:
    dataset, faces = read(write_300w(tmp_path / "300w"))
    out = tmp_path / "new" / "sheet.png"
    assert write_contact_sheet(out, dataset, faces) == 15
    sheet = read_image(out)
    assert sheet.shape[1] == COLUMNS * (TILE + GAP) + GAP
    cut = tiles(sheet)
    assert len(cut) == 18
    assert all(near(tile, GREEN) > 300 for tile in cut[:15])
    assert all((tile == 255).all() for tile in cut[15:])
    assert not list(out.parent.glob(".*"))


def test_landmarks_are_drawn_where_they_lie_in_the_image(tmp_path: Path) -> None:
    # A white dot at each landmark of a black image: drawn in place, all of it is covered.
    landmarks = np.array([[x, y] for y in range(60, 240, 40) for x in range(60, 300, 12)])[:68]
    image = np.zeros((300, 400, 3), dtype=np.uint8)
    for x, y in landmarks.tolist():
        cv2.circle(image, (x, y), 1, (255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "dots.png"), image)
    face = FaceRecord(
        "dots",
        ImageFile(tmp_path / "dots.png"),
        landmarks.astype(float),
        "dots",
        Part("a", "train", "train", None),
    )
    dataset = replace(DATASETS["300w"], name="dots")
    write_contact_sheet(tmp_path / "sheet.png", dataset, [face])
    tile = tiles(read_image(tmp_path / "sheet.png"))[0]
    assert near(tile, GREEN) > 300
    assert near(tile, (255, 255, 255)) == 0
    # The crop has the landmarks' centre in its middle.
    rows, columns = np.nonzero(np.abs(tile.astype(int) - GREEN).max(axis=2) < 40)
    assert abs((rows.min() + rows.max()) / 2 - TILE / 2) < 3
    assert abs((columns.min() + columns.max()) / 2 - TILE / 2) < 3


def test_boxes_and_occluded_landmarks_show_where_the_set_has_them(tmp_path: Path) -> None:
    for write, boxes, occlusion in (
        (write_300w, False, False),
        (write_wflw, True, False),
        (write_cofw, True, True),
    ):
        dataset, faces = read(write(tmp_path / write.__name__))
        # The writers' images are noise of all colours.
        grey = [replace(face, image=GreyImage()) for face in faces]
        write_contact_sheet(tmp_path / "sheet.png", dataset, grey)
        cut = tiles(read_image(tmp_path / "sheet.png"))[: len(faces)]
        assert all((near(tile, BOX) > 100) == boxes for tile in cut)
        assert any(near(tile, OCCLUDED) > 20 for tile in cut) == occlusion


def test_half_of_the_faces_shown_are_test_faces_where_there_are_enough() -> None:
    for train, test, shown in (
        (100, 100, (12, 12)),
        (100, 5, (19, 5)),
        (3, 100, (3, 21)),
        (4, 5, (4, 5)),
        (50, 0, (24, 0)),
    ):
        chosen = Counter(face.split for face in spread(faces_of(train, test), COLUMNS * ROWS))
        assert (chosen["train"], chosen["test"]) == shown


def test_the_faces_shown_are_spread_evenly_and_none_is_shown_twice() -> None:
    numbers = [int(face.name) for face in spread(faces_of(120, 24), 24)]
    assert numbers[:12] == list(range(5, 120, 10))
    assert numbers[12:] == list(range(121, 144, 2))


def test_long_names_keep_their_end_and_fit() -> None:
    name = "a/very/long/path/" * 10 + "face_17.png"
    shown = contact_sheet._fitting(name, keep_end=True)
    assert shown.startswith("...")
    assert shown.endswith("/face_17.png")
    assert contact_sheet._width(shown) <= TILE
    assert contact_sheet._fitting("größe", keep_end=True) == "gr??e"


def test_a_sheet_that_cannot_be_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(UserError, match=r"must end in \.jpg, \.jpeg, \.png"):
        check_sheet_path(tmp_path / "sheet.pdf", data)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        check_sheet_path(tmp_path / "folder.png", data)
    with pytest.raises(UserError, match="only read"):
        check_sheet_path(data / "below" / "sheet.png", data)
    (tmp_path / "link").symlink_to(data)
    with pytest.raises(UserError, match="only read"):
        check_sheet_path(tmp_path / "link" / "sheet.png", data)
    check_sheet_path(tmp_path / "SHEET.JPG", data)
