"""The first landmark-kd.yaml that is drafted for a person's folder."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces
from landmark_kd.data.datasets.custom.config import CustomConfig, read_custom_config
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.inspection.draft import draft_custom_dataset, write_draft
from landmark_kd.data.inspection.proposed_split import propose_split
from landmark_kd.landmarks.scheme import SCHEMES
from tests.support.raw_300w_lp import write_300w_lp
from tests.support.raw_cofw_wflw import write_cofw, write_wflw
from tests.support.raw_custom import (
    FIVE_NAMES,
    FIVE_PAIRS,
    coco_content,
    faces,
    table_lines,
    write_coco,
    write_images,
    write_pts_tree,
    write_table,
)
from tests.support.raw_faces import snapshot, write_300w, write_pts

PEOPLE = [f"person{i // 4}" for i in range(40)]


def _undrafted(folder: Path) -> Path:
    """Take the YAML away that the writers of tests wrote."""
    (folder / "landmark-kd.yaml").unlink()
    return folder


def _drafted(folder: Path) -> CustomConfig:
    """Draft, and check that all faces are read by the draft as it stands."""
    assert write_draft(folder) == folder / "landmark-kd.yaml"
    dataset = read_custom_dataset(folder)
    dataset.check(folder)
    assert len(list(dataset.read(folder, BadFaces("error")))) == 40
    return read_custom_config(folder)


def test_a_table_is_drafted(tmp_path: Path) -> None:
    folder = _undrafted(write_table(tmp_path / "my faces!", table_lines(PEOPLE)))
    config = _drafted(folder)
    assert config.name == "my-faces-"
    assert (config.annotations, config.images) == ("landmarks.csv", "images")
    assert (config.points, config.first_pixel, config.names) == (5, 0, None)
    assert config.flip_pairs == FIVE_PAIRS
    assert config.normalizer == [0, 1]
    assert config.normalizer_name == "point_0 and point_1"
    assert (config.split.column, config.split.test) == ("person", 0.2)


def test_a_coco_file_brings_names_lines_and_groups(tmp_path: Path) -> None:
    config = _drafted(_undrafted(write_coco(tmp_path, coco_content(PEOPLE), 40)))
    assert (config.annotations, config.images) == ("faces.json", "images")
    assert config.names == FIVE_NAMES
    assert config.flip_pairs == FIVE_PAIRS
    assert config.normalizer_name == "left_eye and right_eye"
    assert [line.points for line in config.contours] == [[0, 2, 1], [3, 4]]
    assert config.split.column == "person"


@pytest.mark.parametrize(
    ("eyes", "called"),
    [
        (["eye_l", "eye_r"], "eye_l and eye_r"),
        (["outer_eye_l", "outer_eye_r"], "outer eye corners"),
    ],
)
def test_the_normalizer_is_the_eyes_where_names_tell_them(
    tmp_path: Path, eyes: list[str], called: str
) -> None:
    content = coco_content(PEOPLE)
    content["categories"][0]["keypoints"] = ["left_eyebrow", "right_eyebrow", "nose", *eyes]
    config = _drafted(_undrafted(write_coco(tmp_path, content, 40)))
    assert (config.normalizer, config.normalizer_name) == ([3, 4], called)


def test_pts_files_are_drafted_and_count_from_one(tmp_path: Path) -> None:
    config = _drafted(_undrafted(write_pts_tree(tmp_path, PEOPLE)))
    assert (config.annotations, config.images, config.first_pixel) == ("pts", "images", 1)
    assert config.flip_pairs == FIVE_PAIRS
    assert (config.split.column, config.split.test) == ("folder", 0.2)


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("points", "name", "key"),
    [
        (68, "300w_68.npz", "pts"),
        (29, "cofw_29.npz", "train"),
        (98, "wflw_test_98.npz", "pts"),
    ],
)
def test_the_known_schemes_are_recognized_by_real_shapes(
    shared: Path, tmp_path: Path, points: int, name: str, key: str
) -> None:
    shapes = np.load(shared / "data" / "shapes" / name)[key][:40]
    for i, shape in enumerate(shapes):
        write_images(tmp_path, [f"{i:02}.png"])
        write_pts(tmp_path / f"{i:02}.pts", shape)
    config = _drafted(tmp_path)
    assert f"The known {points}-point scheme fits." in draft_custom_dataset(tmp_path)
    ours, known = config.scheme(), SCHEMES[points]
    assert json.dumps(ours.to_json()) == json.dumps(known.to_json())


def test_a_scheme_of_68_other_points_is_not_taken_for_the_known_one(
    shared: Path, tmp_path: Path
) -> None:
    shapes = np.load(shared / "data" / "shapes" / "300w_68.npz")["pts"][:40]
    order = np.random.default_rng(0).permutation(68)
    for i, shape in enumerate(shapes):
        write_images(tmp_path, [f"{i:02}.png"])
        write_pts(tmp_path / f"{i:02}.pts", shape[order])
    config = _drafted(tmp_path)
    text = draft_custom_dataset(tmp_path)
    assert "CHECK: these pairs are proposed from the faces' shapes alone." in text
    assert re.search(r"differs from its mirror image by at most\n# \d+\.\d %", text)
    place = np.argsort(order)
    expected = place[SCHEMES[68].flip[order]]
    np.testing.assert_array_equal(config.scheme().flip, expected)
    assert config.names is None


@pytest.mark.parametrize(
    ("columns", "column", "test"),
    [
        ({"sex": ["f", "m"] * 9, "Subject": ["a", "b"] * 9}, "Subject", 0.2),
        ({"sex": ["f", "m"] * 9}, None, 0.2),
        ({"town": list("abcdef") * 3}, "town", 0.2),
        ({"age": list("123456") * 3}, None, 0.2),
        ({"person": list("abcdef")}, None, 0.2),
        ({"person": ["a", "", "b"] * 6}, None, 0.2),
        ({"person": ["a"] * 6}, None, 0.2),
        ({}, None, 0.2),
    ],
)
def test_the_split_column_is_one_that_tells_people(
    columns: dict[str, list[str]], column: str | None, test: float
) -> None:
    proposed = propose_split(columns)
    assert (proposed.column, proposed.test, proposed.validation) == (column, test, None)


@pytest.mark.parametrize(
    ("columns", "column", "test", "validation"),
    [
        ({"part": ["train", "test"] * 9}, "part", ["test"], None),
        ({"person": list("abcdef"), "Set": ["TRAIN", "Val", "tEST"] * 2}, "Set", ["tEST"], ["Val"]),
        ({"folder": ["trainset", "testset"] * 9}, "folder", ["testset"], None),
        ({"folder": ["Training", "validation", "testing"]}, "folder", ["testing"], ["validation"]),
        ({"folder": ["train2017", "val2017", "test2017"]}, "folder", ["test2017"], ["val2017"]),
        (
            {"folder": ["trainImages", "valImages", "testImages"]},
            "folder",
            ["testImages"],
            ["valImages"],
        ),
        ({"split": ["train", "dev", "test"]}, "split", ["test"], ["dev"]),
        ({"split": ["train", "dev", "eval"]}, "split", ["eval"], ["dev"]),
        ({"split": ["train", "eval", "test"]}, "split", ["test"], ["eval"]),
        ({"split": ["train", "evaluation"]}, "split", ["evaluation"], None),
        ({"split": ["trainval", "test"]}, "split", ["test"], None),
        ({"split": ["train", "val"]}, "split", 0.2, ["val"]),
        ({"split": ["train", "test", "test_hard", "extra"]}, "split", ["test", "test_hard"], None),
        ({"is_test": ["0", "1", "0"]}, "is_test", ["1"], None),
        ({"train": ["True", "False", "True"]}, "train", ["False"], None),
        ({"folder": ["train", "test"], "split": ["train", "val"]}, "folder", ["test"], None),
        ({"folder": ["train", "test"], "s": ["train", "val", "test"]}, "s", ["test"], ["val"]),
    ],
)
def test_the_authors_own_split_is_taken(
    columns: dict[str, list[str]],
    column: str,
    test: float | list[str],
    validation: list[str] | None,
) -> None:
    proposed = propose_split(columns)
    assert (proposed.column, proposed.test, proposed.validation) == (column, test, validation)


@pytest.mark.parametrize(
    "columns",
    [
        {"split": ["0", "1", "2"] * 3},
        {"person": ["Dev", "Val", "Ann"]},
        {"split": ["val", "test"]},
        {"folder": ["train", "test", "wood", "lake", "hill", "town"]},
    ],
)
def test_what_may_be_a_split_and_is_not_taken_is_listed(columns: dict[str, list[str]]) -> None:
    [(name, values)] = columns.items()
    proposed = propose_split(columns)
    assert (proposed.column, proposed.test, proposed.validation) == (None, 0.2, None)
    assert f"One could split by {name} ({len(set(values))} values: " in proposed.note


def test_the_authors_split_and_what_else_there_is_stand_under_check(tmp_path: Path) -> None:
    lines = table_lines(PEOPLE)
    uses = ["Set", *(["Train"] * 28 + ["Val"] * 4 + ["Test"] * 8)]
    folder = _undrafted(
        write_table(tmp_path, [f"{line},{use}" for line, use in zip(lines, uses, strict=True)])
    )
    split = _drafted(folder).split
    assert (split.column, split.test, split.validation) == ("Set", ["Test"], ["Val"])
    [check] = [
        line
        for line in (folder / "landmark-kd.yaml").read_text().splitlines()
        if line.startswith("# CHECK: the test faces; ")
    ]
    assert check.endswith(
        "Set says 28 for train (Train), 4 for validation (Val), 8 for test (Test). One could split "
        "by person (10 values: person0, person1, person2, person3 and 6 more)."
    )


@pytest.mark.parametrize("below", [["{use}"], ["images", "{use}"], ["{person}", "{use}"]])
def test_folders_named_by_the_split_are_found_at_any_depth(
    tmp_path: Path, below: list[str]
) -> None:
    uses = ["Training"] * 28 + ["Validation"] * 4 + ["Testing"] * 8
    people = ["/".join(below).format(use=use, person=f"p{i % 2}") for i, use in enumerate(uses)]
    config = _drafted(_undrafted(write_pts_tree(tmp_path, people)))
    assert (config.split.test, config.split.validation) == (["Testing"], ["Validation"])
    records = list(read_custom_dataset(tmp_path).read(tmp_path, BadFaces("error")))
    found = Counter((record.split, record.validation) for record in records)
    assert found == {("train", False): 28, ("train", True): 4, ("test", False): 8}


def test_faces_that_cannot_be_read_are_counted_in_a_comment(tmp_path: Path) -> None:
    lines = table_lines(PEOPLE)
    lines[3] = re.sub(r"[^,]+$", "nan", lines[3])
    text = draft_custom_dataset(_undrafted(write_table(tmp_path, lines)))
    assert "# 40 faces of 5 points. 1 of them cannot be read; the first: " in text
    assert "landmarks.csv, line 4: y4 is nan" in text


def test_a_name_that_dvc_cannot_hold_is_refused(tmp_path: Path) -> None:
    folder = _undrafted(write_pts_tree(tmp_path, PEOPLE))
    images = folder / "images" / "person0"
    (images / "p000.pts").rename(images / os.fsdecode(b"Zo\xeb.pts"))
    with pytest.raises(UserError, match=r"images/person0/Zo\\xeb\.pts in .* is not UTF-8"):
        write_draft(folder)
    assert not (folder / "landmark-kd.yaml").exists()


def test_images_are_found_where_they_are(tmp_path: Path) -> None:
    lines = [line.replace("p0", "sub/p0") for line in table_lines(PEOPLE)]
    folder = _undrafted(write_table(tmp_path, lines))
    (folder / "images").rename(folder / "photos")
    assert _drafted(folder).images == "photos"
    (folder / "landmark-kd.yaml").unlink()
    shutil.move(folder / "photos" / "sub", folder / "sub")
    assert _drafted(folder).images == "."
    (folder / "landmark-kd.yaml").unlink()
    shutil.rmtree(folder / "sub")
    with pytest.raises(UserError, match=r"hold none of the images that landmarks.csv names: su"):
        write_draft(folder)
    assert not (folder / "landmark-kd.yaml").exists()


def test_a_folders_name_that_is_taken_gets_an_ending(tmp_path: Path) -> None:
    assert _drafted(_undrafted(write_table(tmp_path / "Test", table_lines(PEOPLE)))).name == (
        "Test-custom"
    )
    assert _drafted(_undrafted(write_table(tmp_path / "...", table_lines(PEOPLE)))).name == "custom"


def test_odd_names_of_columns_stay_one_line(tmp_path: Path) -> None:
    lines = table_lines(PEOPLE)
    lines[0] = lines[0].replace("person", '"who: ""is\nit"" # ☺"')
    config = _drafted(_undrafted(write_table(tmp_path, lines)))
    assert config.split.column == 'who: "is\nit" # ☺'


def test_a_yaml_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    write_table(tmp_path, table_lines(PEOPLE))
    before = (tmp_path / "landmark-kd.yaml").read_bytes()
    with pytest.raises(UserError, match=r"landmark-kd\.yaml is there already; remove it first"):
        write_draft(tmp_path)
    assert (tmp_path / "landmark-kd.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("write", "name"),
    [(write_300w, "300w"), (write_cofw, "cofw"), (write_wflw, "wflw"), (write_300w_lp, "300w_lp")],
)
def test_a_known_set_in_its_official_layout_is_named_with_the_way_to_use_it(
    tmp_path: Path, write: Callable[[Path], Path], name: str
) -> None:
    folder = tmp_path / "my set"
    folder.mkdir()
    write(folder)
    before = snapshot(folder)
    with pytest.raises(
        UserError,
        match=f"{name} in its official layout, .*`landmark-kd data check '.*/my set'`, .*`dvc exp "
        f"run -S data.name={name} -S 'data.path=",
    ):
        write_draft(folder)
    assert snapshot(folder) == before


def test_a_part_of_a_known_set_is_drafted_and_that_is_to_be_checked(tmp_path: Path) -> None:
    write_300w(tmp_path, without=("helen/testset", "lfpw/testset", "ibug"))
    text = write_draft(tmp_path).read_text()
    assert text.startswith("# CHECK: a part of 300w in its official layout? ")
    assert "holds no test faces: images with .pts files beside them" in text.splitlines()[0]
    read_custom_dataset(tmp_path)


def test_several_annotations_are_named(tmp_path: Path) -> None:
    folder = write_table(tmp_path, table_lines(PEOPLE))
    write_coco(folder, coco_content(PEOPLE), 40)
    _undrafted(folder)
    with pytest.raises(UserError, match=r"several annotations: faces\.json, landmarks\.csv; move"):
        write_draft(folder)
    (folder / "faces.json").unlink()
    write_pts(folder / "images" / "p000.pts", faces(1)[0])
    with pytest.raises(UserError, match=r"several annotations: landmarks\.csv, \.pts files; move"):
        write_draft(folder)


def test_a_table_or_json_of_other_things_does_not_disturb(tmp_path: Path) -> None:
    folder = _undrafted(write_table(tmp_path, table_lines(PEOPLE)))
    (folder / "people.csv").write_text("person,age\nann,7\n")
    (folder / "settings.json").write_text("{}")
    assert _drafted(folder).annotations == "landmarks.csv"


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (None, "", "holds no annotations that can be read: wanted is one .csv table"),
        (
            "faces.csv",
            "file,x,y\na.png,1,2\n",
            "none of its columns holds points; they are file, x, y,",
        ),
        (
            "boxes.json",
            '{"images": [], "annotations": [{"id": 1, "bbox": [1, 2, 3, 4]}]}',
            "boxes.json has no key points",
        ),
        ("a.pts", "broken", "none of the 1 .pts files below"),
        ("faces.csv", "image,x0,y0,x1\na.png,1,2,3\n", "line 1: has no column y1"),
        ("faces.csv", "image,x0,y0,x1,y1\na.png,1,2,3,x\n", "line 2: y1 is 'x', which is no"),
        ("faces.csv", "image,x0,y0,x1,y1\na.png,1,2,1,2\n", "points are all in one place"),
    ],
)
def test_a_folder_without_annotations_says_what_was_wanted(
    tmp_path: Path, name: str | None, text: str, sentence: str
) -> None:
    write_images(tmp_path, ["a.png"])
    if name:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=re.escape(sentence)):
        write_draft(tmp_path)
    assert not (tmp_path / "landmark-kd.yaml").exists()


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere is not a folder"):
        draft_custom_dataset(tmp_path / "nowhere")
