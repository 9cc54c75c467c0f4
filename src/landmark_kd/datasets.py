"""The data sets that can be read.

`DATASETS` is the one place that knows a set's parts on disk, their splits and subsets, and how
many faces its authors published.
"""

from __future__ import annotations

import re
from pathlib import Path

from landmark_kd.cofw import COFW
from landmark_kd.own_data import read_own_dataset
from landmark_kd.pts_folders import pts_folders
from landmark_kd.records import Dataset, Part
from landmark_kd.topology import IBUG_68
from landmark_kd.wflw import WFLW

# `data.name` of a person's own data set.
OWN = "pts"


def _photo_is_the_picture(part: Part, stem: str) -> str:
    return f"{part.folder}/{stem}"


def _photo_without_face_number(part: Part, stem: str) -> str:
    """AFW, HELEN and IBUG name the faces of one photo 111076519_1, 111076519_2, image_003_1.

    LFPW has a face a photo, image_0001, whose number is the photo's: what remains of a name
    must still hold a number.
    """
    match = re.fullmatch(r"(.*\d) *_\d+", stem)
    return f"{part.folder.split('/')[0]}/{match[1] if match else stem}"


DATASETS = {
    "synthetic": Dataset(
        name="synthetic",
        topology=IBUG_68,
        parts=(Part("train", "train", "train", None), Part("test", "test", "test", None)),
        layout=pts_folders(_photo_is_the_picture),
        licence=(
            "Trained on rendered faces without pictures of people; the statistics of their shapes "
            "come from the 300-W annotations, which are for research."
        ),
    ),
    "300w": Dataset(
        name="300w",
        topology=IBUG_68,
        parts=(
            Part("afw", "train", "train", 337),
            Part("helen/trainset", "train", "train", 2000),
            Part("lfpw/trainset", "train", "train", 811),
            Part("helen/testset", "test", "common", 330),
            Part("lfpw/testset", "test", "common", 224),
            Part("ibug", "test", "challenging", 135),
        ),
        unions={"full": ("common", "challenging")},
        layout=pts_folders(_photo_without_face_number),
        source=(
            "300-W (300 Faces In-the-Wild, for research only) comes from "
            "https://ibug.doc.ic.ac.uk/resources/300-W/"
        ),
        licence=(
            "Trained on 300-W (https://ibug.doc.ic.ac.uk/resources/300-W): for research only, no "
            "commercial use."
        ),
    ),
    COFW.name: COFW,
    WFLW.name: WFLW,
}


def dataset_at(name: str, folder: Path) -> Dataset:
    """Return what the data set `data.name` is; a person's own (pts) says so in its folder.

    Raises:
        UserError: the folder of an own data set has no landmark-kd.yaml, or a wrong one.
    """
    return read_own_dataset(folder) if name == OWN else DATASETS[name]
