"""Columns as people and tools call them: which are the image's, which the points'."""

from __future__ import annotations

import re

import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.columns import Columns, check_header, find_columns


def _find(header: str, *rows: str) -> Columns:
    names = header.split(",")
    check_header("t.csv, line 1", names)
    cells = [row.split(",") for row in rows] or [["1"] * len(names)]
    return find_columns("t.csv, line 1", names, cells)


@pytest.mark.parametrize(
    ("header", "image", "points"),
    [
        ("image,x0,y0,x1,y1", "image", "x0 y0 x1 y1"),
        ("image_name,part_0_x,part_0_y,part_1_x,part_1_y", "image_name", None),
        ("filename,x_1,x_2,x_3,y_1,y_2,y_3", "filename", "x_1 y_1 x_2 y_2 x_3 y_3"),
        ("Image,lm0_x,lm0_y,lm1_x,lm1_y", "Image", None),
        ("file,0_x,0_y,1_x,1_y", "file", None),
        ("path,X1,Y1,X2,Y2", "path", None),
        ("img,landmark_00_x,landmark_00_y,landmark_01_x,landmark_01_y", "img", None),
        ("x2,x0,x1,y2,y1,y0,id,File Name", "File Name", "x0 y0 x1 y1 x2 y2"),
        # OpenFace has points of the eyes and points in space, too.
        ("image,eye_x_0,eye_y_0,X_0,Y_0,X_1,Y_1,x_0,x_1,y_0,y_1", "image", "x_0 y_0 x_1 y_1"),
        ("image,x1,y1,x2,y2,p0x,p0y,p1x,p1y,p2x,p2y", "image", "p0x p0y p1x p1y p2x p2y"),
    ],
)
def test_numbered_points_are_found(header: str, image: str, points: str | None) -> None:
    found = _find(header)
    assert (found.image, found.names) == (image, None)
    expected = points.split() if points else header.split(",")[1:]
    assert [name for pair in found.points for name in pair] == expected


def test_points_may_have_names() -> None:
    header = "left_eye_center_x,left_eye_center_y,nose tip x,nose tip y,face_x,face_y,gaze_x,Image"
    found = _find(header)
    assert found.image == "Image"
    assert found.names == ("left_eye_center", "nose tip")
    assert found.points[1] == ("nose tip x", "nose tip y")


@pytest.mark.parametrize(
    ("header", "row", "image"),
    [
        ("name,frame,x0,y0,x1,y1", "Ann,a/1.JPG,1,2,3,4", "frame"),
        ("file_id,photo,x0,y0,x1,y1", "7,a.png,1,2,3,4", "photo"),
        ("image,mask_path,x0,y0,x1,y1", "a.png,b.png,1,2,3,4", "image"),
        ("img,person,x0,y0,x1,y1", "000012,Ann,1,2,3,4", "img"),
    ],
)
def test_the_images_column_is_known_by_its_name_or_its_values(
    header: str, row: str, image: str
) -> None:
    assert _find(header, row).image == image


@pytest.mark.parametrize(
    ("header", "row", "sentence"),
    [
        (
            "name,x0,y0,x1,y1",
            "Ann,1,2,3,4",
            "line 1: none of its columns names an image; they are name, x0, y0, x1, y1, but a "
            "column with the name of the image's file (image, file, filename, path, …) and an x",
        ),
        ("image,points", "a.jpg,[1 2 3]", "none of its columns holds points; they are image, po"),
        (
            "a.jpg,30,12.5,30",
            "b.jpg,1,2,3",
            "line 1: holds values (a.jpg, 30, 12.5 and 1 more)",
        ),
        ("image,x0,y0,x1", "a.jpg,1,2,3", "has no column y1, but columns of points up to x1"),
        ("image,p_1_x,p_1_y,p_3_x", "a,1,2,3", "has no column p_2_x and 2 more, but columns of"),
        (
            "left_eye_center_x,left_eye_center_y,nose_x,nose_y,Image",
            f"1,2,3,4,{'238 ' * 9216}",
            "the column Image holds 9216 pixels rather than the name of a file; write the pixels",
        ),
    ],
)
def test_what_cannot_be_told_is_said_with_the_columns_that_are_there(
    header: str, row: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        _find(header, row)
    assert str(caught.value).startswith("t.csv, line 1: ")
