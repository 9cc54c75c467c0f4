"""The test faces of a page: their numbers, and images of as many as there is room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landmark_kd.faces.prepared import SEPARATOR, Faces
from landmark_kd.html_report.charts import numbers
from landmark_kd.html_report.thumbnails import shown_faces, spread_order

# Faces in each of the rows best, median and worst.
PICKED = 6
# Bytes of the JSON around images.
AROUND = 2000


def picked(errors: np.ndarray) -> dict[str, list[int]]:
    """Return rows of the faces with the smallest, the middle and the largest errors (N,)."""
    order = np.argsort(errors, kind="stable")
    order = order[~np.isnan(errors[order])]
    shown = min(PICKED, len(order))
    middle = (len(order) - shown) // 2
    return {
        "best": order[:shown].tolist(),
        "median": order[middle : middle + shown].tolist(),
        "worst": order[::-1][:shown].tolist(),
    }


def face_table(
    faces: Faces, errors: Mapping[str, np.ndarray], traits: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Return columns of all N faces: names, subsets, each network's error, what makes them hard.

    Returns:
        {names, subset_names, subsets: indices of the subsets of each face, errors: {network:
        percent}, traits: {trait: numbers}}.
    """
    of_face = [text.split(SEPARATOR) for text in faces.table["subsets"]]
    subset_names = list(faces.subset_rows())
    return {
        "names": faces.table["name"].tolist(),
        "subset_names": subset_names,
        "subsets": [[subset_names.index(name) for name in names] for names in of_face],
        "errors": {name: numbers(values) for name, values in errors.items()},
        "traits": {name: numbers(np.round(values, 1)) for name, values in traits.items()},
    }


def face_images(
    faces: Faces,
    points: Mapping[str, np.ndarray],
    errors: np.ndarray,
    first: Sequence[int],
    room: int,
) -> dict[str, Any]:
    """Return images and points of as many faces as there is room for.

    Args:
        points: (N, K, 2) of each network, pixels of the original images.
        errors: (N,) by which the other faces are spread.
        first: rows that are wanted most, and are encoded larger.
        room: bytes.

    Returns:
        {row: {image, hard, and each network}}, see `thumbnails.shown_faces`.
    """
    first = list(dict.fromkeys(first))
    order = spread_order(errors, first)
    found = shown_faces(faces, points, order, len(first), room - AROUND)
    return {str(row): entry for row, entry in sorted(found.items())}
