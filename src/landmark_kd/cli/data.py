"""`landmark-kd data …`: looks data sets over and describes custom ones."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landmark_kd.cli.shared import add_name, needs_train_packages
from landmark_kd.core.errors import UserError

if TYPE_CHECKING:
    from landmark_kd.data.datasets.custom.config import SplitConfig

DEFAULT_SHEET = Path("landmark-kd-check.jpg")

CHECK_EXAMPLES = """\
examples:
  landmark-kd data check /data/300w
  landmark-kd data check /data/WFLW --sheet /tmp/wflw.png
  landmark-kd data check /data/mine --name pts --all

Reads every annotation and decodes every image; nothing in PATH is changed. Look at the contact
sheet: swapped columns, mixed-up points, wrong scales and images show there at once.
Faces that were published and are not there are said, but are no error.
Status: 0 all faces are good, 1 some are broken or PATH is not a data set that is known, 2 wrong
arguments, 130 Ctrl-C.
"""

INIT_EXAMPLES = """\
examples:
  landmark-kd data init /data/mine
  landmark-kd data check /data/mine
  dvc exp run -S data.name=pts -S data.path=/data/mine

Finds a CSV table or a COCO file with key points (or one for each split), or .pts or labelme files,
one for each image beside it or in another folder, and writes PATH/landmark-kd.yaml, in which a
comment explains each key. What it cannot know it proposes: flip pairs above all. Your own split
into train, validation and test (folders, a column, a file for each) is taken. A known set in its
official layout is named instead. An existing landmark-kd.yaml is never overwritten.
Status: 0 written, 1 not, 2 wrong arguments.
"""


def add_data(commands: Any) -> None:
    """Add the commands `data check` and `data init` to those of `landmark-kd`."""
    parser = commands.add_parser(
        "data",
        help="look a data set over, or describe a custom one",
        description="Look a data set over, or describe a custom one.",
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_check(actions)
    _add_init(actions)


def _add_check(actions: Any) -> None:
    parser = actions.add_parser(
        "check",
        help="what a folder holds, what is missing or broken, and a contact sheet",
        description="Look a data set over before training: what it is, what is missing or broken.",
        epilog=CHECK_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="folder of the data set")
    add_name(parser)
    parser.add_argument(
        "--sheet",
        type=Path,
        default=DEFAULT_SHEET,
        metavar="FILE",
        help="image to draw the contact sheet in, outside of PATH; one that is there is replaced "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--all", action="store_true", help="name every broken face, not only the first ones"
    )
    parser.set_defaults(run=_check)


def _add_init(actions: Any) -> None:
    parser = actions.add_parser(
        "init",
        help="write a first draft of landmark-kd.yaml for your images",
        description="Write a first draft of landmark-kd.yaml, which describes a custom data set.",
        epilog=INIT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="folder of your images")
    parser.set_defaults(run=_init)


def _check(arguments: argparse.Namespace) -> None:
    with needs_train_packages("data check"):
        from landmark_kd.data.inspection.check import check_data, report, training_command
        from landmark_kd.data.inspection.contact_sheet import check_sheet_path, write_contact_sheet
    folder = arguments.path.expanduser()
    check_sheet_path(arguments.sheet, folder)
    checked = check_data(folder, arguments.name)
    print(report(checked, all_broken=arguments.all))
    if checked.faces:
        shown = write_contact_sheet(arguments.sheet, checked.dataset, checked.faces)
        print(f"contact sheet: {arguments.sheet} ({shown} of the faces; look at them)")
    if lacking := {"train", "test"} - {face.split for face in checked.faces}:
        source = f"; {checked.dataset.source}" if checked.dataset.source else ""
        print(f"not to be trained on: no good {' or '.join(sorted(lacking))} face{source}")
    else:
        print(f"train on it:\n  {training_command(checked)}", flush=True)
    if broken := len(checked.broken):
        raise UserError(
            f"{broken} of {broken + len(checked.faces)} faces are broken (see above); correct "
            "or remove them, or leave them out of the training with -S data.on_bad=skip."
        )


def _init(arguments: argparse.Namespace) -> None:
    with needs_train_packages("data init"):
        from landmark_kd.data.datasets.custom.config import read_custom_config
        from landmark_kd.data.inspection.draft import TO_CHECK, write_draft
    folder = arguments.path.expanduser()
    written = write_draft(folder)
    config = read_custom_config(folder)
    print(f"{written} is written; found:")
    root = folder / config.images_root
    images = ", ".join(str(root / within) for within in dict.fromkeys(config.images_of_files))
    print(f"  annotations: {', '.join(config.files)}, images in {images}")
    print(f"  {config.points} landmarks per face, {len(config.flip_pairs)} flip pairs")
    print(f"  split: {_split(config.split)}")
    print("check these lines of it:")
    for number, line in enumerate(written.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith(TO_CHECK):
            print(f"  line {number}: {line.lstrip().removeprefix(TO_CHECK).strip()}")
    print(f"then look the set over:\n  landmark-kd data check {shlex.quote(str(folder))}")


def _split(split: SplitConfig) -> str:
    column = split.column
    validation = f"validation: {', '.join(split.validation)}" if split.validation else ""
    if split.test_values:
        listed = [f"test: {', '.join(split.test_values)}", *([validation] if validation else [])]
        return f"by {column} ({'; '.join(listed)}; all else is for training)"
    if split.test is None:
        return f"{column} says train, validation or test"
    share = f"{100 * split.test:g} % are test faces"
    if validation:
        return f"by {column} ({validation}); of the others {share}, each image on its own"
    return f"{share}, {f'all of one {column} together' if column else 'each image on its own'}"
