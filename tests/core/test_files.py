from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from landmark_kd.core.errors import UserError
from landmark_kd.core.files import read_json, replaced_file, replaced_folder, save_array, write_json
from tests.support.limits import files_end_after


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "weights.txt"
    for text in ("first", "second"):
        with replaced_file(path) as temporary:
            assert temporary.suffix == path.suffix
            temporary.write_text(text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_file_may_have_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    for path in (tmp_path / ("a" * 251 + ".txt"), tmp_path / ("ë" * 127)):
        with replaced_file(path) as temporary:
            temporary.write_text("new")
        assert path.read_text() == "new"


@pytest.mark.parametrize("failure", [OSError, KeyboardInterrupt])
def test_a_file_whose_writing_fails_is_as_before(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    path = tmp_path / "weights.txt"
    path.write_text("before")
    with pytest.raises(failure):
        _fail_to_write_file(path, failure)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "faces"
    for name in ("first", "second"):
        with replaced_folder(path) as temporary:
            (temporary / name).write_text(name)
        assert [file.name for file in path.iterdir()] == [name]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [OSError, KeyboardInterrupt])
def test_a_folder_whose_writing_fails_is_as_before(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    path = tmp_path / "faces"
    path.mkdir()
    (path / "images").write_text("before")
    with pytest.raises(failure):
        _fail_to_write_folder(path, failure)
    assert (path / "images").read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_results_are_as_readable_as_any_other_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    (tmp_path / "plain_folder").mkdir()
    with replaced_file(tmp_path / "file") as temporary:
        temporary.write_text("")
    with replaced_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "file").stat().st_mode == plain.stat().st_mode
    assert (tmp_path / "folder").stat().st_mode == (tmp_path / "plain_folder").stat().st_mode


def test_an_array_is_read_as_it_was_written_and_holds_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.npy"
    array = np.random.default_rng(0).normal(size=(3, 68, 2))
    save_array(path, array)
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), array)
    with pytest.raises(ValueError, match="allow_pickle"):
        save_array(path, np.array([{}], dtype=object))


@pytest.mark.parametrize("missing", [1, 100, 5000, 50_000])
def test_an_array_of_which_a_disk_takes_all_but_the_end_is_no_success(
    tmp_path: Path, missing: int
) -> None:
    """numpy's own writing into a file keeps the last kilobytes back and loses them in silence."""
    array = np.zeros((100, 68, 2))
    path = tmp_path / "landmarks.npy"
    save_array(path, array)
    size = path.stat().st_size
    with (
        files_end_after(size - missing),
        pytest.raises(OSError, match="File too large") as caught,
        replaced_folder(tmp_path / "out") as temporary,
    ):
        save_array(temporary / "landmarks.npy", array)
    assert caught.value.filename == str(tmp_path / "out")
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_disk_names_what_was_written_unless_it_names_a_file_itself(
    tmp_path: Path,
) -> None:
    path = tmp_path / "metrics.json"
    with files_end_after(10), pytest.raises(OSError, match="File too large") as caught:
        write_json(path, {"nme": "3.5" * 100})
    assert caught.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as missing, replaced_file(path):
        (tmp_path / "absent").read_text()
    assert missing.value.filename == str(tmp_path / "absent")


def test_json_is_read_as_it_was_written(tmp_path: Path) -> None:
    content = {"nme": 3.5, "missing": ["ibug"], "published": None}
    write_json(tmp_path / "info.json", content)
    assert read_json(tmp_path / "info.json") == content


def test_a_value_that_json_cannot_hold_leaves_the_file_as_before(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"nme": 3.5})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"nme": float("nan")})
    assert json.loads(path.read_text()) == {"nme": 3.5}


def test_json_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "info.json"
    with pytest.raises(UserError, match=r"info\.json is missing; run `dvc repro`"):
        read_json(path)
    path.write_text('{"dataset": "30')
    with pytest.raises(UserError, match=r"info\.json is damaged"):
        read_json(path)


def _fail_to_write_file(path: Path, failure: type[BaseException]) -> None:
    with replaced_file(path) as temporary:
        temporary.write_text("hal")
        raise failure


def _fail_to_write_folder(path: Path, failure: type[BaseException]) -> None:
    with replaced_folder(path) as temporary:
        (temporary / "images").write_text("hal")
        raise failure
