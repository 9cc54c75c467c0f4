"""Draws error against time for all networks that `compare` has measured, and PFLD.

    python -m benchmarks.pfld.compare --model FILE --out OUT   # OUT/results.json, of any network
    python -m benchmarks.pfld.pareto docs/pareto.png NAME=OUT/results.json …

Each file is a run of its own, perhaps on another machine, so times are given in units of PFLD's in
the same run. Those of reports/references/results.json come first and are marked as shipped; NAME is
what the picture calls the student of another file.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from benchmarks.pfld.tables import REFERENCE, Results, label, relative_time
from landmark_kd.core.errors import UserError, run_main
from landmark_kd.core.files import read_json
from landmark_kd.visualization.plots import COLOURS, INK, figure

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = PROJECT / "reports" / "references" / "results.json"


class Point(NamedTuple):
    """A network in the picture: its time in units of PFLD's, its NME in percent with interval."""

    name: str
    time: float
    nme: float
    low: float
    high: float
    kind: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="image to write")
    parser.add_argument("others", nargs="*", metavar="NAME=FILE", help="results of other networks")
    arguments = parser.parse_args()
    points = shipped_points(_read(SHIPPED))
    for word in arguments.others:
        name, found, path = word.partition("=")
        if not found:
            raise UserError(f"{word} is not NAME=FILE; give a name and a results.json of compare.")
        points.append(other_point(name, _read(Path(path))))
    draw(arguments.out, points)
    for point in points:
        print(f"{point.name}: {point.time:.2f} x PFLD's time, NME {point.nme:.2f} %")


def shipped_points(results: Results) -> list[Point]:
    """Return the points of the shipped networks and of the reference."""
    kinds = {name: "pfld" if name == REFERENCE else "shipped" for name in results["networks"]}
    return [_point(results, name, label(name), kind) for name, kind in kinds.items()]


def other_point(name: str, results: Results) -> Point:
    """Return the point of the one student of a results.json, under another name."""
    students = [key for key in results["networks"] if key != REFERENCE]
    if len(students) != 1:
        raise UserError(f"{name}: a file with one student is needed, this one has {len(students)}.")
    return _point(results, students[0], name, "other")


def draw(path: Path, points: list[Point]) -> None:
    """Draw the points, the shipped ones filled."""
    colours = {"shipped": COLOURS["shipped"], "pfld": COLOURS["pfld"], "other": "#999999"}
    with figure(path, 6.4, 4.2) as fig:
        axes = fig.add_subplot()
        for point in points:
            away = [[point.nme - point.low], [point.high - point.nme]]
            axes.errorbar(
                point.time,
                point.nme,
                yerr=away,
                fmt="o" if point.kind != "pfld" else "D",
                color=colours[point.kind],
                capsize=3,
                markersize=8,
            )
            axes.annotate(
                point.name,
                (point.time, point.nme),
                xytext=(9, 5),
                textcoords="offset points",
                color=INK,
            )
        axes.set(
            xlim=(0, 1.25 * max(point.time for point in points)),
            xlabel="time of the network alone ÷ PFLD's, one thread",
            ylabel="NME (% of the outer eye corners' distance)",
            title="300-W Common, 554 faces, 95 % intervals; blue: shipped",
        )


def _point(results: Results, network: str, name: str, kind: str) -> Point:
    _, found = next(iter(results["sets"]["300w"]["subsets"].items()))
    nme = found["networks"][network]["nme"]
    time = relative_time(results, network)
    return Point(name, time, nme["value"], nme["low"], nme["high"], kind)


def _read(path: Path) -> Results:
    if not path.is_file():
        raise UserError(f"{path} is missing; `python -m benchmarks.pfld.compare` makes such files.")
    results: Results = read_json(path)
    return results


if __name__ == "__main__":
    run_main(main)
