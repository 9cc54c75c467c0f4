"""The results of `compare.py` as Markdown: README, docs/results.md, its report, the model card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.pfld.scores import THRESHOLD
from landmark_kd.evaluation.scores import interval_text

# Names of networks in results: the reference's, which is the last; all others are students.
REFERENCE = "pfld"
# Percent; points of the CED that are printed.
CED_SHOWN = (2, 3, 4, 5, 6, 8, 10)
MEGA, GIGA = 1e6, 1e9
Results = dict[str, Any]


def results_blocks(results: Results) -> dict[str, str]:
    """Return what docs/results.md shows, by the name of its block."""
    parts = [networks_table(results), wflw_table(results), tilts_table(results)]
    return {"references": "\n\n".join(parts)}


def readme_blocks(results: Results) -> dict[str, str]:
    """Return what the README shows, by the name of its block."""
    subset, common = next(iter(results["sets"]["300w"]["subsets"].items()))
    wflw = results["sets"]["wflw"]["subsets"]["all"]
    angle, turned = list(results["tilts"].items())[-1]
    rows = [
        [
            label(name),
            f"{cost['bytes'] / MEGA:.1f} MB",
            f"{relative_time(results, name):.2f}",
            *_scores(common["networks"][name]),
            *(interval_text(found["networks"][name]["nme"]) for found in (wflw, turned)),
        ]
        for name, cost in results["networks"].items()
    ]
    heads = ["network", "file", "time ÷ PFLD's", f"300-W {subset}: NME [95 %]", *_heads()[1:]]
    heads += ["WFLW as 68: NME [95 %]", f"{subset} turned {angle}°: NME [95 %]"]
    return {"shipped": table(heads, rows)}


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
        "tilts": tilts_table(results),
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
        "tilts": tilts_table(results),
        "boxes": boxes_table(results),
        "ages": ages_table(ages),
    }


def file_table(results: Results) -> str:
    """Return what the students' files hold and what they cost."""
    columns = [
        [
            network["backbone"],
            network["trained_on"],
            network["licence"],
            f"{network['input_size']} x {network['input_size']} px, RGB",
            f"square, 1 + {network['margin']:g} times the longer side of the box",
            f"{network['parameters']:,}",
            f"{network['macs']:,}",
            f"{network['bytes']:,} bytes, SHA-256 `{network['sha256']}`",
            _time_text(results, name, "with_cropping", 1, " ms"),
        ]
        for name, network in results["networks"].items()
        if name != REFERENCE
    ]
    heads = [
        *("network", "trained on", "terms", "input", "crop", "parameters"),
        *("multiply-adds a face", "file", "time a face, cropping and network"),
    ]
    rows = [list(row) for row in zip(heads, *columns, strict=True)]
    return table(["what", *(label(name) for name in _students(results))], rows)


def ages_table(ages: Results) -> str:
    """Return how many of the faces looked at are of each age group."""
    groups = ages["groups"]
    rows = [
        [split, str(sum(ages[split].values())), *(str(ages[split][group]) for group in groups)]
        for split in ("train", "test")
    ]
    return f"{table(['300-W split', 'faces looked at', *groups], rows)}\n\n{ages['how']}"


def machine_line(results: Results) -> str:
    """Return on which machine, with which versions, which networks were measured."""
    machine = results["machine"]
    sources = [results["networks"][name]["source"] for name in _students(results)]
    threads = machine["threads"]
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, no GPU used; Python "
        f"{machine['python']}, onnxruntime {machine['onnxruntime']} with {threads} "
        f"thread{'s' * (threads != 1)} a network. Networks: {'; '.join(sources)}."
    )


def networks_table(results: Results) -> str:
    """Return costs, scores and time of all networks on the first subset of 300-W, and a line."""
    subset, found = next(iter(results["sets"]["300w"]["subsets"].items()))
    rows = []
    for name, cost in results["networks"].items():
        scores = found["networks"][name]
        rows.append(
            [
                label(name),
                f"{cost['parameters'] / MEGA:.2f} M",
                f"{cost['macs'] / GIGA:.3f} G",
                f"{cost['bytes'] / MEGA:.1f} MB",
                *_scores(scores),
                _time_text(results, name, "with_cropping", 1),
                f"{relative_time(results, name):.2f}",
            ]
        )
    heads = ["network", "parameters", "MACs", "file", *_heads()]
    heads += ["ms a face (10 to 90 %)", "network's time ÷ PFLD's"]
    published = f" of {found['n_published']}" if found["n_published"] else ""
    return f"{table(heads, rows)}\n\n300-W {subset}, n = {found['n']}{published}. {_paired(found)}"


def subsets_table(results: Results) -> str:
    """Return the students' scores on each subset of both data sets."""
    rows = [
        [
            f"{title} {subset}",
            f"{found['n']}" + (f" of {found['n_published']}" if found["n_published"] else ""),
            label(name),
            *_scores(found["networks"][name]),
        ]
        for dataset, title in (("300w", "300-W"), ("wflw", "WFLW as 68 landmarks,"))
        for subset, found in results["sets"][dataset]["subsets"].items()
        for name in _students(results)
    ]
    return table(["faces", "n", "network", *_heads()], rows)


def times_table(results: Results) -> str:
    """Return milliseconds a face of all networks, with cropping and without."""
    taken = results["times"]
    rows = [
        [
            label(name),
            f"{network['input_size']} px",
            *(_time_text(results, name, k, 2) for k in ("with_cropping", "without_cropping")),
        ]
        for name, network in results["networks"].items()
    ]
    heads = ["ms a face: median (10 to 90 %)", "crop", "cropping and network", "network alone"]
    return (
        f"{table(heads, rows)}\n\n{taken['faces']} faces, {taken['rounds']} rounds, one face at a "
        "time; the networks take turns on each face, and their order is reversed each time."
    )


def ced_table(curves: dict[str, list[float]]) -> str:
    """Return the share of faces whose error is at most each of CED_SHOWN."""
    at = [curves["error"].index(error) for error in CED_SHOWN]
    rows = [
        [label(name), *(f"{100 * curve[i]:.1f}" for i in at)]
        for name, curve in curves.items()
        if name != "error"
    ]
    return table(["% of the faces with an NME up to", *map(str, CED_SHOWN)], rows)


def wflw_table(results: Results) -> str:
    """Return all networks' NME on each subset of WFLW's faces."""
    subsets = results["sets"]["wflw"]["subsets"]
    return _comparison("WFLW, 98 landmarks turned into 68", subsets.items())


def tilts_table(results: Results) -> str:
    """Return all networks' NME on images turned by some angles, the boxes alone given."""
    turned = [(f"{angle}°", found) for angle, found in results["tilts"].items()]
    return _comparison("300-W, images turned either way by", turned)


def conditions_table(results: Results, dataset: str, condition: str, title: str) -> str:
    """Return all networks' NME in each bin of a condition of `conditions.conditions`."""
    return _comparison(title, results["sets"][dataset]["conditions"][condition].items())


def boxes_table(results: Results) -> str:
    """Return all networks' scores on 300-W in exact, loose and detected boxes."""
    boxes = results["boxes"]
    subset, exact = next(iter(results["sets"]["300w"]["subsets"].items()))
    known = [("the landmarks' own", exact)] + [
        (f"moved ±{100 * j['shift']:g} %, scaled ±{100 * j['scale']:g} %", j)
        for j in boxes["jittered"]
    ]
    text = _comparison("boxes", known)
    rows = []
    for name, by_subset in boxes["detector"].items():
        of_network = by_subset[subset]
        nme = "-" if of_network["nme"] is None else f"{of_network['nme']:.2f}"
        rows.append(
            [
                label(name),
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
    """Return the faces of a data set on which the first student's errors are largest."""
    names = list(results["networks"])
    rows = [
        [
            face["face"],
            *(f"{face[name]:.2f}" for name in names),
            f"{face['yaw']}°",
            f"{face['roll']}°",
            ", ".join(face["subsets"]) or "-",
        ]
        for face in results["sets"][dataset]["worst"]
    ]
    return table(["photo", *map(label, names), "yaw", "roll", "flags"], rows)


def label(name: str) -> str:
    """Return what tables call a network."""
    return "PFLD" if name == REFERENCE else name


def relative_time(results: Results, name: str) -> float:
    """Return the median time of a network alone, without cropping, in units of the reference's."""
    own, reference = (results["times"][n]["without_cropping"]["median"] for n in (name, REFERENCE))
    return float(own / reference)


def _students(results: Results) -> list[str]:
    return [name for name in results["networks"] if name != REFERENCE]


def _time_text(results: Results, name: str, key: str, decimals: int, unit: str = "") -> str:
    """Return a median time with its spread; `key` says whether with cropping."""
    time = {k: f"{v:.{decimals}f}" for k, v in results["times"][name][key].items()}
    return f"{time['median']}{unit} ({time['p10']} to {time['p90']})"


def _comparison(title: str, scores: Iterable[tuple[str, dict[str, Any]]]) -> str:
    rows, names, students = [], [], []
    for name, found in scores:
        names, students = list(found["networks"]), list(found["against"])
        rows.append(
            [
                name,
                str(found["n"]),
                *(interval_text(found["networks"][network]["nme"]) for network in names),
                *(interval_text(found["against"][s]["difference"], "+.2f") for s in students),
            ]
        )
    heads = [title, "n", *(f"{label(network)}, NME [95 %]" for network in names)]
    return table([*heads, *(f"{label(s)} - PFLD [95 %]" for s in students)], rows)


def _heads() -> list[str]:
    return ["NME [95 %]", f"FR@{THRESHOLD}", f"AUC@{THRESHOLD}"]


def _scores(scores: dict[str, dict[str, float]]) -> list[str]:
    return [
        interval_text(scores["nme"]),
        f"{scores[f'fr{THRESHOLD}']['value']:.2f}",
        f"{scores[f'auc{THRESHOLD}']['value']:.1f}",
    ]


def _paired(found: dict[str, Any]) -> str:
    return " ".join(
        f"Paired over the faces, {label(name)} - PFLD is "
        f"{interval_text(against['difference'], '+.3f')} (ratio "
        f"{interval_text(against['ratio'], '.3f')}); {label(name)} is nearer on "
        f"{100 * against['better']['value']:.0f} % of the faces."
        for name, against in found["against"].items()
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
