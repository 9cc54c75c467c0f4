"""Brings a data set into the project: makes it, copies it from where it lies, or downloads it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from landmark_kd.config.params import DataParams, SyntheticParams, UnlabelledBox
from landmark_kd.config.paths import EXTRA, UNLABELLED
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import replaced_folder
from landmark_kd.core.names import check_names
from landmark_kd.core.progress import ProgressBar
from landmark_kd.data.datasets.custom.dataset import read_custom_dataset
from landmark_kd.data.datasets.registry import dataset_at
from landmark_kd.data.datasets.unlabelled import unlabelled_files
from landmark_kd.data.fetching.catalogue import download_dataset
from landmark_kd.data.synthetic.render import write_dataset


def fetch(
    data: DataParams,
    synthetic: SyntheticParams,
    seed: int,
    *,
    unlabelled: str | None,
    unlabelled_box: UnlabelledBox,
    out: Path,
) -> None:
    """Put the data set `data.name` into `out`/<name>; nothing else is left in `out`.

    Synthetic faces are made. Of any other set the files that belong to it are copied from
    `data.path`, not linked: DVC makes the files it tracks read-only, and the user's own must not
    be. Without `data.path` they are downloaded, as far as they may be.

    Args:
        unlabelled: `unlabelled.path`, from which `unlabelled_files` are copied to
            `out`/unlabelled, or None.

    Raises:
        UserError: `data.path`, `data.extra` or `unlabelled` does not hold what it should, or lies
            inside `out`; a download failed, or must be made by hand.
    """
    copies: list[_Copies] = []
    if data.name != "synthetic" and data.path is not None:
        source = _source("data.path", data.path, out)
        dataset = dataset_at(data.name, source)
        dataset.check(source)
        copies.append(_checked(dataset.name, source, data.name, dataset.files(source)))
    for number, path in enumerate(data.extra):
        source = _source("data.extra", path, out)
        files = read_custom_dataset(source).files(source)
        copies.append(_checked("extra faces", source, f"{EXTRA}/{number}", files))
    if unlabelled is not None:
        source = _source("unlabelled.path", unlabelled, out)
        files = unlabelled_files(source, unlabelled_box)
        copies.append(_checked("unlabelled faces", source, UNLABELLED, files))
    with replaced_folder(out) as folder:
        if data.name == "synthetic":
            write_dataset(
                folder / data.name,
                train=synthetic.train,
                test=synthetic.test,
                size=synthetic.resolution,
                seed=seed,
                workers=os.cpu_count() or 1,
            )
        elif data.path is None:
            download_dataset(data.name, folder / data.name)
            dataset = dataset_at(data.name, folder / data.name)
            dataset.check(folder / data.name)
        for part in copies:
            part.copy(folder)


@dataclass(frozen=True)
class _Copies:
    """Files of a user's folder that are copied to a folder of data/raw.

    Attributes:
        what: they are, for the progress bar.
        source: the user's folder.
        name: of the folder they go to.
        files: in `source` or in folders within it.
    """

    what: str
    source: Path
    name: str
    files: list[Path]

    def copy(self, out: Path) -> None:
        for file in ProgressBar(self.files, desc=f"copying {self.what}", unit="file", disable=None):
            copy = out / self.name / file.relative_to(self.source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Bytes only: a read-only original would make a copy that cannot be replaced.
            shutil.copyfile(file, copy)


def _checked(what: str, source: Path, name: str, files: list[Path]) -> _Copies:
    """Return what is to be copied, whose names DVC can hold."""
    check_names(source, files)
    return _Copies(what, source, name, files)


def _source(key: str, path: str, out: Path) -> Path:
    source = Path(path).expanduser().absolute()
    if source.resolve().is_relative_to(out.resolve()):
        raise UserError(
            f"{key} is {source}, but {out} is deleted and written anew by each fetch; move "
            "the data set out of it and give its new place."
        )
    return source
