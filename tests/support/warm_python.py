"""A `python` that runs stages in forks of a process which has imported the libraries already.

A stage of a tiny pipeline spends most of its time importing torch, timm and the like. DVC finds the
small client that `client` writes first in its PATH; the client hands a stage's command, folder,
environment and standard streams to the server, which forks. The fork imports stages and
landmark_kd anew from the folder that it runs in: the server has imported none of them. Every
other command goes to the real Python.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from select import select

from tests.conftest import PROJECT

# What stages import, but for the project's own.
LIBRARIES = (
    "cv2", "dvclive", "jinja2", "lightning_fabric", "matplotlib.figure", "onnx", "onnxruntime",
    "pandas", "pydantic", "safetensors.torch", "scipy.sparse.csgraph", "sklearn.decomposition",
    "timm", "torch", "torch.utils.flop_counter", "yaml",
)  # fmt: skip
STREAMS = (0, 1, 2)

CLIENT = """\
#!{python} -IS
import json, os, signal, socket, sys
if sys.argv[1:2] != ["-m"] or not sys.argv[2].startswith("stages."):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
message = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(message).to_bytes(4, "big")], [0, 1, 2])
server.sendall(message)
answers = server.makefile("r")
stage = int(answers.readline())
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: os.kill(stage, number))
status = int(answers.readline())
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@cache
def client() -> Path:
    """Start the server of this process and return the folder with the `python` that asks it."""
    folder = Path(tempfile.mkdtemp(prefix="landmark-kd-python-"))
    address = str(folder / "socket")
    script = folder / "bin" / "python"
    script.parent.mkdir()
    script.write_text(CLIENT.format(python=sys.executable, address=address))
    script.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_python", address],
        cwd=PROJECT,
        # The server ends when this process closes it, which any end of this process does.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return script.parent


def serve(address: str) -> None:
    """Import the libraries, then fork for whoever asks, as long as standard input is open."""
    # As stages/__init__.py has it, which comes too late here.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    for library in LIBRARIES:
        __import__(library)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    print("ready", flush=True)
    while sys.stdin not in select([listening, sys.stdin], [], [])[0]:
        asking, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _answer(asking)
        asking.close()


def _answer(asking: socket.socket) -> None:
    """Run what is asked for in a fork and tell its process and its status; does not return."""
    length, streams, _, _ = socket.recv_fds(asking, 4, len(STREAMS))
    with asking.makefile("rb") as sent:
        words, folder, environment = json.loads(sent.read(int.from_bytes(length, "big")))
    stage = os.fork()
    if stage == 0:
        asking.close()
        for number, stream in zip(STREAMS, streams, strict=True):
            os.dup2(stream, number)
            os.close(stream)
        os._exit(_run(words, folder, environment))
    for stream in streams:
        os.close(stream)
    asking.sendall(f"{stage}\n".encode())
    _, waited = os.waitpid(stage, 0)
    asking.sendall(f"{os.waitstatus_to_exitcode(waited)}\n".encode())
    os._exit(0)


def _run(words: list[str], folder: str, environment: dict[str, str]) -> int:
    """Be `python -m words…` in a folder; return its status."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", 1)
    sys.argv = list(words)
    sys.path[0] = folder
    status = 0
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    serve(sys.argv[1])
