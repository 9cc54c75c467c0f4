"""The page that compares experiments: parameters, metrics, curves, and the faces that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from landmark_kd.core.errors import UserError
from landmark_kd.evaluation.evaluate import FLOOR
from landmark_kd.faces.prepared import SEPARATOR, Faces
from landmark_kd.html_report import charts
from landmark_kd.html_report.experiments import Experiment, load_experiment, load_test_faces
from landmark_kd.html_report.faces import PICKED, face_images
from landmark_kd.html_report.page import (
    COLOURS_IN_TURN,
    LARGEST,
    SPARE,
    looks,
    size_of,
    write_page,
)
from landmark_kd.html_report.provenance import provenance
from landmark_kd.html_report.report import flat_sections, interval, paired_errors, subset_rows
from landmark_kd.html_report.run import BASELINE, CONTROL, KD, Run

TEMPLATE = "compare.html.j2"
# More have no colours of their own, and no page shows them side by side.
MOST = len(COLOURS_IN_TURN)
# Of the protocol: what numbers of the same faces may differ by, beside the networks.
WAYS = ("box", "margin", "crop_size", "box_jitter", "normalizer")


def compare_experiments(names: Sequence[str], out: Path) -> int:
    """Write the page that compares experiments of the project in the working folder.

    Args:
        names: two or more; the first is what the others are compared with.

    Returns:
        The page's size in bytes.

    Raises:
        UserError: fewer than two or too many names, one of which there is no experiment, or
            experiments on different faces; see `experiments.load_experiment`.
    """
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise UserError(f"`{twice}` is named twice; name two or more different experiments.")
    if not 2 <= len(names) <= MOST:
        raise UserError(
            f"a comparison is of 2 to {MOST} experiments, not of {len(names)}; name that many."
        )
    with TemporaryDirectory() as temporary:
        folders = [Path(temporary) / str(number) for number in range(len(names))]
        found = [load_experiment(*pair) for pair in zip(names, folders, strict=True)]
        check_same_faces(found)
        faces = load_test_faces(found[0], folders[0] / "faces")
        return write_comparison(found, faces, provenance(), out)


def check_same_faces(experiments: Sequence[Experiment]) -> None:
    """Check that all experiments were evaluated on the same faces.

    Raises:
        UserError: two were not; one sentence with both.
    """
    first, *others = experiments
    for other in others:
        a, b = first.run, other.run
        known = [run.protocol.get("test_faces") for run in (a, b)]
        same = a.errors["name"].tolist() == b.errors["name"].tolist()
        if same and (None in known or known[0] == known[1]):
            continue
        of = [f"{run.protocol.get('dataset')}, {len(run.errors)} test faces" for run in (a, b)]
        difference = "" if of[0] != of[1] else ", whose names, subsets or landmarks differ"
        raise UserError(
            f"`{first.name}` ({of[0]}) and `{other.name}` ({of[1]}) were evaluated on different "
            f"faces{difference}; their errors cannot be compared face by face."
        )


def write_comparison(
    experiments: Sequence[Experiment], faces: Faces | None, origin: dict[str, Any], out: Path
) -> int:
    """Write the page.

    Args:
        experiments: evaluated on the same faces, the first of which the others are compared with.
        faces: the test faces; None where nobody has them, and the page shows no image.

    Returns:
        The page's size in bytes.
    """
    content = comparison_content(experiments, faces, origin)
    keys = list(content["look"])
    room = LARGEST - SPARE - size_of(TEMPLATE, content)
    if faces is not None:
        points = {
            key: of.run.predictions[KD]
            for key, of in zip(keys, experiments, strict=False)
            if of.run.predictions is not None and KD in of.run.predictions
        }
        changed = _largest_change(experiments)
        first = [row for rows in content["data"]["changed"].values() for row in rows]
        shown = face_images(faces, points, changed, list(dict.fromkeys(first)), room)
        content["data"]["shown"] = shown
        content["shown"] = len(shown)
    return write_page(out, TEMPLATE, content)


def comparison_content(
    experiments: Sequence[Experiment], faces: Faces | None, origin: dict[str, Any]
) -> dict[str, Any]:
    """Return what the template needs, all but the images of faces."""
    keys = [f"e{number}" for number in range(len(experiments))]
    first = experiments[0].run
    look = looks(keys)
    for key, experiment in zip(keys, experiments, strict=True):
        look[key]["label"] = experiment.name
    errors = {key: of.run.errors[KD].to_numpy() for key, of in zip(keys, experiments, strict=True)}
    subsets = [s for s in first.subsets if all(s in of.run.subsets for of in experiments)]
    if not subsets:
        raise UserError(
            f"`{experiments[0].name}` and the others have no subset in common; evaluate them anew."
        )
    main = max(subsets, key=lambda name: first.metrics[KD][name]["n"])
    pairs = {
        network: {
            subset: [None, *(paired(first, of.run, network, subset) for of in experiments[1:])]
            for subset in subsets
        }
        for network in networks_of_all(experiments)
    }
    data = {
        "keys": keys,
        "forest": [
            _forest_row(key, of.run, main) for key, of in zip(keys, experiments, strict=True)
        ],
        "differences": [
            [key, *(pair["difference"][end] for end in ("value", "low", "high"))]
            for key, pair in zip(keys, pairs[KD][main], strict=True)
            if pair is not None
        ],
        "ced": charts.distributions(errors, keys[0]),
        "training": {
            key: charts.training({KD: of.run.curves[KD]})[KD]
            for key, of in zip(keys, experiments, strict=True)
            if KD in of.run.curves
        },
        "scheme": {"contours": [], "names": []},
        "faces": _faces_table(first, errors),
        "changed": _changed_faces(keys, experiments),
        "shown": {},
    }
    if faces is not None:
        data["scheme"] = charts.scheme_drawing(faces.info.scheme)
    return {
        "experiments": list(zip(keys, experiments, strict=True)),
        "look": look,
        "dataset": first.protocol.get("dataset", "not known"),
        "subsets": subsets,
        "main": main,
        "networks": networks_of_all(experiments),
        "pairs": pairs,
        "params": differing_params(experiments),
        "ways": [
            way for way in WAYS if len({str(of.run.protocol.get(way)) for of in experiments}) > 1
        ],
        "intervals": interval,
        "kd": KD,
        "students": [name for name in (BASELINE, CONTROL) if name in networks_of_all(experiments)],
        "shown": 0,
        "origin": origin,
        "data": data,
    }


def networks_of_all(experiments: Sequence[Experiment]) -> list[str]:
    """Return the networks that all experiments have, without the floor."""
    first = experiments[0].run.networks
    return [
        name
        for name in first
        if name != FLOOR and all(name in of.run.metrics for of in experiments)
    ]


def differing_params(experiments: Sequence[Experiment]) -> dict[str, list[str]]:
    """Return {dotted key: the value in each experiment} of parameters that are not the same."""
    flat: list[dict[str, str]] = [
        {
            f"{section}.{key}" if key else section: value
            for section, values in flat_sections(of.run.params).items()
            for key, value in values.items()
        }
        for of in experiments
    ]
    every = dict.fromkeys(key for params in flat for key in params)
    values = {key: [params.get(key, "not there") for params in flat] for key in every}
    return {key: of for key, of in values.items() if len(set(of)) > 1}


def paired(first: Run, other: Run, network: str, subset: str) -> dict[str, Any] | None:
    """Return {difference, ratio, better} of a network in another run against the first.

    None where no face of the subset has an error in both.
    """
    if network not in first.errors or network not in other.errors:
        return None
    rows = subset_rows(first.errors["subsets"], subset)
    a, b = (run.errors[network].to_numpy()[rows] for run in (other, first))
    return paired_errors(a, b, first.protocol)


def _forest_row(key: str, run: Run, subset: str) -> list[Any]:
    ends: Mapping[str, float] = interval(run, KD, subset, "nme") or {}
    return [key, run.metrics[KD][subset]["nme"], ends.get("low"), ends.get("high")]


def _faces_table(run: Run, errors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    of_face = [text.split(SEPARATOR) for text in run.errors["subsets"]]
    names = list(dict.fromkeys(name for subsets in of_face for name in subsets))
    return {
        "names": run.errors["name"].tolist(),
        "subset_names": names,
        "subsets": [[names.index(name) for name in subsets] for subsets in of_face],
        "errors": {key: charts.numbers(values) for key, values in errors.items()},
        "traits": {},
    }


def _changes(first: Run, other: Run) -> np.ndarray:
    """Return by how much the error of each face (N,) grew; 0 where one has none."""
    change = other.errors[KD].to_numpy() - first.errors[KD].to_numpy()
    return np.nan_to_num(change)


def _largest_change(experiments: Sequence[Experiment]) -> np.ndarray:
    first = experiments[0].run
    return np.max([np.abs(_changes(first, of.run)) for of in experiments[1:]], axis=0)


def _changed_faces(keys: Sequence[str], experiments: Sequence[Experiment]) -> dict[str, list[int]]:
    """Return {KEY-better, KEY-worse: rows that gained and lost most} of each experiment."""
    found = {}
    for key, of in zip(keys[1:], experiments[1:], strict=True):
        change = _changes(experiments[0].run, of.run)
        order = np.argsort(change, kind="stable")
        found[f"{key}-better"] = [int(row) for row in order[:PICKED] if change[row] < 0]
        found[f"{key}-worse"] = [int(row) for row in order[::-1][:PICKED] if change[row] > 0]
    return found
