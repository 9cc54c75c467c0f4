"""`landmark-kd data check` and `data init`: what they write, say, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from landmark_kd.cli.shared import DATA_NAMES
from landmark_kd.data.datasets.custom.config import read_custom_config
from landmark_kd.data.datasets.registry import CUSTOM, DATASETS
from landmark_kd.data.inspection import check
from landmark_kd.imaging.images import ImageFile, read_image
from tests.support.command import run, run_apart
from tests.support.raw_custom import table_lines, write_table
from tests.support.raw_faces import snapshot, write_300w


def test_every_data_set_can_be_named() -> None:
    assert set(DATA_NAMES) == {*DATASETS, CUSTOM}


@pytest.mark.seconds
def test_a_good_set_ends_with_the_line_to_train_with_and_a_sheet(tmp_path: Path) -> None:
    folder = write_300w(tmp_path / "my faces")
    before = snapshot(folder)
    ended = run_apart("data", "check", folder, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith(
        "contact sheet: landmark-kd-check.jpg (15 of the faces; look at them)\n"
        "train on it:\n"
        f"  dvc exp run -S data.name=300w -S 'data.path=\"{folder}\"'\n"
    )
    assert read_image(tmp_path / "landmark-kd-check.jpg").size
    assert snapshot(folder) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["landmark-kd-check.jpg", "my faces"]


def test_broken_faces_end_in_status_1_after_the_whole_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_300w(tmp_path / "300w")
    for file in (folder / "afw").glob("*.png"):
        file.write_bytes(b"no image")
    assert run("data", "check", folder, "--sheet", tmp_path / "sheet.png") == 1
    said = capsys.readouterr()
    assert said.out.count("does not decode") == 3
    assert "-S data.on_bad=skip" in said.out
    assert said.err.startswith("error: 3 of 15 faces are broken (see above)")
    assert (tmp_path / "sheet.png").is_file()


def test_all_names_every_broken_face(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_300w(tmp_path / "300w")
    for i in range(30):
        (folder / "afw" / f"no_{i:02}.pts").write_text("nothing")
    arguments = ["data", "check", folder, "--sheet", tmp_path / "sheet.png"]
    assert run(*arguments) == 1
    assert capsys.readouterr().out.count("no_") == check.BROKEN_SHOWN
    assert run(*arguments, "--all") == 1
    assert capsys.readouterr().out.count("no_") == 30


def test_a_split_without_a_good_face_is_not_to_be_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_300w(tmp_path / "300w", without=("ibug",))
    for file in folder.glob("*/testset/*.png"):
        file.write_bytes(b"no image")
    assert run("data", "check", folder, "--sheet", tmp_path / "sheet.png") == 1
    said = capsys.readouterr().out
    assert "dvc exp run" not in said
    assert "not to be trained on: no good test face; 300-W (300 Faces In-the-Wild, for" in said
    for file in folder.rglob("*.png"):
        file.write_bytes(b"no image")
    assert run("data", "check", folder, "--sheet", tmp_path / "none.png") == 1
    assert "error: 13 of 13 faces are broken" in capsys.readouterr().err
    assert not (tmp_path / "none.png").exists()


def test_a_folder_that_is_no_data_set_ends_in_its_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_300w(tmp_path / "sets" / "300w")
    assert run("data", "check", tmp_path / "sets", "--sheet", tmp_path / "sheet.png") == 1
    said = capsys.readouterr()
    assert said.err.endswith(f"did you mean {tmp_path / 'sets/300w'}?\n")
    assert said.out == ""
    assert run("data", "check", tmp_path / "sets/300w", "--name", "cofw") == 1
    assert "COFW_train_color.mat" in capsys.readouterr().err
    assert run("data", "check", tmp_path, "--name", "lfw") == 2


def test_a_sheet_in_the_data_sets_folder_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_300w(tmp_path)
    monkeypatch.chdir(folder)
    before = snapshot(folder)
    assert run("data", "check", ".") == 1
    assert "give a file somewhere else with --sheet" in capsys.readouterr().err
    assert snapshot(folder) == before


def test_ctrl_c_ends_in_a_line_and_leaves_no_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_300w(tmp_path / "300w")

    def interrupted(image: ImageFile) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageFile, "read", interrupted)
    assert run("data", "check", folder, "--sheet", tmp_path / "sheet.png") == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: interrupted")
    assert not (tmp_path / "sheet.png").exists()


def test_init_writes_a_draft_that_check_understands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_table(tmp_path / "my faces", table_lines(["ann", "bob", "eve", "joe"] * 5))
    (folder / "landmark-kd.yaml").unlink()
    assert run("data", "init", folder) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{folder / 'landmark-kd.yaml'} is written; found:\n")
    assert f"annotations: landmarks.csv, images in {folder / 'images'}" in said
    assert "5 landmarks per face, 2 flip pairs" in said
    assert said.endswith(f"landmark-kd data check '{folder}'\n")
    written = (folder / "landmark-kd.yaml").read_text().splitlines()
    told = [line.split(": ", 1) for line in said.splitlines() if line.startswith("  line ")]
    assert len(told) == sum("# CHECK:" in line for line in written) >= 2
    for number, text in told:
        assert text in written[int(number.removeprefix("  line ")) - 1]
    assert run("data", "check", folder, "--sheet", tmp_path / "sheet.jpg") == 0
    assert "train on it:\n  dvc exp run -S data.name=pts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("column", "people", "said"),
    [
        ("person", ["ann", "bob", "eve", "joe"], "20 % are test faces, all of one"),
        (
            "split",
            ["train", "train", "val", "test"],
            "by split (test: test; validation: val; ",
        ),
        (
            "split",
            ["train", "train", "train", "val"],
            "by split (validation: val); of the others 20 %",
        ),
    ],
)
def test_init_says_how_it_splits(
    tmp_path: Path, column: str, people: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_table(tmp_path, table_lines(people * 5, column))
    (folder / "landmark-kd.yaml").unlink()
    assert run("data", "init", folder) == 0
    assert f"  split: {said}" in capsys.readouterr().out
    assert read_custom_config(folder).split.column == column


def test_init_overwrites_no_description(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_table(tmp_path, table_lines(["ann", "bob"]))
    before = snapshot(folder)
    assert run("data", "init", folder) == 1
    assert "is there already" in capsys.readouterr().err
    assert snapshot(folder) == before
