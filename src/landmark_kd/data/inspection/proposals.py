"""The landmark scheme that the points of annotations suggest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.data.datasets.custom.annotations import Annotations
from landmark_kd.data.datasets.custom.coco import Coco
from landmark_kd.data.inspection.symmetry import mean_shape, propose_symmetry, symmetry_of
from landmark_kd.landmarks.scheme import SCHEMES, LandmarkScheme

# A scheme of as many points fits if mirroring by its pairs brings the mean face as close to
# itself as the best pairs do, give or take this share.
FIT_TOLERANCE = 0.1


@dataclass(frozen=True)
class ProposedScheme:
    """A landmark scheme and why it is proposed.

    Attributes:
        scheme: the scheme.
        known: whether it is one of the schemes that many data sets share.
        named: whether its points' names say anything.
        note: where it comes from, in a sentence.
        asymmetry: by how much the mean face differs from its mirror image at the worst point, in
            percent of the normaliser's distance.
        worst_point: that point.
    """

    scheme: LandmarkScheme
    known: bool
    named: bool
    note: str
    asymmetry: float
    worst_point: int


def propose_scheme(source: Annotations, shapes: np.ndarray, folder: Path) -> ProposedScheme:
    """Propose a scheme for shapes (N, K, 2), N at least 1: a known one where it fits.

    Raises:
        UserError: no face in `folder` has an extent.
    """
    try:
        mean = mean_shape(shapes)
    except ValueError as error:
        raise UserError(f"{folder}: {error}: each face's points are all in one place.") from None
    best = propose_symmetry(mean)
    known = SCHEMES.get(len(mean))
    fits = known is not None and (
        symmetry_of(mean, known.flip).distances.sum() <= (1 + FIT_TOLERANCE) * best.distances.sum()
    )
    names = getattr(source, "names", None)  # not all formats have any
    if names is None or len(set(names)) != len(mean):
        names = None
    if known is not None and fits:
        scheme = known if names is None else replace(known, names=names)
        note = f"The known {len(mean)}-point scheme fits."
    else:
        scheme = _unknown_scheme(source, names, mean, best.flip)
        note = "CHECK: these pairs are proposed from the faces' shapes alone."
    distances = symmetry_of(mean, scheme.flip).distances
    a, b = scheme.normalizer
    return ProposedScheme(
        scheme=scheme,
        known=fits,
        named=fits or names is not None,
        note=note,
        asymmetry=float(100 * distances.max() / np.linalg.norm(mean[a] - mean[b])),
        worst_point=int(distances.argmax()),
    )


def _unknown_scheme(
    source: Annotations, names: tuple[str, ...] | None, mean: np.ndarray, flip: np.ndarray
) -> LandmarkScheme:
    """Make a scheme of the points' mirror images and what a COCO file says of the points."""
    names = names or tuple(f"point_{i}" for i in range(len(mean)))
    edges = source.skeleton if isinstance(source, Coco) else ()
    a, b, called = _normalizer(names, mean, flip)
    lines = tuple((line, False) for line in _chained(edges) if max(line) < len(mean))
    return LandmarkScheme(names, flip, (a, b), called, None, lines)


def _normalizer(names: Sequence[str], mean: np.ndarray, flip: np.ndarray) -> tuple[int, int, str]:
    """Return the outer eye corners if names tell them, else the widest pair or the face's ends."""
    pairs = [(i, int(j)) for i, j in enumerate(flip) if i < j]
    eyes = [pair for pair in pairs if all(_of_eye(names[i]) for i in pair)]
    outer = [pair for pair in eyes if all("outer" in names[i].lower() for i in pair)]
    among = outer or eyes or pairs
    if not among:
        among = [(i, j) for i in range(len(mean)) for j in range(i + 1, len(mean))]
    a, b = max(among, key=lambda pair: float(np.linalg.norm(mean[pair[0]] - mean[pair[1]])))
    return a, b, "outer eye corners" if outer else f"{names[a]} and {names[b]}"


def _of_eye(name: str) -> bool:
    return "eye" in name.lower() and "brow" not in name.lower()


def _chained(edges: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Join edges that follow each other into lines."""
    lines: list[tuple[int, ...]] = []
    for a, b in edges:
        if lines and lines[-1][-1] == a:
            lines[-1] = (*lines[-1], b)
        else:
            lines.append((a, b))
    return lines
