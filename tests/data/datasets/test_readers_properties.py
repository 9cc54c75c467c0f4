"""Whatever stands in a file of a data set: faces that can be trained on, or one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.base import BadFaces, FaceRecord, check_landmarks
from landmark_kd.data.datasets.cofw import COFW
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.datasets.plausible import LEAST_COVERED, SMALLEST_FACE
from landmark_kd.data.datasets.pts import read_pts
from landmark_kd.data.datasets.wflw import IMAGES, WFLW
from landmark_kd.imaging.images import ImageFile, read_image
from tests.support.raw_cofw_wflw import wflw_line, write_cofw, write_wflw
from tests.support.raw_custom import table_lines, write_table
from tests.support.raw_faces import landmarks_in, write_face, write_pts
from tests.support.reading import check_reading, check_sentence, refused_or_sound
from tests.support.strategies import damaged, examples, shapes

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read")


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    for dataset, folder in (
        (WFLW, write_wflw(tmp_path / "wflw", 3, 2)),
        (COFW, write_cofw(tmp_path / "cofw", 3, 2)),
    ):
        check_reading(dataset, folder)
        assert len(list(dataset.read(folder, BadFaces("error")))) == 5


@examples(200)
@given(
    centre=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)),
    size=st.floats(1e-3, 1e7) | st.floats(8, 100) | st.sampled_from([1e150, 1e308]),
    brought=st.booleans(),
)
@example(centre=(40, 30), size=300, brought=False)
@example(centre=(40, 30), size=300, brought=True)
def test_a_face_reaches_no_further_out_of_its_image_than_half_of_either(
    centre: tuple[float, float], size: float, brought: bool
) -> None:
    width, height = 80, 60
    box = np.array([*np.subtract(centre, size / 2), *np.add(centre, size / 2)])
    around = np.resize(box.reshape(2, 2), (COFW.points, 2))
    around[list(COFW.scheme.normalizer)] = box.reshape(2, 2)
    in_the_middle = landmarks_in(width, height)[: COFW.points]
    record = FaceRecord(
        name="face",
        image=ImageFile(Path("face.png")),
        landmarks=in_the_middle if brought else around,
        photo="face",
        part=COFW.parts[0],
        box=box if brought else None,
    )
    out = max(*(-0.5 - box[:2]), *(box[2:] - (width - 0.5, height - 0.5)))
    meet = size >= SMALLEST_FACE
    if brought:
        low, high = in_the_middle.min(axis=0), in_the_middle.max(axis=0)
        shared = np.minimum(box[2:], high) - np.maximum(box[:2], low)
        meet = (shared.clip(min=0) / (high - low)).prod() >= LEAST_COVERED
    allowed = meet and out <= 0.5 * min((box[2:] - box[:2]).max(), width)
    try:
        check_landmarks(record, COFW.scheme, width, height)
    except UserError as error:
        check_sentence(error)
        assert not allowed
    else:
        assert allowed


@pytest.fixture(scope="module")
def pts(folder: Path) -> Path:
    write_face(folder, "face", landmarks_in(80, 60)[:5])
    return folder / "face.pts"


GOOD_PTS = b"version: 1\nn_points:  5\n{\n" + b"20.5 30.25\n" * 4 + b"1e1 -0.001\n}\n"


@examples(200)
@given(content=damaged(GOOD_PTS), points=st.sampled_from([5, None]))
@example(content=GOOD_PTS.replace(b"5", b"9" * 5000), points=None)
def test_a_damaged_pts_file_is_refused_or_read(
    pts: Path, content: bytes, points: int | None
) -> None:
    pts.write_bytes(content)

    def read() -> None:
        found = read_pts(pts, points)
        assert found.shape == (points or len(found), 2)
        assert np.isfinite(found).all()

    refused_or_sound(read)


@pytest.mark.parametrize("text", ["2_0", "٢٠", "0x10", "1e", "", "nan", "½", "1,5"])
def test_what_other_programs_take_for_no_number_is_none(tmp_path: Path, text: str) -> None:
    line = wflw_line(0, "a.jpg").split(" ")
    path = write_wflw(tmp_path / "wflw", 2, 2) / WFLW.parts[0].folder
    path.write_text(" ".join([text, *line[1:]]) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"entry|entries"):
        list(WFLW.read(tmp_path / "wflw", BadFaces("error")))

    lines = table_lines(["ann", "ben", "cy"])
    first = lines[1].split(",")
    lines[1] = ",".join([*first[:2], f'"{text}"', *first[3:]])
    table = write_table(tmp_path / "table", lines)
    bad = BadFaces("skip")
    custom = read_custom_dataset(table)
    assert len(list(custom.read(table, bad))) == 2
    assert "line 2: x0 is " in bad.left_out[0][1]

    write_pts(tmp_path / "a.pts", np.array([[1.0, 2]]))
    (tmp_path / "a.pts").write_text(f"version: 1\nn_points: 1\n{{\n{text} 1\n}}\n")
    with pytest.raises(UserError, match=r"a\.pts, line 4"):
        read_pts(tmp_path / "a.pts", 1)


@pytest.fixture(scope="module")
def wflw(folder: Path) -> Path:
    return write_wflw(folder / "wflw", 3, 2)


GOOD_WFLW = "".join(f"{wflw_line(i, 'one.jpg')}\n" for i in range(2)).encode()


@examples(80)
@given(content=damaged(GOOD_WFLW))
@example(content=GOOD_WFLW.replace(b"one.jpg", b"a" * 300))
@example(content=GOOD_WFLW.replace(b"one.jpg", b"\x1b[2J\0"))
def test_a_damaged_wflw_list_is_refused_or_read(wflw: Path, content: bytes) -> None:
    name = min(wflw.rglob("*.jpg")).relative_to(wflw / IMAGES).as_posix().encode()
    (wflw / WFLW.parts[0].folder).write_bytes(content.replace(b"one.jpg", name))
    refused_or_sound(lambda: check_reading(WFLW, wflw))


@pytest.fixture(scope="module")
def cofw(folder: Path) -> Path:
    return write_cofw(folder / "cofw", 3, 2, (20, 16))


@pytest.mark.seconds
@examples(150)
@given(data=st.data())
def test_a_damaged_cofw_file_is_refused_or_read(cofw: Path, data: st.DataObject) -> None:
    path = cofw / COFW.parts[0].folder
    whole = cofw / "whole"
    if not whole.exists():
        path.rename(whole)
    path.write_bytes(data.draw(damaged(whole.read_bytes())))
    refused_or_sound(lambda: check_reading(COFW, cofw))


@pytest.mark.seconds
@examples(100)
@given(data=st.data(), suffix=st.sampled_from([".png", ".jpg"]))
def test_a_damaged_image_is_refused_or_read(folder: Path, data: st.DataObject, suffix: str) -> None:
    write_face(folder, "image", suffix=suffix)
    path = folder / f"image{suffix}"
    path.write_bytes(data.draw(damaged(path.read_bytes())))

    def read() -> None:
        image = read_image(path)
        assert image.dtype == np.uint8
        assert image.shape[2:] == (3,)

    refused_or_sound(read)


@examples(100)
@given(face=shapes(1, 7))
def test_a_pts_file_keeps_landmarks_to_half_a_thousandth_of_a_pixel(
    folder: Path, face: np.ndarray
) -> None:
    path = folder / "written.pts"
    write_pts(path, face[0])
    assert np.abs(read_pts(path, 7) - face[0]).max() <= 0.0005 + 1e-9
