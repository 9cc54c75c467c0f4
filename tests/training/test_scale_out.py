"""One training in several processes or pieces: the same batches, the same curve, no padding."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from landmark_kd.config.params import BoxJitterParams
from landmark_kd.core.errors import UserError
from landmark_kd.evaluation.evaluate import Evaluation, metrics_table
from landmark_kd.faces.prepared import Faces, load_faces
from landmark_kd.models.network import load_network, predict_faces
from landmark_kd.training.resume.scratch import VARIABLE
from tests.conftest import PROJECT
from tests.support.prepared_faces import prepared_faces
from tests.support.tiny_training import curve, tiny_params, tiny_train, train_in, weights

pytestmark = pytest.mark.seconds

# Without BatchNorm, whose statistics are over each process's own share of a batch on CPUs.
# l2, since an error that crosses 0 turns l1's gradient around: rounding then makes two runs differ.
# Adam does not care how long gradients are; that only some are clipped shows if they are right.
SMOOTH: dict[str, Any] = {
    "backbone": "test_efficientnet_ln",
    "head": "pool",
    "loss": "l2",
    "epochs": 3,
    "clip_grad": 0.1,
}
# 33 train faces are 4 batches and one face over; 7 validation faces are no multiple of 2.
TRAIN, VALIDATION = 33, 7
# What other orders of addition may do: to a loss, and to an NME, which is in percent.
LOSS_TOLERANCE, NME_TOLERANCE = 1e-6, 1e-3
SECONDS = 240


@pytest.fixture(autouse=True, scope="module")
def _scratch(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("scratch")))
        yield


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training in one process and one piece."""
    folder = tmp_path_factory.mktemp("one")
    prepared_faces(folder / "faces", TRAIN + VALIDATION, validation=VALIDATION)
    train_in(folder, {"student": SMOOTH})
    return folder


def command(folder: Path, launcher: Sequence[str] = (), **base: Any) -> list[str]:
    changes = json.dumps({"student": SMOOTH, "base": base})
    return [sys.executable, *launcher, "-m", "tests.support.tiny_training", str(folder), changes]


def begin(arguments: list[str]) -> subprocess.Popen[str]:
    search = os.pathsep.join([str(PROJECT), str(PROJECT / "src")])
    return subprocess.Popen(
        arguments,
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": search},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    return process.returncode, out, err


def copy_of(one: Path, folder: Path) -> Path:
    shutil.copytree(one / "faces", folder / "faces")
    return folder


@pytest.fixture(scope="module")
def two(one: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training in two processes, which it starts itself."""
    folder = copy_of(one, tmp_path_factory.mktemp("two"))
    status, out, err = finish(begin(command(folder, devices=2)))
    assert status == 0, err
    assert out.count("epoch 1/3") == 1
    return folder


def assert_same_curves(one: Path, other: Path) -> None:
    for name, column, tolerance in (
        ("train/loss", "loss", LOSS_TOLERANCE),
        ("val/nme", "nme", NME_TOLERANCE),
    ):
        expected, found = curve(one, name)[column], curve(other, name)[column]
        assert len(found) == SMOOTH["epochs"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_two_processes_have_the_curve_of_one(one: Path, two: Path) -> None:
    assert_same_curves(one, two)


def metrics(folder: Path, test: Faces) -> dict[str, float]:
    found = test.to_image(predict_faces(load_network(folder / "model"), test))
    jitter = BoxJitterParams(shift=0.0, scale=0.0)
    evaluation = Evaluation.of(test, {"net": found}, jitter, test.info.crop_size)
    return metrics_table(evaluation)["net"]["test"]


def test_a_network_trained_in_two_processes_has_the_same_test_metrics(
    one: Path, two: Path, tmp_path: Path
) -> None:
    test = prepared_faces(tmp_path, 20, seed=1)
    expected, found = metrics(one, test), metrics(two, test)
    assert expected["n"] == found["n"] == 20
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=NME_TOLERANCE), name


def test_torchrun_gives_the_same_bits_as_processes_started_by_the_stage(
    one: Path, two: Path, tmp_path: Path
) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    folder = copy_of(one, tmp_path)
    status, _, err = finish(begin(command(folder, torchrun)))
    assert status == 0, err
    assert weights(folder) == weights(two)


def children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8")
    return [int(child) for child in listed.split()]


def is_alive(process: int) -> bool:
    """A process that has ended stays listed as a zombie (Z) until someone asks for its status."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
def test_a_training_in_two_processes_that_is_killed_leaves_none_behind_and_goes_on(
    one: Path, two: Path, tmp_path: Path
) -> None:
    folder = copy_of(one, tmp_path)
    arguments = command(folder, devices=2, checkpoint_minutes=0.0001)
    with begin(arguments) as process:
        assert process.stdout is not None
        assert "epoch 1/3" in process.stdout.readline()
        (other,) = children(process.pid)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + SECONDS
    while is_alive(other):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    status, out, err = finish(begin(arguments))
    assert status == 0, err
    assert "goes on from epoch" in out
    assert weights(folder) == weights(two)


def test_an_error_in_several_processes_ends_all_of_them_with_its_sentence(
    one: Path, tmp_path: Path
) -> None:
    folder = copy_of(one, tmp_path)
    landmarks = np.load(folder / "faces" / "landmarks.npy")
    # A number in 64 bits, infinite in the 32 of the targets.
    landmarks[VALIDATION + 3] = 1e300
    np.save(folder / "faces" / "landmarks.npy", landmarks)
    started = time.monotonic()
    status, _, err = finish(begin(command(folder, devices=2)))
    assert status == 1
    assert re.search("error: the loss is (nan|inf) in epoch 1, batch 1", err)
    assert "Traceback" not in err
    assert time.monotonic() - started < SECONDS
    assert not (folder / "model").exists()


@pytest.mark.parametrize("pieces", [2, 4])
def test_pieces_of_a_batch_give_the_curve_of_the_whole(
    one: Path, tmp_path: Path, pieces: int
) -> None:
    folder = copy_of(one, tmp_path)
    train_in(folder, {"student": SMOOTH, "base": {"accumulate": pieces}})
    assert_same_curves(one, folder)


def test_pieces_of_unlike_size_count_by_their_faces(tmp_path: Path) -> None:
    """With 7 train faces there is one batch of 7, whose halves are 4 and 3."""
    faces = prepared_faces(tmp_path / "faces", 10, validation=3)
    for pieces in (1, 2):
        settings = tiny_params({"accumulate": pieces}, **SMOOTH)
        tiny_train(faces, tmp_path / str(pieces), settings=settings)
    assert_same_curves(tmp_path / "1", tmp_path / "2")


@pytest.mark.parametrize(
    ("base", "sentence"),
    [
        ({"accumulate": 3}, r"batch_size is 8, which cannot be shared out.*take a multiple of 3"),
        (
            {"accumulate": 8},
            "take a multiple of 8 that is at least 16",
        ),
        ({"precision": "fp16"}, r"base\.precision is fp16, which needs a GPU"),
    ],
)
def test_what_cannot_be_shared_out_or_computed_here_is_refused(
    one: Path, tmp_path: Path, base: dict[str, Any], sentence: str
) -> None:
    # As torchrun has it: its number of processes is not in the parameters, which would refuse it.
    settings = tiny_params()
    settings = settings.model_copy(update={"base": settings.base.model_copy(update=base)})
    with pytest.raises(UserError, match=sentence):
        tiny_train(load_faces(one / "faces"), tmp_path, settings=settings)
    assert not (tmp_path / "model").exists()


def test_mixed_precision_gives_landmarks_finer_than_its_own_steps(one: Path, two: Path) -> None:
    faces, net = load_faces(one / "faces"), load_network(two / "model")
    inputs = net.normalize(torch.tensor(faces.crops(slice(None))))
    with torch.no_grad():
        expected = net(inputs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = net(inputs)
    assert found.dtype == torch.float32
    # bfloat16 knows some 100 numbers between 1/8 and 1/2 of the crop.
    assert (found.bfloat16().float() != found).float().mean() > 0.9
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)


def test_mixed_precision_learns_and_keeps_weights_of_full_precision(
    one: Path, tmp_path: Path
) -> None:
    folder = copy_of(one, tmp_path)
    train_in(folder, {"student": SMOOTH, "base": {"precision": "bf16"}})
    expected, found = curve(one, "train/loss")["loss"], curve(folder, "train/loss")["loss"]
    assert (found != expected).all()
    np.testing.assert_allclose(found, expected, rtol=0.02)
    state = load_network(folder / "model").state_dict()
    assert {str(value.dtype) for value in state.values()} == {"torch.float32"}
