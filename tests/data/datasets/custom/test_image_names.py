"""Names of images as other tools and systems write them, and the files that they mean."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces
from landmark_kd.data.datasets.custom.config import read_custom_config
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.datasets.custom.image_names import find_images
from landmark_kd.data.inspection.check import check_data, report
from landmark_kd.data.inspection.draft import write_draft
from tests.support.raw_custom import coco_content, table_lines, write_coco, write_table

PEOPLE = ["a", "a", "b", "b"]
NFC, NFD = (unicodedata.normalize(form, "Zoë Müller.jpg") for form in ("NFC", "NFD"))


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"an image")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("./p1//a.jpg", "p1/a.jpg"),
        ("p1\\a.jpg", "p1/a.jpg"),
        (".\\p1\\a.jpg", "p1/a.jpg"),
        ("C:\\Users\\me\\p1\\a.jpg", "p1/a.jpg"),
        ("\\\\server\\share\\p1\\a.jpg", "p1/a.jpg"),
        ("/home/me/faces/p1/a.jpg", "p1/a.jpg"),
        ("../../label-studio/media/upload/4/a.jpg", "p1/a.jpg"),
        ("a.jpg", "p1/a.jpg"),
        ("file:///C:/Users/me/p1/a.jpg", "p1/a.jpg"),
        ("file://p1/a.jpg", "p1/a.jpg"),
        ("https://host.org/data/p1/a.jpg?token=x%2Fy&size=2", "p1/a.jpg"),
        ("/data/local-files/?d=faces/p1/a.jpg", "p1/a.jpg"),
        ("s3://bucket/p1/a.jpg", "p1/a.jpg"),
        ("/data/upload/4/1a2b3c4d-a.jpg", "p1/a.jpg"),
        ("my%20faces/b%20c.jpg", "my faces/b c.jpg"),
        ("https://host.org/my%20faces/b%20c.jpg", "my faces/b c.jpg"),
        (NFD, NFC),
        ("P1/A.JPG", "p1/a.jpg"),
        ("p1/a", "p1/a.jpg"),
    ],
)
def test_a_name_of_another_system_means_the_file_it_meant_there(
    tmp_path: Path, name: str, file: str
) -> None:
    put(tmp_path, "p1/a.jpg", "my faces/b c.jpg", NFC)
    found = find_images(tmp_path, [name])
    assert found.files == {name: file}
    assert not found.absent
    assert [note.endswith(f": {name} is {file}") for note in found.notes] == (
        [] if name.startswith("./") else [True]
    )


@pytest.mark.parametrize("name", ["p1\\a.jpg", "b%20c.jpg", "P1/a.jpg", NFD, "what?.jpg"])
def test_a_file_of_just_that_name_is_the_one_meant(tmp_path: Path, name: str) -> None:
    put(tmp_path, "p1/a.jpg", "b c.jpg", NFC, name)
    found = find_images(tmp_path, [name])
    assert (found.files, found.notes) == ({name: name}, ())


def test_folders_tell_files_of_one_base_name_apart(tmp_path: Path) -> None:
    put(tmp_path, "p1/a.jpg", "p2/a.jpg", "p2/b.jpg")
    names = ["/home/me/p1/a.jpg", "/home/me/p2/a.jpg", "/home/me/p3/a.jpg", "a.jpg"]
    found = find_images(tmp_path, names)
    assert found.files == {names[0]: "p1/a.jpg", names[1]: "p2/a.jpg"}
    assert found.absent["a.jpg"].endswith(
        "and its base name is that of several files: p1/a.jpg and p2/a.jpg"
    )


def test_two_names_do_not_mean_one_file_by_its_base_name(tmp_path: Path) -> None:
    put(tmp_path, "p1/a.jpg")
    found = find_images(tmp_path, ["/x/p1/a.jpg", "/x/p2/a.jpg"])
    assert not found.files
    assert "p1/a.jpg has its base name, but /x/p2/a.jpg means that" in found.absent["/x/p1/a.jpg"]
    found = find_images(tmp_path, ["p1/a.jpg", "p2/a.jpg"])
    assert found.files == {"p1/a.jpg": "p1/a.jpg"}
    assert "has its base name, but p1/a.jpg means that file" in found.absent["p2/a.jpg"]


def test_one_file_under_two_spellings_is_one(tmp_path: Path) -> None:
    put(tmp_path, "p1/a.jpg")
    found = find_images(tmp_path, ["p1/a.jpg", "p1\\a.jpg", "./p1/a.jpg", "P1/a.jpg"])
    assert set(found.files.values()) == {"p1/a.jpg"}
    assert not found.absent


def test_names_that_differ_in_case_alone_from_two_files_mean_neither(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "A.jpg")
    assert "several files: A.jpg and a.jpg" in find_images(tmp_path, ["a.JPG"]).absent["a.JPG"]


def test_what_is_not_there_is_told_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path, "b.png", "there/d.jpg")
    (tmp_path / "a.jpg").symlink_to("/gone/a.jpg")
    (tmp_path / os.fsdecode(b"Zo\xeb.jpg")).write_bytes(b"an image")
    absent = find_images(tmp_path, ["a.jpg", "b.jpg", "/x/c.jpg", "there", "Zoë.jpg", "../"]).absent
    assert absent["a.jpg"] == f"in {tmp_path} is a link to /gone/a.jpg, which is not there"
    assert absent["b.jpg"] == f"is not in {tmp_path}, but there is b.png"
    assert absent["/x/c.jpg"].startswith(f"is not in {tmp_path}, and no file below it is called c.")
    assert "Zo\\xeb.jpg are not UTF-8" in str(UserError(absent["Zoë.jpg"]))
    assert set(absent) == {"a.jpg", "b.jpg", "/x/c.jpg", "there", "Zoë.jpg", "../"}


def test_the_check_says_how_names_were_understood(tmp_path: Path) -> None:
    lines = [line.replace("p0", "images\\p0") for line in table_lines(PEOPLE)]
    folder = write_table(tmp_path, table_lines(PEOPLE), images=".")
    (folder / "landmarks.csv").write_text("\n".join(lines))
    checked = check_data(folder)
    assert not checked.broken
    assert [face.name for face in checked.faces] == [f"images/p00{i}.png" for i in range(4)]
    note = "written for another system or the web: images\\p000.png is images/p000.png"
    assert f"note: 4 of 4 names of images are {note}" in report(checked)


@pytest.mark.parametrize(
    ("prefix", "images"),
    [
        ("images\\", "."),
        ("C:\\Users\\me\\faces\\", "images"),
        ("../../upload/", "images"),
        ("https://host.org/x/", "images"),
    ],
)
def test_a_draft_finds_the_images_and_copies_of_the_files_are_the_same_set(
    tmp_path: Path, prefix: str, images: str
) -> None:
    content = coco_content(PEOPLE)
    for image in content["images"]:
        image["file_name"] = prefix + image["file_name"]
    folder = write_coco(tmp_path, content, 4)
    (folder / "landmark-kd.yaml").unlink()
    assert "names of images are" in write_draft(folder).read_text()
    assert read_custom_config(folder).images == images
    dataset = read_custom_dataset(folder)
    assert len(list(dataset.read(folder, BadFaces("error")))) == 4
    assert len(dataset.files(folder)) == 6


def test_an_image_id_may_be_text_in_one_place_and_a_number_in_another(tmp_path: Path) -> None:
    content = coco_content(PEOPLE)
    for i, (image, annotation) in enumerate(
        zip(content["images"], content["annotations"], strict=True)
    ):
        image["id"], annotation["image_id"] = (str(i), i) if i % 2 else (i, f"{i}")
        annotation["category_id"] = "1"
    folder = write_coco(tmp_path, content, 4)
    assert len(list(read_custom_dataset(folder).read(folder, BadFaces("error")))) == 4
    content["images"][0]["id"] = "1"
    (folder / "faces.json").write_text(json.dumps(content | {"images": content["images"][:2]}))
    with pytest.raises(UserError, match="both have the id 1"):
        read_custom_dataset(folder)
