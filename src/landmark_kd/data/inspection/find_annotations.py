"""Finds annotations and their images in a person's folder, for the draft of landmark-kd.yaml."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from landmark_kd.core.errors import UserError
from landmark_kd.core.names import check_names
from landmark_kd.data.datasets.custom.annotations import Annotations, CustomFace
from landmark_kd.data.datasets.custom.config import CONFIG_NAME, LABELME, PTS, leaves_folder
from landmark_kd.data.datasets.custom.image_names import find_images, spellings
from landmark_kd.data.datasets.custom.labelme import Labelme, is_labelme, read_labelme
from landmark_kd.data.datasets.custom.pts_tree import PtsTree, folders_below, read_pts_tree
from landmark_kd.data.datasets.custom.several import (
    AnnotationsFile,
    SeveralFiles,
    read_annotations,
)
from landmark_kd.data.datasets.custom.split import uses_of
from landmark_kd.data.datasets.pts_folders import LANDMARKS_SUFFIX

# Names of images that are looked for to find their folder.
TRIED_IMAGES = 50


@dataclass(frozen=True)
class FoundAnnotations:
    """Annotations and where their images are.

    Attributes:
        annotations, images: as in landmark-kd.yaml.
        source: what the annotations hold.
        within: the folder that the names of images in `source` are relative to.
    """

    annotations: str | list[str]
    images: str | list[str]
    source: Annotations
    within: Path


def find_annotations(folder: Path) -> FoundAnnotations:
    """Find the annotations in a folder and the folders in it, and their images.

    Raises:
        UserError: there are none, several that are no split of one set, or no images.
    """
    found: dict[str, Annotations] = {}
    refused: list[str] = []
    labelme = _labelme(folder, [path for path in _files(folder, (".json",)) if is_labelme(path)])
    for path in _files(folder, (".csv", ".json")):
        if labelme is not None and path in labelme.files:
            continue
        try:
            found[path.relative_to(folder).as_posix()] = read_annotations(path)
        except UserError as error:
            refused.append(str(error))
    pts = _files(folder, (LANDMARKS_SUFFIX,))
    per_image = [f"{LANDMARKS_SUFFIX} files"] if pts else []
    per_image += ["labelme files"] if labelme else []
    if len(found) > 1 and not per_image and _is_split(found):
        return _by_split(folder, found)
    if len(found) + len(per_image) > 1:
        names = [*found, *per_image]
        raise UserError(
            f"{folder} holds several annotations: {', '.join(names)}; move all but one of them "
            f"out of it, name them for the split that each is (train.json, test.json), or write "
            f"{CONFIG_NAME} yourself."
        )
    if pts:
        tree = _pts_tree(folder, pts)
        return FoundAnnotations(PTS, _relative(folder, tree.folder), tree, tree.folder)
    if labelme is not None:
        within = labelme.folder
        return FoundAnnotations(LABELME, _relative(folder, within), labelme, within)
    if found:
        name, source = next(iter(found.items()))
        within = _images_folder(folder, name, source)
        return FoundAnnotations(name, _relative(folder, within), source, within)
    why = f" ({refused[0].removesuffix('.')})" if refused else ""
    raise UserError(
        f"{folder} holds no annotations that can be read{why}: wanted is one .csv table with the "
        "columns image, x0, y0, x1, y1, …, one COCO .json with key points (or one of either for "
        "each split), or for each image a .pts file or a .json file by labelme."
    )


def _is_split(found: Mapping[str, Annotations]) -> bool:
    """Tell whether the files are those of a split, as their names say, with the same landmarks."""
    uses = uses_of(found)
    return (
        len(uses) == len(found)
        and len(set(uses.values())) > 1
        and len({PurePosixPath(name).suffix.lower() for name in found}) == 1
        and len({source.points for source in found.values()}) == 1
    )


def _by_split(folder: Path, found: Mapping[str, Annotations]) -> FoundAnnotations:
    """Return files of a split with the folder of their images, or with one for each file."""
    images = {
        name: _relative(folder, _images_folder(folder, name, source))
        for name, source in found.items()
    }
    if len(set(images.values())) == 1:
        [within] = set(images.values())
        files = [AnnotationsFile(name, "", source) for name, source in found.items()]
        return FoundAnnotations(list(found), within, SeveralFiles(files), folder / within)
    files = [AnnotationsFile(name, images[name], source) for name, source in found.items()]
    return FoundAnnotations(list(found), list(images.values()), SeveralFiles(files), folder)


def _relative(folder: Path, within: Path) -> str:
    return within.relative_to(folder).as_posix()


def _pts_tree(folder: Path, pts: Sequence[Path]) -> PtsTree:
    """Read the .pts files from the lowest folder that holds them and images for them."""
    below = read_pts_tree(Path(os.path.commonpath([file.parent for file in pts])))
    whole = read_pts_tree(folder)
    return whole if whole.across > below.across else below


def _labelme(folder: Path, files: Sequence[Path]) -> Labelme | None:
    """Read labelme files from the lowest folder that holds them and their images."""
    if not files:
        return None
    below = read_labelme(Path(os.path.commonpath([file.parent for file in files])))
    faces = below.faces(below.points, 0, None)
    absent = find_images(below.folder, (face.image for face in faces if face.image)).absent
    return read_labelme(folder) if absent else below


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    files = [
        path
        for within in folders_below(folder)
        for path in sorted(within.iterdir())
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    ]
    check_names(folder, files)
    return files


def _images_folder(folder: Path, annotations: str, source: Annotations) -> Path:
    """Return the folder, `folder` or one within, in which most of the named images are.

    Where several have as many, it is the one of the same split as the file of annotations, or
    that file's own.
    """
    faces: Sequence[CustomFace] = source.faces(source.points, 0, None)
    tried = list(dict.fromkeys(face.image for face in faces if face.image))[:TRIED_IMAGES]
    folders = {path: _relative(folder, path) for path in folders_below(folder)}
    use = uses_of([annotations]).get(annotations)
    uses = uses_of(folders.values())

    def fit(path: Path) -> tuple[int, bool, bool]:
        present = sum(any(_is_in(path, text) for text in spellings(name)) for name in tried)
        same = use is not None and uses.get(folders[path]) == use
        return present, same, path == (folder / annotations).parent

    best = max(folders, key=fit)
    present, *_ = fit(best)
    found = find_images(folder, tried) if present < len(tried) else None
    if found is None or present >= max(1, len(found.files)):
        return best
    if not found.files:
        sentence = (
            f"{folder} and the folders in it hold none of the images that {annotations} names"
        )
        example = "".join(f": {name}, for one, {why}" for name, why in [*found.absent.items()][:1])
        raise UserError(f"{sentence}{example}.")
    return folder / os.path.commonpath(
        [PurePosixPath(name).parent for name in found.files.values()]
    )


def _is_in(folder: Path, name: str) -> bool:
    return not leaves_folder(name) and os.path.isfile(folder / name)
