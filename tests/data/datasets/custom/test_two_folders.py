"""Images in one folder and their .pts files in another."""

from __future__ import annotations

from pathlib import Path

import pytest

from landmark_kd.data.datasets.base import BadFaces
from landmark_kd.data.datasets.custom.annotations import Marks
from landmark_kd.data.datasets.custom.config import read_custom_config
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.datasets.custom.pts_tree import read_pts_tree
from landmark_kd.data.inspection.draft import write_draft
from tests.support.raw_custom import faces, write_images
from tests.support.raw_faces import write_pts


def write(folder: Path, image: str, pts: str) -> None:
    """Write six faces of two people."""
    for i, face in enumerate(faces(6)):
        person = "ann" if i < 3 else "bob"
        write_images(folder, [image.format(i=i, p=person)])
        path = folder / pts.format(i=i, p=person)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_pts(path, face)


@pytest.mark.parametrize(
    ("image", "pts"),
    [
        ("images/f{i}.png", "landmarks/f{i}.pts"),
        ("JPEGImages/f{i}.png", "Annotations/F{i}.PTS"),
        ("images/{p}/f{i}.png", "labels/{p}/f{i}.pts"),
        ("{p}/images/f{i}.png", "{p}/pts/f{i}.pts"),
        ("f{i}.png", "annotations/f{i}.pts"),
        ("our faces/f{i}.png", "our marks/f{i}.pts"),
    ],
)
def test_images_and_pts_files_in_two_folders_are_one_set(
    tmp_path: Path, image: str, pts: str
) -> None:
    write(tmp_path, image, pts)
    write_draft(tmp_path)
    assert read_custom_config(tmp_path).images == "."
    dataset = read_custom_dataset(tmp_path)
    records = list(dataset.read(tmp_path, BadFaces("error")))
    assert sorted(r.name for r in records) == sorted(
        image.format(i=i, p="ann" if i < 3 else "bob") for i in range(6)
    )
    for record in records:
        i = int(Path(record.name).stem[1:])
        assert record.landmarks == pytest.approx(faces(6)[i], abs=1e-3)
    assert len(dataset.files(tmp_path)) == 13
    assert "image and .pts file in two folders" in dataset.notes[0]


def test_people_with_images_of_the_same_names_are_not_mixed_up(tmp_path: Path) -> None:
    for person, face in zip(("ann", "bob"), faces(2), strict=True):
        write_images(tmp_path, [f"images/{person}/1.png"])
        (tmp_path / "pts" / person).mkdir(parents=True)
        write_pts(tmp_path / "pts" / person / "1.pts", face)
    found = read_pts_tree(tmp_path).faces(5, 1, None)
    assert [f.image for f in found] == ["images/ann/1.png", "images/bob/1.png"]
    for one, face in zip(found, faces(2), strict=True):
        assert isinstance(one.marks, Marks)
        assert one.marks.landmarks == pytest.approx(face, abs=1e-3)


def test_a_file_that_lost_its_partner_is_not_given_another_persons(tmp_path: Path) -> None:
    write(tmp_path, "{p}/f{i}.png", "{p}/f{i}.pts")
    (tmp_path / "ann/f0.pts").unlink()
    (tmp_path / "bob/f3.png").rename(tmp_path / "bob/f0.png")  # f3.pts has no image now
    (tmp_path / "bob/f3.pts").rename(tmp_path / "bob/f9.pts")
    assert read_pts_tree(tmp_path).across == 0


def test_an_image_that_is_a_dangling_link_is_said_to_be_one(tmp_path: Path) -> None:
    write(tmp_path, "images/f{i}.png", "landmarks/f{i}.pts")
    (tmp_path / "images/f0.png").unlink()
    (tmp_path / "images/f0.png").symlink_to("/gone/f0.png")
    write_draft(tmp_path)
    bad = BadFaces("skip")
    dataset = read_custom_dataset(tmp_path)
    assert len(list(dataset.read(tmp_path, bad))) == 5
    link = tmp_path / "images/f0.png"
    assert bad.left_out[0][1] == f"{link} is a link to /gone/f0.png, which is not there."
    assert link not in dataset.files(tmp_path)
