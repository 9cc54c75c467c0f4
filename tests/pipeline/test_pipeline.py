"""The whole pipeline in a copy of the repository."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from landmark_kd.config import paths
from landmark_kd.data.synthetic.render import write_dataset
from landmark_kd.distillation.unlabelled import load_unlabelled
from landmark_kd.faces.prepared import load_faces
from landmark_kd.models.network import load_network
from tests.support.declared_stages import STAGES, outs
from tests.support.pipeline_copy import TINY, Copy, copy_finished_pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """A copy in which the tiny pipeline has run once, all of it committed."""
    copy = copy_finished_pipeline(tmp_path_factory, "pipeline")
    yield copy
    copy.run("dvc", "queue", "stop", "--kill", check=False)


@pytest.mark.slow
def test_the_whole_pipeline_makes_every_declared_out(pipeline: Copy) -> None:
    for name, stage in STAGES.items():
        for out in outs(stage):
            path = pipeline.folder / out
            assert path.exists(), f"{name}: {out}"
            assert path.is_file() or any(path.iterdir()), f"{name}: {out} is empty"
    metrics = pipeline.metrics()
    assert set(metrics) == {"tough", "tolerant", "baseline", "kd", "mean_shape"}
    of_all = {"nme", "fr8", "fr10", "auc8", "auc10", "nme_pupil", "n"}
    for name, scores in metrics.items():
        says = set() if name == "mean_shape" else {"cover50", "cover90"}
        assert set(scores["test"]) == of_all | says
        assert scores["test"]["n"] == TINY["synthetic"]["test"]


@pytest.mark.slow
def test_a_second_run_does_nothing(pipeline: Copy) -> None:
    assert "Data and pipelines are up to date." in pipeline.run("dvc", "repro").stdout
    assert pipeline.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_git_holds_nothing_that_the_pipeline_makes_but_the_small_reports(pipeline: Copy) -> None:
    tracked = pipeline.run("git", "ls-files", "reports", "models", "data").stdout.split()
    small = sorted(p for p in tracked if not p.endswith("README.md") and p.count("/") == 1)
    assert small == [
        "reports/cost.json",
        "reports/export.json",
        "reports/metrics.json",
        "reports/soft_landmarks.json",
        "reports/training.json",
    ]


@pytest.mark.slow
def test_plots_and_metrics_can_be_shown(pipeline: Copy) -> None:
    shown = json.loads(pipeline.run("dvc", "plots", "show", "--json").stdout)
    for title in ("Cumulative error distribution", "Validation NME", "Training loss", "KD-Loss"):
        assert title in shown["data"], title
        assert not shown.get("errors")
    table = pipeline.run("dvc", "metrics", "show", "--json", "reports/metrics.json").stdout
    assert json.loads(table)[""]["data"]["reports/metrics.json"]["data"] == pipeline.metrics()


@pytest.mark.slow
def test_exp_run_with_a_set_parameter_changes_what_it_should_and_runs_no_teacher(
    pipeline: Copy,
) -> None:
    before = pipeline.metrics()
    # DVC writes it as 1e-05, which is a number in YAML 1.2 alone.
    small = "kd.weights.tolerant=1e-5"
    done = pipeline.run("dvc", "exp", "run", "-n", "set", "-S", small, "evaluate")
    assert "Running stage 'student_kd'" in done.stdout
    for stage in ("fetch", "prepare", "teacher_tough", "student_baseline"):
        assert f"Running stage '{stage}'" not in done.stdout
    after = pipeline.metrics()
    assert after["baseline"] == before["baseline"]
    assert after["tough"] == before["tough"]
    assert after["kd"] != before["kd"]
    diff = pipeline.run("dvc", "metrics", "diff", "HEAD", "--json").stdout
    changed = json.loads(diff)["reports/metrics.json"]
    assert any(key.startswith("kd.") for key in changed)
    assert not any(key.startswith("baseline.") for key in changed)
    drawn = json.loads(pipeline.run("dvc", "plots", "diff", "HEAD", "workspace", "--json").stdout)
    assert "Validation NME" in drawn["data"]
    params = json.loads(pipeline.run("dvc", "params", "diff", "HEAD", "--json").stdout)
    assert "kd.weights.tolerant" in json.dumps(params)
    pipeline.discard()
    assert pipeline.metrics() == before


@pytest.mark.slow
def test_unlabelled_faces_and_a_teacher_size_of_its_own_go_through_the_whole_pipeline(
    pipeline: Copy, tmp_path: Path
) -> None:
    # Faces of another seed in 300-W's layout, whose landmarks tell the boxes.
    write_dataset(tmp_path / "other", train=6, test=2, size=96, seed=5, workers=1)
    for part, split in (("afw", "train"), ("ibug", "test")):
        (tmp_path / "more").mkdir(exist_ok=True)
        shutil.move(tmp_path / "other" / split, tmp_path / "more" / part)
    before = pipeline.metrics()
    done = pipeline.run(
        *("dvc", "exp", "run", "-n", "more", "-S", f"unlabelled.path={tmp_path / 'more'}"),
        *("-S", "unlabelled.box=landmarks", "-S", "unlabelled.limit=5"),
        *("-S", "crop.teacher_resolution=48", "evaluate"),
    )
    assert "unlabelled: 5 faces of 6 images, without landmarks" in done.stdout
    students, teachers = (
        load_faces(pipeline.folder / folder)
        for folder in (paths.UNLABELLED_FACES, paths.TEACHER_UNLABELLED_FACES)
    )
    assert (len(students), students.info.crop_size) == (5, 32)
    assert (len(teachers), teachers.info.crop_size) == (5, 48)
    kept, points = load_unlabelled(students, pipeline.folder / paths.TEACHER_PREDICTIONS, 0.6)
    assert (len(kept), points.shape) == (3, (3, 2, 68, 2))
    sizes = {
        name: load_network(pipeline.folder / paths.MODELS / name).config.size
        for name in ("tough", "tolerant", "baseline", "kd")
    }
    assert sizes == {"tough": 48, "tolerant": 48, "baseline": 32, "kd": 32}
    found = pipeline.metrics()
    assert found["baseline"] == before["baseline"]
    assert found["tough"] != before["tough"]
    protocol = json.loads(
        (pipeline.folder / paths.EVALUATION_REPORT / "intervals.json").read_text()
    )["protocol"]
    assert (protocol["crop_size"], protocol["teacher_crop_size"]) == (32, 48)
    # Another size of the students trains no teacher again.
    targets = ("teacher_predictions", "student_baseline")
    done = pipeline.run("dvc", "exp", "run", "-n", "smaller", "-S", "crop.resolution=40", *targets)
    assert "Running stage 'student_baseline'" in done.stdout
    assert "Running stage 'teacher" not in done.stdout
    pipeline.discard()


@pytest.mark.slow
def test_jittered_boxes_change_what_is_measured_and_train_nothing(pipeline: Copy) -> None:
    before = pipeline.metrics()
    shift = "evaluate.box_jitter.shift=0.3"
    done = pipeline.run("dvc", "exp", "run", "-n", "loose", "-S", shift)
    assert re.findall(r"Running stage '(\w+)", done.stdout) == ["evaluate", "report"]
    assert "boxes jittered: shift 0.3" in done.stdout
    assert pipeline.metrics()["mean_shape"]["test"]["nme"] > before["mean_shape"]["test"]["nme"]
    pipeline.discard()


def change_rounding(copy: Copy, decimals: int) -> None:
    """Edit the copy's own source so that metrics show which code measured them."""
    path = copy.folder / "src" / "landmark_kd" / "evaluation" / "scores.py"
    lines = path.read_text().splitlines(keepends=True)
    edited = [f"DECIMALS = {decimals}\n" if x.startswith("DECIMALS = ") else x for x in lines]
    assert edited != lines
    path.write_text("".join(edited))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["temp", "queue"])
def test_exp_runs_beside_the_workspace_run_the_code_of_their_own_copy(
    pipeline: Copy, way: str
) -> None:
    # As people start them: no process has imported anything.
    pipeline = Copy(pipeline.folder, warm=False)
    before = pipeline.metrics()
    change_rounding(pipeline, 1)
    flag = f"--{way}"
    pipeline.run("dvc", "exp", "run", "-n", way, flag, "-S", "evaluate.bootstrap=101")
    # The workspace's code is put back; the copy must still run what it was made of.
    pipeline.run("git", "checkout", "--quiet", ".")
    if way == "queue":
        pipeline.run("dvc", "queue", "start", "-j", "1")
        deadline = time.monotonic() + 600
        while "Success" not in (status := pipeline.run("dvc", "queue", "status").stdout):
            assert "Failed" not in status
            assert time.monotonic() < deadline, status
            time.sleep(1)
    found = pipeline.metrics(way)
    for name, scores in before.items():
        assert found[name]["test"]["nme"] == round(scores["test"]["nme"], 1)
    assert pipeline.metrics() == before


@pytest.fixture
def raw(pipeline: Copy, tmp_path: Path) -> Copy:
    """A copy of the finished pipeline for breaking things in."""
    folder = tmp_path / "landmark-kd"
    shutil.copytree(pipeline.folder, folder, ignore=shutil.ignore_patterns(".dvc", ".git"))
    return Copy(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "stage", "sentence"),
    [
        ({"student": {"epoch": 3}}, "fetch", "student.epoch is not a known key"),
        ({"data": {"name": "300w", "path": "/no/such"}}, "fetch", "/no/such"),
        ({"base": {"device": "gpu"}}, "teacher", "base.device"),
    ],
)
def test_a_users_mistake_ends_in_one_sentence_and_leaves_all_outputs_whole(
    raw: Copy, changes: dict[str, dict[str, Any]], stage: str, sentence: str
) -> None:
    before = raw.contents()
    raw.set_params(changes)
    done = raw.stage(stage, *(["tough"] if stage == "teacher" else []))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert raw.contents() == before


@pytest.mark.slow
def test_after_a_failed_repro_dvc_checkout_brings_every_output_back(pipeline: Copy) -> None:
    """DVC removes a stage's outs before it runs the stage; they stay in its cache."""
    before = pipeline.contents()
    pipeline.set_params({"augment": {"rotatoin": 0.1}})
    done = pipeline.run("dvc", "repro", check=False)
    assert done.returncode != 0
    assert "augment.rotatoin is not a known key" in done.stderr
    pipeline.discard()
    assert pipeline.contents() == before


@pytest.mark.slow
def test_a_truncated_prepared_file_is_named(raw: Copy) -> None:
    path = raw.folder / paths.TRAIN_FACES / "images.npy"
    path.write_bytes(path.read_bytes()[:1000])
    done = raw.stage("student_baseline")
    assert done.returncode == 1
    assert "images.npy is damaged" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_in_training_ends_in_one_line_and_leaves_the_old_weights(raw: Copy) -> None:
    before = raw.contents()
    raw.set_params({"student": {"epochs": 5000}})
    with subprocess.Popen(
        [sys.executable, "-m", "stages.student_baseline"],
        cwd=raw.folder,
        env=raw.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert "epoch 1/" in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        try:
            _, stderr = running.communicate(timeout=240)
        finally:
            running.kill()
    assert running.returncode == 130
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert raw.contents() == before


@pytest.mark.slow
def test_predict_works_right_after_the_pipeline(pipeline: Copy, tmp_path: Path) -> None:
    image = next((pipeline.folder / "data" / "raw").rglob("test/*.jpg"))
    done = pipeline.run("landmark-kd", "predict", str(image), "--out", str(tmp_path / "out"))
    assert (tmp_path / "out" / f"{image.stem}.json").is_file(), done.stdout
    assert (tmp_path / "out" / f"{image.stem}.png").is_file()
