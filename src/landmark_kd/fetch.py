"""Brings a data set into the project: makes it, or copies it from where the user has it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tqdm import tqdm

from landmark_kd.datasets import DATASETS
from landmark_kd.errors import UserError
from landmark_kd.files import replaced_folder
from landmark_kd.params import DataParams, SyntheticParams
from landmark_kd.pts_folders import check_layout, part_files
from landmark_kd.records import Dataset
from landmark_kd.synthetic import write_dataset


def fetch(data: DataParams, synthetic: SyntheticParams, seed: int, out: Path) -> None:
    """Put the data set `data.name` into `out`/<name>; nothing else is left in `out`.

    Synthetic faces are made. Of any other set the pictures and landmarks of its known parts are
    copied, not linked: DVC makes the files it tracks read-only, and the user's own must not be.

    Raises:
        UserError: `data.path` does not hold the set, or lies inside `out`.
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
        return
    assert data.path is not None  # Params asks for it
    source = Path(data.path).expanduser().absolute()
    if source.resolve().is_relative_to(out.resolve()):
        raise UserError(
            f"data.path is {source}, but {out} is deleted and written anew by each fetch; move "
            "the data set out of it and give its new place."
        )
    dataset = DATASETS[data.name]
    check_layout(dataset, source)
    with replaced_folder(out) as folder:
        _copy(dataset, source, folder / dataset.name)


def _copy(dataset: Dataset, source: Path, target: Path) -> None:
    files = [file for part in dataset.parts for file in part_files(source, part)]
    for file in tqdm(files, desc=f"copying {dataset.name}", unit="file", disable=None):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        # Bytes only: a read-only original would make a copy that cannot be replaced.
        shutil.copyfile(file, copy)
