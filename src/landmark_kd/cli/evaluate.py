"""`landmark-kd evaluate`: an exported network against the faces of a data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from landmark_kd.cli.shared import (
    add_face_detector,
    add_model,
    add_name,
    load_model,
    needs_train_packages,
)
from landmark_kd.core.boxes import BOX_NAMES
from landmark_kd.core.files import write_json

# As params.yaml's evaluate.box_jitter allows.
LARGEST_JITTER = 0.5

EXAMPLES = """\
examples:
  landmark-kd evaluate /data/300w
  landmark-kd evaluate /data/300w --box detector
  landmark-kd evaluate /data/300w --shift 0.05 --scale 0.1 --json jittered.json
  landmark-kd evaluate /data/WFLW --model models/landmarks.onnx

Without --model it is always a network that comes with landmark-kd; the first line says which.
Prints for each subset the NME (mean over faces, percent of the normaliser), the failure rates and
the areas under the CED at 8 and 10 %, and the number of faces, of those published.
A network of 68 landmarks is compared with WFLW's 98 by turning these into 68.
With --box detector faces are looked for as `landmark-kd predict` does. One that is not found
counts as a failure and adds nothing to the area; the NME is of the faces found, whose number is
said. Broken faces are left out and said; `landmark-kd data check` names them all.
Status: 0 measured, 1 not, 2 wrong arguments, 130 Ctrl-C.
"""


def add_evaluate(commands: Any) -> None:
    """Add the command to those of `landmark-kd`."""
    parser = commands.add_parser(
        "evaluate",
        help="measure an ONNX model on a data set",
        description="Measure an ONNX model of the export stage on a data set.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="folder of the data set")
    add_model(parser)
    add_face_detector(parser)
    add_name(parser)
    parser.add_argument(
        "--split", choices=("train", "test"), default="test", help="default: %(default)s"
    )
    parser.add_argument(
        "--box",
        choices=BOX_NAMES,
        help="the bounding box of the face's landmarks, the data set's own box, or OpenCV's face "
        "detector (default: what the model was trained on)",
    )
    parser.add_argument(
        "--shift",
        type=_share,
        default=0.0,
        metavar="S",
        help="move each box by up to this share of its longer side, in x and in y (default: 0)",
    )
    parser.add_argument(
        "--scale",
        type=_share,
        default=0.0,
        metavar="S",
        help="scale each box by a factor of 1 - S to 1 + S (default: 0)",
    )
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="of shift and scale (default: 0)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write scores and protocol to a file, too"
    )
    parser.set_defaults(run=_evaluate)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= LARGEST_JITTER:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {LARGEST_JITTER}")
    return share


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _evaluate(arguments: argparse.Namespace) -> None:
    with needs_train_packages("evaluate"):
        from landmark_kd.data.datasets.registry import recognised
        from landmark_kd.evaluation.exported import BoxJitter, evaluate_onnx
        from landmark_kd.evaluation.exported_report import protocol, scores_table, summary
    detector = load_model(arguments.model, arguments.detector, arguments.detector_model)
    folder = arguments.path.expanduser()
    _, dataset = recognised(folder, arguments.name)
    evaluation = evaluate_onnx(
        detector,
        dataset,
        folder,
        split=arguments.split,
        box=arguments.box,
        jitter=BoxJitter(arguments.shift, arguments.scale, arguments.seed),
    )
    print(summary(evaluation), flush=True)
    if arguments.json is not None:
        write_json(
            arguments.json,
            {
                "model": detector.source,
                "protocol": protocol(evaluation),
                "subsets": scores_table(evaluation),
            },
        )
