"""Which data set a folder holds."""

from __future__ import annotations

from pathlib import Path

from landmark_kd.datasets import DATASETS, OWN, dataset_at
from landmark_kd.errors import UserError
from landmark_kd.layouts import NotHereError, neighbours
from landmark_kd.own_config import CONFIG_NAME
from landmark_kd.records import Dataset

# Made by the project itself and never read from a user's folder, so it is not looked for; two
# folders train and test with .pts files are rather a set of the user's own.
SYNTHETIC = "synthetic"


def recognised(folder: Path, name: str | None = None) -> tuple[str, Dataset]:
    """Find out which data set a folder holds, by trying each layout.

    Args:
        name: the `data.name` to take it for; None finds it out. A folder with a landmark-kd.yaml
            is the user's own set (pts).

    Returns:
        `data.name`, and what the data set is.

    Raises:
        UserError: it is not there, none of them, or not the one named. The sentence is that of
            the nearest layout, where one is near.
    """
    if not folder.exists():
        raise UserError(f"the folder {folder} does not exist; check the name.")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; give the folder of the data set that it belongs to.")
    if name is None and (folder / CONFIG_NAME).exists():
        name = OWN
    if name is not None:
        dataset = dataset_at(name, folder)
        dataset.layout.check(dataset, folder)
        return name, dataset
    fitting: list[str] = []
    errors: list[UserError] = []
    for known, dataset in DATASETS.items():
        if known != SYNTHETIC:
            try:
                dataset.layout.check(dataset, folder)
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


def _nearest(folder: Path, errors: list[UserError]) -> str:
    """Return the sentence that helps most where a folder is no data set that is known."""
    absent = [error for error in errors if isinstance(error, NotHereError)]
    partly = [error for error in errors if error not in absent]
    if partly:
        return str(partly[0])
    own = next((f for f in neighbours(folder, 1) if (f / CONFIG_NAME).is_file()), None)
    if own is not None:
        return f"{folder} has no {CONFIG_NAME}, but {own} has; did you mean {own}?"
    hinted = [error for error in absent if error.near]
    if hinted:
        return str(hinted[0])
    known = ", ".join(name for name in DATASETS if name != SYNTHETIC)
    return (
        f"{folder} {'holds' if any(folder.iterdir()) else 'is empty, so it holds'} no data set "
        f"that is known ({known}) and no {CONFIG_NAME}, which describes a set of your own; "
        "`landmark-kd data init` writes one to start from, and --name says what the folder should "
        "be, to hear what it lacks."
    )
