"""`landmark-kd demo`: a page in which a network finds landmarks, in images or before the camera."""

from __future__ import annotations

import argparse
import sys
import warnings
import webbrowser
from pathlib import Path
from typing import Any

from landmark_kd.cli.shared import add_model, load_model
from landmark_kd.demo.files import page_files, runtime_files
from landmark_kd.demo.runtime import bring_runtime, is_complete, runtime_folder
from landmark_kd.demo.server import PageServer
from landmark_kd.inference.face_detector import VARIABLE, YuNetDetector, make_detector
from landmark_kd.inference.shipped import DEFAULT, shipped_names

PORT = 8010
# The faster of the networks that may come with the package; DEFAULT where it does not.
FAST = "fast"
LARGEST_PORT = 65535

EXAMPLES = """\
examples:
  landmark-kd demo
  landmark-kd demo --model models/landmarks.onnx --port 9000 --no-browser

The page is served to this computer alone (127.0.0.1) until Ctrl-C. The network runs in the browser,
by onnxruntime-web: images and the camera's frames do not leave the page. That runtime is brought
once by npm, which has to be there for it, into the user's cache.
Without a face detector's file the page asks for a box around a face.
"""


def add_demo(commands: Any) -> None:
    """Add the command to those of `landmark-kd`."""
    parser = commands.add_parser(
        "demo",
        help="open a page that finds landmarks in images and before the camera",
        description="Open a page that finds landmarks in images and before the camera.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser, default_model())
    parser.add_argument(
        "--detector-model",
        type=Path,
        metavar="FILE",
        help="file of the face detector YuNet, instead of the one in the user's cache, fetched "
        f"once (the variable {VARIABLE} may name it, too; haar: no face detector)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=PORT,
        metavar="N",
        help=f"port to serve the page at, 0 for any that is free (default: {PORT})",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    parser.set_defaults(run=_demo)


def default_model() -> str:
    """Return the name of the network that the page has where none is named."""
    return FAST if FAST in shipped_names() else DEFAULT


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= LARGEST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number up to {LARGEST_PORT}")
    return int(text)


def _demo(arguments: argparse.Namespace) -> None:
    model = arguments.model or default_model()
    network = load_model(model)
    face_detector = _face_detector_file(arguments.detector_model)
    files = page_files(network, model, face_detector)
    # Before what takes long, so that a port in use is said at once.
    with PageServer(files, arguments.port) as server:
        runtime = runtime_folder()
        if not is_complete(runtime):
            print(f"{runtime.name} is brought by npm, once, into {runtime} …", flush=True)
            bring_runtime(runtime)
        files.update(runtime_files(runtime))
        print(f"page: {server.url} (Ctrl-C ends it)", flush=True)
        if not arguments.no_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("ended", flush=True)


def _face_detector_file(given: Path | None) -> Path | None:
    """Return YuNet's file; None, and a warning, where there is none.

    Raises:
        UserError: the one that was given is not there, or no YuNet.
    """
    with warnings.catch_warnings():
        # It speaks of Haar, which a page does not have.
        warnings.simplefilter("ignore")
        found = make_detector("auto", given)
    if isinstance(found, YuNetDetector):
        return found.path
    print(
        "warning: there is no file of the face detector YuNet, so the page asks for a box around "
        "each face; give the file with --detector-model FILE.",
        file=sys.stderr,
        flush=True,
    )
    return None
