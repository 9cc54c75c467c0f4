"""How a program ends: one sentence for what a user can put right, a traceback for a defect."""

from __future__ import annotations

import errno
import os
from typing import Any

import cv2
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from landmark_kd.core.errors import UserError, is_out_of_memory, run_main

OUT_OF_MEMORY: list[Exception] = [
    MemoryError(),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory"),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError("could not create a primitive"),
    RuntimeError("can't start new thread"),
    cv2.error("OpenCV(4.11.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate"),
    RuntimeException("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer"),
    ImportError("libsqlite3.so.0: failed to map segment from shared object"),
]


def ended(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        run_main(fail)
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_too_little_memory_of_any_library_is_one_sentence_that_says_what_to_lower(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = ended(error, capsys)
    assert status == 1
    assert said.startswith("error: the memory of the computer or GPU is too small")
    assert "crop.resolution" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a file says: bad_alloc"),
        KeyError("not enough memory"),
        UserError("the folder 'out of memory' is missing."),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "out of memory.jpg"),
        ImportError("No module named 'a'"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        cv2.error("(-215:Assertion failed) !_src.empty()"),
    ],
)
def test_what_others_wrote_into_a_file_is_not_taken_for_little_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("error", [ValueError("a"), RuntimeError("b"), cv2.error("c"), KeyError()])
def test_a_defect_of_ours_keeps_its_traceback(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        run_main(fail)
    assert caught.value is error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_with_the_file(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(number, os.strerror(number), "models/kd")
    expected = "the disk is full while writing or reading models/kd; free some space and run"
    status, said = ended(error, capsys)
    assert (status, said) == (1, f"error: {expected} the same command again.\n")
