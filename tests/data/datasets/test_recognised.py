from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.registry import recognised
from tests.support.raw_cofw_wflw import write_cofw, write_wflw
from tests.support.raw_custom import table_lines, write_table
from tests.support.raw_faces import write_300w, write_face


def test_each_layout_is_known_without_being_named(tmp_path: Path) -> None:
    write_300w(tmp_path / "a")
    write_cofw(tmp_path / "b")
    write_wflw(tmp_path / "c")
    write_table(tmp_path / "d", table_lines(["ann", "bob", "eve"]))
    found = [recognised(tmp_path / name) for name in "abcd"]
    assert [name for name, _ in found] == ["300w", "cofw", "wflw", "pts"]
    assert [dataset.name for _, dataset in found] == ["300w", "cofw", "wflw", "mine"]


def test_the_real_samples_are_known(shared: Path) -> None:
    for name in ("300w", "cofw", "wflw"):
        assert recognised(shared / "data" / name)[0] == name


def test_a_name_is_taken_at_its_word(tmp_path: Path) -> None:
    write_wflw(tmp_path)
    assert recognised(tmp_path, "wflw")[0] == "wflw"
    with pytest.raises(UserError, match="cofw is read from the files COFW_train_color"):
        recognised(tmp_path, "cofw")
    with pytest.raises(UserError, match=r"landmark-kd\.yaml"):
        recognised(tmp_path, "pts")


def test_two_data_sets_in_one_folder_need_a_name(tmp_path: Path) -> None:
    write_cofw(tmp_path)
    write_wflw(tmp_path)
    with pytest.raises(UserError, match="holds cofw and wflw; say which one with --name cofw"):
        recognised(tmp_path)
    assert recognised(tmp_path, "wflw")[0] == "wflw"


def test_a_custom_description_goes_before_every_known_layout(tmp_path: Path) -> None:
    write_300w(tmp_path)
    write_table(tmp_path, table_lines(["ann", "bob", "eve"]))
    assert recognised(tmp_path)[0] == "pts"
    (tmp_path / "landmark-kd.yaml").write_text("name: [")
    with pytest.raises(UserError, match=r"landmark-kd\.yaml"):
        recognised(tmp_path)


def test_synthetic_is_known_by_name_only(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_face(tmp_path / split, "face_0")
    assert recognised(tmp_path, "synthetic")[0] == "synthetic"
    with pytest.raises(UserError, match=r"no data set that is known \(300w, 300w_lp, cofw, wflw\)"):
        recognised(tmp_path)


def test_half_a_data_set_gets_its_own_sentence(tmp_path: Path) -> None:
    write_cofw(tmp_path / "cofw")
    (tmp_path / "cofw/COFW_test_color.mat").unlink()
    with pytest.raises(UserError, match=r"COFW_test_color\.mat is missing"):
        recognised(tmp_path / "cofw")
    write_300w(tmp_path / "300w", without=("helen/testset", "lfpw/testset", "ibug"))
    with pytest.raises(UserError, match="holds no test faces"):
        recognised(tmp_path / "300w")


@pytest.mark.parametrize("write", [write_300w, write_cofw, write_wflw])
def test_a_folder_too_high_gets_the_right_one_suggested(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    folder = write(tmp_path / "sets" / "this")
    (tmp_path / "sets" / "other").mkdir()
    with pytest.raises(UserError) as caught:
        recognised(tmp_path / "sets")
    assert str(caught.value).endswith(f"did you mean {folder}?")


def test_a_folder_too_low_gets_the_right_one_suggested(tmp_path: Path) -> None:
    write_300w(tmp_path / "300w")
    with pytest.raises(UserError, match=r"did you mean .*300w\?"):
        recognised(tmp_path / "300w/helen")
    custom = write_table(tmp_path / "mine", table_lines(["ann", "bob", "eve"]))
    with pytest.raises(UserError, match=r"mine/images has no landmark-kd\.yaml, but .*/mine has"):
        recognised(custom / "images")
    with pytest.raises(UserError, match=r"did you mean .*300w\?"):
        recognised(tmp_path / "300w/ibug")


def test_what_is_nothing_known_hears_of_data_init_and_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is empty, so it holds no data set that is known"):
        recognised(tmp_path)
    (tmp_path / "notes.txt").write_text("no faces")
    with pytest.raises(UserError) as caught:
        recognised(tmp_path)
    for text in (
        "(300w, 300w_lp, cofw, wflw)",
        "landmark-kd.yaml",
        "landmark-kd data init",
        "--name",
    ):
        assert text in str(caught.value)


def test_a_file_and_a_folder_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere does not exist"):
        recognised(tmp_path / "nowhere")
    write_cofw(tmp_path)
    with pytest.raises(UserError, match=r"COFW_train_color\.mat is a file; give the folder"):
        recognised(tmp_path / "COFW_train_color.mat")
