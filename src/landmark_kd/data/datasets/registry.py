"""The data sets that can be read.

`DATASETS` is the one place that knows a set's parts on disk, their splits and subsets, and how
many faces its authors published.
"""

from __future__ import annotations

from pathlib import Path

from landmark_kd.core.errors import UserError
from landmark_kd.core.names import absence, check_names
from landmark_kd.data.datasets.base import Dataset, Part
from landmark_kd.data.datasets.cofw import COFW
from landmark_kd.data.datasets.custom.config import CONFIG_NAME
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.datasets.layout import NotHereError, neighbours
from landmark_kd.data.datasets.pts_folders import PtsFolders, without_face_number
from landmark_kd.data.datasets.w300_lp import W300_LP
from landmark_kd.data.datasets.wflw import WFLW
from landmark_kd.landmarks.scheme import IBUG_68

# Made by the project itself and never read from a user's folder, so it is not looked for; two
# folders train and test with .pts files are rather a custom set.
SYNTHETIC = "synthetic"

# `data.name` of a custom data set.
CUSTOM = "pts"


def _photo_is_the_image(part: Part, stem: str) -> str:
    return f"{part.folder}/{stem}"


def _photo_without_face_number(part: Part, stem: str) -> str:
    return f"{part.folder.split('/')[0]}/{without_face_number(stem)}"


DATASETS: dict[str, Dataset] = {
    SYNTHETIC: PtsFolders(
        name=SYNTHETIC,
        scheme=IBUG_68,
        parts=(Part("train", "train", "train", None), Part("test", "test", "test", None)),
        photo=_photo_is_the_image,
        licence=(
            "Trained on rendered faces without images of people; the statistics of their shapes "
            "come from the 300-W annotations, which are for research."
        ),
    ),
    "300w": PtsFolders(
        name="300w",
        scheme=IBUG_68,
        parts=(
            Part("afw", "train", "train", 337),
            Part("helen/trainset", "train", "train", 2000),
            Part("lfpw/trainset", "train", "train", 811),
            Part("helen/testset", "test", "common", 330),
            Part("lfpw/testset", "test", "common", 224),
            Part("ibug", "test", "challenging", 135),
        ),
        unions={"full": ("common", "challenging")},
        photo=_photo_without_face_number,
        source=(
            "300-W (300 Faces In-the-Wild, for research only) comes from "
            "https://ibug.doc.ic.ac.uk/resources/300-W/"
        ),
        licence=(
            "Trained on 300-W (https://ibug.doc.ic.ac.uk/resources/300-W): for research only, no "
            "commercial use."
        ),
    ),
    W300_LP.name: W300_LP,
    COFW.name: COFW,
    WFLW.name: WFLW,
}


def dataset_at(name: str, folder: Path) -> Dataset:
    """Return what the data set `data.name` is; a custom one (pts) says so in its folder.

    Raises:
        UserError: the folder of a custom data set has no landmark-kd.yaml, or that or its
            annotations are wrong.
    """
    return read_custom_dataset(folder) if name == CUSTOM else DATASETS[name]


def recognised(folder: Path, name: str | None = None) -> tuple[str, Dataset]:
    """Find out which data set a folder holds, by trying each layout.

    Args:
        name: the `data.name` to take the folder for; None finds it out. A folder with a
            landmark-kd.yaml is a custom set (pts).

    Returns:
        `data.name`, and what the data set is.

    Raises:
        UserError: the folder is not there, or holds none of them or not the one named. The
            sentence is that of the nearest layout, where one is near.
    """
    if not folder.exists():
        raise UserError(f"the folder {folder} {absence(folder)}; check the name.")
    check_names(folder, ())
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; give the folder of the data set that it belongs to.")
    if name is None and (folder / CONFIG_NAME).exists():
        name = CUSTOM
    if name is not None:
        dataset = dataset_at(name, folder)
        dataset.check(folder)
        return name, dataset
    fitting: list[str] = []
    errors: list[UserError] = []
    for known, dataset in DATASETS.items():
        if known != SYNTHETIC:
            try:
                dataset.check(folder)
                fitting.append(known)
            except UserError as error:
                errors.append(error)
    if len(fitting) > 1:
        raise UserError(
            f"{folder} holds {' and '.join(fitting)}; say which one with --name {fitting[0]}, "
            "or move them apart."
        )
    if fitting:
        return fitting[0], DATASETS[fitting[0]]
    raise UserError(_nearest(folder, errors))


def official_layout(folder: Path) -> tuple[str, str] | None:
    """Return the `data.name` whose official layout a folder has, and what is missing of it.

    What is missing is a sentence, empty where it is nothing. None where it has no such layout.
    """
    partly = None
    for name, dataset in DATASETS.items():
        if name == SYNTHETIC:
            continue
        try:
            dataset.check(folder)
        except NotHereError:
            continue
        except UserError as error:
            partly = partly or (name, str(error))
        else:
            return name, ""
    return partly


def _nearest(folder: Path, errors: list[UserError]) -> str:
    """Return the sentence that helps most where a folder is not a data set that is known."""
    absent = [error for error in errors if isinstance(error, NotHereError)]
    partly = [error for error in errors if error not in absent]
    if partly:
        return str(partly[0])
    near = next((f for f in neighbours(folder, 1) if (f / CONFIG_NAME).is_file()), None)
    if near is not None:
        return f"{folder} has no {CONFIG_NAME}, but {near} has; did you mean {near}?"
    hinted = [error for error in absent if error.near]
    if hinted:
        return str(hinted[0])
    known = ", ".join(name for name in DATASETS if name != SYNTHETIC)
    return (
        f"{folder} {'holds' if any(folder.iterdir()) else 'is empty, so it holds'} no data set "
        f"that is known ({known}) and no {CONFIG_NAME}, which describes a custom set; "
        "`landmark-kd data init` writes one to start from, and --name says what the folder should "
        "be, to hear what it lacks."
    )
