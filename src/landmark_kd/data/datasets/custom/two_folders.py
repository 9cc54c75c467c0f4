"""Pairs of files that lie in two folders: images/a.jpg and landmarks/a.pts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from landmark_kd.core.names import fold

# Names of folders that say of what kind the files in them are, and not whose they are.
KINDS = frozenset(
    (
        *("images", "image", "imgs", "img", "photos", "pictures", "pics", "frames", "jpegimages"),
        *("landmarks", "landmark", "annotations", "annotation", "annots", "annos", "labels"),
        *("label", "pts", "points", "keypoints", "shapes", "jsons", "json", "gt", "groundtruth"),
    )
)

Group = tuple[Path, ...]


def paired_across(
    groups: Sequence[Group], folder: Path, is_image: Callable[[Path], bool]
) -> tuple[list[Group], int]:
    """Join images and annotations that share a name but not the folder.

    Paths have to be alike but for folders that are named after their kind of files (KINDS). Where
    no folder holds both kinds, it is enough that one image and one annotation have a base name.

    Args:
        groups: the files of each face, those that share folder and name.
        folder: the folder that all lie in.
        is_image: tells an image from an annotation.

    Returns:
        The groups, joined ones in the place and order image, annotation; and how many were joined.
    """

    def by_path(file: Path) -> Hashable:
        parts = file.relative_to(folder).parts[:-1]
        return tuple(p for p in map(fold, parts) if p not in KINDS), fold(file.stem)

    def by_name(file: Path) -> Hashable:
        return fold(file.stem)

    kinds: dict[Path, set[bool]] = defaultdict(set)
    for file in (file for group in groups for file in group):
        kinds[file.parent].add(is_image(file))
    keys = [by_path] if any(len(of) > 1 for of in kinds.values()) else [by_path, by_name]
    found, joined = list(groups), 0
    for key in keys:
        alone: dict[Hashable, tuple[list[Group], list[Group]]] = defaultdict(lambda: ([], []))
        for group in found:
            if len({is_image(file) for file in group}) == 1:
                alone[key(group[0])][is_image(group[0])].append(group)
        partner = {
            images[0]: annotations[0]
            for annotations, images in alone.values()
            if len(images) == len(annotations) == 1
        }
        taken = set(partner.values())
        found = [group + partner.get(group, ()) for group in found if group not in taken]
        joined += len(partner)
    return found, joined
