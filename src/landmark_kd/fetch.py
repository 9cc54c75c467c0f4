"""Brings a data set into the project: makes it, copies it from where it lies, or downloads it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tqdm import tqdm

from landmark_kd.datasets import dataset_at
from landmark_kd.downloads import download_dataset
from landmark_kd.errors import UserError
from landmark_kd.files import replaced_folder
from landmark_kd.params import DataParams, SyntheticParams
from landmark_kd.synthetic import write_dataset


def fetch(data: DataParams, synthetic: SyntheticParams, seed: int, out: Path) -> None:
    """Put the data set `data.name` into `out`/<name>; nothing else is left in `out`.

    Synthetic faces are made. Of any other set the files that belong to it are copied from
    `data.path`, not linked: DVC makes the files it tracks read-only, and the user's own must not
    be. Without `data.path` they are downloaded, as far as they may be.

    Raises:
        UserError: `data.path` does not hold the set, or lies inside `out`; a download failed, or
            must be made by hand.
    """
    if data.name == "synthetic":
        with replaced_folder(out) as folder:
            write_dataset(
                folder / data.name,
                train=synthetic.train,
                test=synthetic.test,
                size=synthetic.size,
                seed=seed,
                workers=os.cpu_count() or 1,
            )
    elif data.path is None:
        with replaced_folder(out) as folder:
            download_dataset(data.name, folder / data.name)
            dataset = dataset_at(data.name, folder / data.name)
            dataset.layout.check(dataset, folder / data.name)
    else:
        _copy(data.name, Path(data.path).expanduser().absolute(), out)


def _copy(name: str, source: Path, out: Path) -> None:
    if source.resolve().is_relative_to(out.resolve()):
        raise UserError(
            f"data.path is {source}, but {out} is deleted and written anew by each fetch; move "
            "the data set out of it and give its new place."
        )
    dataset = dataset_at(name, source)
    dataset.layout.check(dataset, source)
    with replaced_folder(out) as folder:
        files = dataset.layout.files(dataset, source)
        for file in tqdm(files, desc=f"copying {dataset.name}", unit="file", disable=None):
            copy = folder / name / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Bytes only: a read-only original would make a copy that cannot be replaced.
            shutil.copyfile(file, copy)
