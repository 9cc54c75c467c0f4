"""The page of one run, reports/index.html: what the pipeline's stages left, on one page.

Numbers of accuracy are those of metrics.json and intervals.json, read and never measured anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landmark_kd.core.errors import UserError
from landmark_kd.evaluation.bootstrap import compare
from landmark_kd.evaluation.evaluate import FLOOR, faces_fingerprint
from landmark_kd.evaluation.scores import rounded
from landmark_kd.faces.prepared import SEPARATOR, Faces
from landmark_kd.html_report import charts
from landmark_kd.html_report.faces import face_images, face_table, picked
from landmark_kd.html_report.material import Material
from landmark_kd.html_report.page import LARGEST, SPARE, looks, size_of, write_page
from landmark_kd.html_report.published import published
from landmark_kd.html_report.run import BASELINE, CONTROL, INTERVALS, KD, Run

TEMPLATE = "report.html.j2"
# metrics.json and intervals.json are rounded alike, so the same number is the same text.
SAME = 2e-6
# Of a bin's interval; diagrams need no more.
BIN_RESAMPLES = 1000


def write_report(run: Run, material: Material, origin: dict[str, Any], out: Path) -> int:
    """Write the page of one run.

    Args:
        origin: of `provenance.provenance`.

    Returns:
        Its size in bytes, below `page.LARGEST`.

    Raises:
        UserError: the run's reports are not of these faces, or not of one run.
    """
    _check(run, material.test)
    content = report_content(run, material, origin)
    networks = [name for name in run.networks if name in (run.predictions or {})]
    content["data"]["shown"] = {}
    room = LARGEST - SPARE - size_of(TEMPLATE, content)
    if run.predictions is not None:
        first = [row for rows in content["data"]["picked"].values() for row in rows]
        errors = run.errors[KD].to_numpy()
        points = {name: run.predictions[name] for name in networks}
        shown = face_images(material.test, points, errors, first, room)
        content["data"]["shown"] = shown
        content["shown"] = len(shown)
    return write_page(out, TEMPLATE, content)


def report_content(run: Run, material: Material, origin: dict[str, Any]) -> dict[str, Any]:
    """Return what the template needs, all but the images of faces."""
    train, test = material.train, material.test
    errors = {name: run.errors[name].to_numpy() for name in run.networks if name in run.errors}
    networks = [name for name in run.networks if name != FLOOR]
    traits = charts.traits(test, train)
    students = {name: errors[name] for name in errors if name != FLOOR}
    seed = int(run.protocol.get("seed", 0))
    edges = {"yaw": charts.YAW_EDGES, "tilt": charts.TILT_EDGES, "size": None}
    units = {"yaw": "°", "tilt": "°", "size": " px"}
    hard = train.crop_landmarks()
    data = {
        "networks": run.networks,
        "forest": forest(run),
        "ced": charts.distributions(errors, KD),
        "training": charts.training(run.curves),
        "scheme": charts.scheme_drawing(test.info.scheme),
        "conditions": {
            name: charts.binned_errors(
                values,
                students,
                edges[name],
                resamples=BIN_RESAMPLES,
                seed=seed,
                unit=units[name],
            )
            for name, values in traits.items()
        },
        "asm": charts.shape_modes(material.model, material.variance),
        "kd": charts.kd_regions(hard, material.teachers, material.loss, material.beta),
        "faces": face_table(test, errors, traits),
        "picked": picked(errors[KD]),
        "mean_face": None,
        "reliability": None,
    }
    if run.per_landmark is not None:
        data["mean_face"] = charts.mean_face(train, run.per_landmark, networks)
    if run.reliability is not None and len(run.reliability.columns) > 1:
        data["reliability"] = charts.columns(run.reliability, "level", networks)
    return {
        "run": run,
        "networks": run.networks,
        "look": looks(run.networks),
        "times": origin.get("times", {}),
        "best": {subset: best_students(run, subset) for subset in run.subsets},
        "headline": headline(run),
        "published": {subset: published(_dataset(run), subset) for subset in run.subsets},
        "dataset": _dataset(run),
        "faces": {"train": len(train.train_rows()), "validation": len(train.validation_rows())},
        "fingerprints": {"train": faces_fingerprint(train), "test": faces_fingerprint(test)},
        "licence": test.info.licence,
        "yaw_known": "yaw" in traits,
        "origin": origin,
        "params": flat_sections(run.params),
        "shown": 0,
        "data": data,
    }


def headline(run: Run) -> dict[str, Any]:
    """Return what stands at the head of a page, of the run's main subset.

    Returns:
        {subset, n, n_published, nme, interval: of it or None, gains: {network: {percent, low,
        high, difference: interval, better: interval}} over baseline and control}.
    """
    subset = run.main_subset
    scores = run.metrics[KD][subset]
    gains = {}
    for name in (BASELINE, CONTROL):
        if name not in run.metrics or subset not in run.metrics[name]:
            continue
        found = paired(run, name, subset)
        if found is not None:
            ratio = found["ratio"]
            gains[name] = {
                "percent": 100 * (1 - ratio["value"]),
                "low": 100 * (1 - ratio["high"]),
                "high": 100 * (1 - ratio["low"]),
                "difference": found["difference"],
                "better": found["better"],
            }
    return {
        "subset": subset,
        "n": scores["n"],
        "n_published": scores.get("n_published"),
        "nme": scores["nme"],
        "interval": interval(run, KD, subset, "nme"),
        "gains": gains,
    }


def best_students(run: Run, subset: str) -> list[str]:
    """Return the students with the lowest NME on a subset."""
    found = {
        name: run.metrics[name][subset]["nme"]
        for name in (BASELINE, CONTROL, KD)
        if run.metrics.get(name, {}).get(subset, {}).get("nme") is not None
    }
    return [name for name, nme in found.items() if nme == min(found.values())]


def interval(run: Run, network: str, subset: str, measure: str) -> dict[str, float] | None:
    """Return a measure's interval {value, low, high}; None where the run says none."""
    found = run.intervals.get(network, {}).get(subset, {}).get(measure)
    return found if isinstance(found, dict) else None


def paired(run: Run, network: str, subset: str) -> dict[str, Any] | None:
    """Return {difference, ratio, better} of `kd` against a network on the same faces.

    What the evaluation says of it, or the same computed from the errors of the faces; None where
    no face has both.
    """
    found = run.paired.get(network, {}).get(subset)
    if found is not None:
        return found
    rows = subset_rows(run.errors["subsets"], subset)
    kd, other = (run.errors[name].to_numpy()[rows] for name in (KD, network))
    return paired_errors(kd, other, run.protocol)


def paired_errors(
    a: np.ndarray, b: np.ndarray, protocol: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return {difference, ratio, better} of errors `a` against `b` (N,) of the same faces.

    None where no face has both, or where one of b's is 0 and nothing can be measured in it.

    Args:
        protocol: of the run whose resamples are taken.
    """
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any() or not (b[known] > 0).all():
        return None
    found = compare(
        a[known],
        b[known],
        resamples=int(protocol.get("bootstrap", BIN_RESAMPLES)),
        seed=int(protocol.get("seed", 0)),
    )
    return dict(rounded(found))


def subset_rows(subsets: pd.Series, subset: str) -> np.ndarray:
    """Return the rows of errors.csv that belong to a subset."""
    return np.flatnonzero([subset in text.split(SEPARATOR) for text in subsets])


def forest(run: Run) -> dict[str, Any]:
    """Return each network's NME and interval on the main subset, and what others published.

    Returns:
        {own: [[name, value, low, high]], published: [[who, value, low, high, source]], same:
        whether these were measured on the same faces}.
    """
    subset = run.main_subset
    own = []
    for name in run.networks:
        if name == FLOOR or subset not in run.metrics[name]:
            continue
        value = run.metrics[name][subset]["nme"]
        ends = interval(run, name, subset, "nme") or {}
        own.append([name, value, ends.get("low"), ends.get("high")])
    others = published(_dataset(run), subset)
    n = run.metrics[KD][subset]["n"]
    same = all((of.dataset, of.subset, of.faces) == (_dataset(run), subset, n) for of in others)
    rows = [[of.who, of.nme, of.low, of.high, of.source, of.subset, of.faces] for of in others]
    return {"own": own, "published": rows, "same": same, "subset": subset}


def flat_sections(params: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return {section: {dotted key: value}} of params.yaml."""
    found: dict[str, dict[str, str]] = {}
    for section, content in params.items():
        if isinstance(content, dict):
            found[str(section)] = dict(_flat(content, ""))
        else:
            found[str(section)] = {"": _as_yaml(content)}
    return found


def _flat(content: Mapping[str, Any], before: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in content.items():
        if isinstance(value, dict):
            found += _flat(value, f"{before}{key}.")
        else:
            found.append((f"{before}{key}", _as_yaml(value)))
    return found


def _as_yaml(value: Any) -> str:
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _dataset(run: Run) -> str:
    return str(run.protocol.get("dataset", "not known"))


def _check(run: Run, test: Faces) -> None:
    if run.errors["name"].tolist() != test.table["name"].tolist():
        raise UserError(
            f"reports/evaluation is of {len(run.errors)} other faces than data/faces/test, which "
            f"has {len(test)}; run `dvc repro` to make both fit."
        )
    for network, subsets in run.metrics.items():
        for subset, scores in subsets.items():
            found = interval(run, network, subset, "nme")
            if found is None or scores["nme"] is None:
                continue
            if not abs(found["value"] - scores["nme"]) <= SAME:
                raise UserError(
                    f"metrics.json says {scores['nme']} as NME of {network} on {subset}, but "
                    f"{INTERVALS} says {found['value']}: they are of two runs; run `dvc repro "
                    "evaluate` to make both anew."
                )
