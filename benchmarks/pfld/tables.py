"""The results of `compare.py` as Markdown, for docs/results.md, its report and the model card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.pfld.scores import THRESHOLD
from landmark_kd.evaluation.scores import interval_text

NETWORKS = {"student": "landmark-kd's student", "pfld": "PFLD"}
# Percent; points of the CED that are printed.
CED_SHOWN = (2, 3, 4, 5, 6, 8, 10)
MEGA, GIGA = 1e6, 1e9
Results = dict[str, Any]


def results_blocks(results: Results) -> dict[str, str]:
    """Return what docs/results.md shows, by the name of its block."""
    return {"references": "\n\n".join([networks_table(results), wflw_table(results)])}


def report_blocks(results: Results, curves: dict[str, list[float]]) -> dict[str, str]:
    """Return what reports/references/README.md shows, by the name of each block.

    Args:
        curves: as `scores.ced_points` returns them.
    """
    return {
        "machine": machine_line(results),
        "networks": networks_table(results),
        "times": times_table(results),
        "ced": ced_table(curves),
        "wflw": wflw_table(results),
        "boxes": boxes_table(results),
        "worst": "\n\n".join(
            [
                f"300-W:\n\n{worst_table(results, '300w')}",
                f"WFLW:\n\n{worst_table(results, 'wflw')}",
            ]
        ),
    }


def card_blocks(results: Results, ages: Results) -> dict[str, str]:
    """Return what docs/model_card.md shows, by the name of each block.

    Args:
        ages: {how, groups, train, test}: how the ages were estimated, the names of the groups, and
            the number of faces in each group of each split.
    """
    pose, light = (
        [
            conditions_table(results, dataset, condition, f"{title}, {condition}{unit}")
            for condition, unit in of_kind.items()
            for dataset, title in (("300w", "300-W"), ("wflw", "WFLW"))
        ]
        for of_kind in (
            {"yaw": " either way", "roll": " either way"},
            {"luminance": ", 0 to 255", "contrast": ", 0 to 255"},
        )
    )
    return {
        "file": file_table(results),
        "scores": subsets_table(results),
        "machine": machine_line(results),
        "pose": "\n\n".join(pose),
        "light": "\n\n".join(light),
        "flags": wflw_table(results),
        "boxes": boxes_table(results),
        "ages": ages_table(ages),
    }


def file_table(results: Results) -> str:
    """Return what the student's file holds and what it costs."""
    student = results["networks"]["student"]
    time = results["times"]["student"]["with_cropping"]
    rows = [
        ["network", student["backbone"]],
        ["trained on", student["trained_on"]],
        ["terms", student["licence"]],
        ["input", f"{student['input_size']} x {student['input_size']} px, RGB"],
        ["crop", f"square, 1 + {student['margin']:g} times the longer side of the box"],
        ["parameters", f"{student['parameters']:,}"],
        ["multiply-adds a face", f"{student['macs']:,}"],
        ["file", f"{student['bytes']:,} bytes, SHA-256 `{student['sha256']}`"],
        [
            "time a face, cropping and network",
            f"{time['median']:.1f} ms ({time['p10']:.1f} to {time['p90']:.1f})",
        ],
    ]
    return table(["what", "value"], rows)


def ages_table(ages: Results) -> str:
    """Return how many of the faces looked at are of each age group."""
    groups = ages["groups"]
    rows = [
        [split, str(sum(ages[split].values())), *(str(ages[split][group]) for group in groups)]
        for split in ("train", "test")
    ]
    return f"{table(['300-W split', 'faces looked at', *groups], rows)}\n\n{ages['how']}"


def machine_line(results: Results) -> str:
    """Return on which machine, with which versions, which student was measured."""
    machine, student = results["machine"], results["networks"]["student"]
    threads = machine["threads"]
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, no GPU used; Python "
        f"{machine['python']}, onnxruntime {machine['onnxruntime']} with {threads} "
        f"thread{'s' * (threads != 1)} a network. Student: {student['source']}."
    )


def networks_table(results: Results) -> str:
    """Return costs, scores and time of both networks on the first subset of 300-W, and a line."""
    subset, found = next(iter(results["sets"]["300w"]["subsets"].items()))
    rows = []
    for name, label in NETWORKS.items():
        cost, scores = results["networks"][name], found["networks"][name]
        time = results["times"][name]["with_cropping"]
        rows.append(
            [
                label,
                f"{cost['parameters'] / MEGA:.2f} M",
                f"{cost['macs'] / GIGA:.3f} G",
                f"{cost['bytes'] / MEGA:.1f} MB",
                *_scores(scores),
                f"{time['median']:.1f} ({time['p10']:.1f} to {time['p90']:.1f})",
            ]
        )
    heads = ["network", "parameters", "MACs", "file", *_heads(), "ms a face (10 to 90 %)"]
    published = f" of {found['n_published']}" if found["n_published"] else ""
    return f"{table(heads, rows)}\n\n300-W {subset}, n = {found['n']}{published}. {_paired(found)}"


def subsets_table(results: Results) -> str:
    """Return the student's scores on each subset of both data sets."""
    rows = [
        [
            f"{title} {subset}",
            f"{found['n']}" + (f" of {found['n_published']}" if found["n_published"] else ""),
            *_scores(found["networks"]["student"]),
        ]
        for name, title in (("300w", "300-W"), ("wflw", "WFLW as 68 landmarks,"))
        for subset, found in results["sets"][name]["subsets"].items()
    ]
    return table(["faces", "n", *_heads()], rows)


def times_table(results: Results) -> str:
    """Return milliseconds a face of both networks, with cropping and without."""
    taken = results["times"]
    rows = []
    for name, label in NETWORKS.items():
        row = [label, f"{results['networks'][name]['input_size']} px"]
        for key in ("with_cropping", "without_cropping"):
            time = taken[name][key]
            row.append(f"{time['median']:.2f} ({time['p10']:.2f} to {time['p90']:.2f})")
        rows.append(row)
    heads = ["ms a face: median (10 to 90 %)", "crop", "cropping and network", "network alone"]
    return (
        f"{table(heads, rows)}\n\n{taken['faces']} faces, {taken['rounds']} rounds, one face at a "
        "time; the two networks take turns on each face, and their order is reversed each time."
    )


def ced_table(curves: dict[str, list[float]]) -> str:
    """Return the share of faces whose error is at most each of CED_SHOWN."""
    at = [curves["error"].index(error) for error in CED_SHOWN]
    rows = [
        [label, *(f"{100 * curves[name][i]:.1f}" for i in at)] for name, label in NETWORKS.items()
    ]
    return table(["% of the faces with an NME up to", *map(str, CED_SHOWN)], rows)


def wflw_table(results: Results) -> str:
    """Return both networks' NME on each subset of WFLW's faces."""
    subsets = results["sets"]["wflw"]["subsets"]
    return _comparison("WFLW, 98 landmarks turned into 68", subsets.items())


def conditions_table(results: Results, dataset: str, condition: str, title: str) -> str:
    """Return both networks' NME in each bin of a condition of `conditions.conditions`."""
    return _comparison(title, results["sets"][dataset]["conditions"][condition].items())


def boxes_table(results: Results) -> str:
    """Return both networks' scores on 300-W in exact, loose and detected boxes."""
    boxes = results["boxes"]
    subset, exact = next(iter(results["sets"]["300w"]["subsets"].items()))
    known = [("the landmarks' own", exact)] + [
        (f"moved ±{100 * j['shift']:g} %, scaled ±{100 * j['scale']:g} %", j)
        for j in boxes["jittered"]
    ]
    text = _comparison("boxes", known)
    rows = []
    for name, label in NETWORKS.items():
        of_network = boxes["detector"][name][subset]
        nme = "-" if of_network["nme"] is None else f"{of_network['nme']:.2f}"
        rows.append(
            [
                label,
                f"{of_network['found']} of {of_network['n']}",
                nme,
                f"{of_network[f'fr{THRESHOLD}']:.2f}",
                f"{of_network[f'auc{THRESHOLD}']:.1f}",
            ]
        )
    heads = ["OpenCV's Haar detector", "found", "NME of these", *_heads()[1:]]
    return (
        f"{text}\n\nMoved and scaled at random, evenly, in shares of the box's longer side; each "
        f"face's error is the mean of {len(boxes['seeds'])} seeds.\n\n"
        f"{table(heads, rows)}\n\n"
        "A face that is not found counts as a failure and adds nothing to the AUC."
    )


def worst_table(results: Results, dataset: str) -> str:
    """Return the faces of a data set on which the student's errors are largest."""
    rows = [
        [
            face["face"],
            f"{face['student']:.2f}",
            f"{face['pfld']:.2f}",
            f"{face['yaw']}°",
            f"{face['roll']}°",
            ", ".join(face["subsets"]) or "-",
        ]
        for face in results["sets"][dataset]["worst"]
    ]
    return table(["photo", "student", "PFLD", "yaw", "roll", "flags"], rows)


def _comparison(title: str, scores: Iterable[tuple[str, dict[str, Any]]]) -> str:
    rows = [
        [
            name,
            str(found["n"]),
            *(interval_text(found["networks"][network]["nme"]) for network in NETWORKS),
            interval_text(found["difference"], "+.2f"),
        ]
        for name, found in scores
    ]
    heads = [title, "n", *(f"{label}, NME [95 %]" for label in NETWORKS.values())]
    return table([*heads, "student - PFLD [95 %]"], rows)


def _heads() -> list[str]:
    return ["NME [95 %]", f"FR@{THRESHOLD}", f"AUC@{THRESHOLD}"]


def _scores(scores: dict[str, dict[str, float]]) -> list[str]:
    return [
        interval_text(scores["nme"]),
        f"{scores[f'fr{THRESHOLD}']['value']:.2f}",
        f"{scores[f'auc{THRESHOLD}']['value']:.1f}",
    ]


def _paired(found: dict[str, Any]) -> str:
    return (
        f"Paired over the faces, student - PFLD is {interval_text(found['difference'], '+.3f')} "
        f"(ratio {interval_text(found['ratio'], '.3f')}); the student is nearer on "
        f"{100 * found['better']['value']:.0f} % of the faces."
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
