"""Tables of the networks that `benchmarks.reproduction.record` has written down.

Networks of one protocol (data set, crops, backbones, epochs) are in one table; those that differ in
the seed alone are one row, whose error on a face is the mean over the seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.reproduction.regions import REGIONS
from landmark_kd.core.errors import UserError
from landmark_kd.core.files import read_json
from landmark_kd.evaluation.scores import interval_text
from landmark_kd.landmarks.metrics import ced
from tools.seed_scores import comparison, seed_scores

# Rows in the order of the question; others come after them, by name.
CONTROLS = ("no teacher, L2", "no teacher, L1")
ORDER = ("tough teacher", "tolerant teacher", *CONTROLS)

# The share of all errors that the diagram reaches to, and its points.
CED_SHOWN, CED_STEPS = 0.98, 200

Record = dict[str, Any]


@dataclass(frozen=True)
class Protocol:
    """Networks that may be compared: the same faces, crops, backbones and lengths.

    Attributes:
        settings: what they share, see `record.recorded`.
        rows: {row: its records, one a seed, by seed}.
    """

    settings: dict[str, Any]
    rows: dict[str, list[Record]]

    def subsets(self) -> list[str]:
        """Return the names of the test subsets."""
        return list(next(iter(self.rows.values()))[0]["errors"])

    def errors(self, row: str, subset: str) -> np.ndarray:
        """Return NME (seeds, faces) in percent."""
        return np.array([record["errors"][subset] for record in self.rows[row]])

    def curves(self) -> dict[str, pd.DataFrame]:
        """Return each row's validation NME by `step`, the mean of its seeds."""
        means = {
            row: np.mean([record["validation_nme"] for record in records], axis=0)
            for row, records in self.rows.items()
        }
        return {
            row: pd.DataFrame({"step": np.arange(len(nme)), "nme": nme})
            for row, nme in means.items()
        }

    def ced(self, subset: str) -> pd.DataFrame:
        """Return the CED of each row, the errors of all its seeds together: `error` and shares."""
        errors = {row: self.errors(row, subset).ravel() for row in self.rows}
        largest = np.quantile(np.concatenate(list(errors.values())), CED_SHOWN)
        at = np.linspace(0, largest, CED_STEPS)
        return pd.DataFrame({"error": at} | {row: ced(e, at) for row, e in errors.items()})

    def short_title(self) -> str:
        """Return what tells this protocol from others, for diagrams."""
        s = self.settings
        return f"{s['dataset']}, {s['resolution']} px, {s['student']['epochs']} epochs"

    def title(self) -> str:
        """Return the protocol in a line."""
        s = self.settings
        return (
            f"{s['dataset']}, {s['resolution']} px, {s['train_faces']} train faces; teachers "
            f"{_words(s['teacher'])}; students {_words(s['student'])}"
        )


def read_protocols(folder: Path) -> list[Protocol]:
    """Read all records of a folder, those of most networks first.

    Raises:
        UserError: there are none, or two of a table are not of the same test faces.
    """
    records = [read_json(path) for path in sorted(folder.glob("*.json"))]
    if not records:
        raise UserError(
            f"{folder} holds no records; `python -m benchmarks.reproduction.record` writes them."
        )
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(repr(record["protocol"]), []).append(record)
    return sorted(map(_protocol, groups.values()), key=lambda p: -len(p.rows))


def _protocol(records: Iterable[Record]) -> Protocol:
    rows: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: (_place(r["row"]), r["row"], r["seed"])):
        rows.setdefault(record["row"], []).append(record)
    first = next(iter(rows.values()))[0]
    counts = {name: len(errors) for name, errors in first["errors"].items()}
    for row, of_row in rows.items():
        for record in of_row:
            if {name: len(errors) for name, errors in record["errors"].items()} != counts:
                raise UserError(
                    f"{row}, seed {record['seed']}, was measured on other test faces than "
                    f"{first['row']}; record both anew on the same."
                )
    return Protocol(first["protocol"], rows)


def _words(length: dict[str, Any]) -> str:
    return f"{length['backbone']}, {length['epochs']} epochs in batches of {length['batch_size']}"


def _place(row: str) -> int:
    return ORDER.index(row) if row in ORDER else len(ORDER)


def score_table(protocol: Protocol, subset: str) -> str:
    """Return the Markdown table of NME, beside both students without a teacher."""
    controls = [name for name in CONTROLS if name in protocol.rows]
    heads = "".join(f" minus «{name}» [95 %] |" for name in controls)
    lines = [
        f"| network | seeds: NME | NME [95 %] | FR@8 | AUC@8 |{heads}",
        "|---|---|---|---|---|" + "---|" * len(controls),
    ]
    for row in protocol.rows:
        errors = protocol.errors(row, subset)
        found = seed_scores(errors)
        seeds = " / ".join(f"{value:.2f}" for value in found["nme_of_seeds"])
        cells = [row, seeds, interval_text(found["nme"]), f"{found['fr8']:.2f}"]
        cells += [f"{found['auc8']:.1f}"]
        for name in controls:
            if name == row:
                cells.append("")
                continue
            paired = comparison(errors.mean(axis=0), protocol.errors(name, subset).mean(axis=0))
            cells.append(interval_text(paired["difference"], "+.2f"))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def region_table(protocol: Protocol) -> str:
    """Return the Markdown table of the shares of coordinates in KD-Loss's regions, in percent.

    Means over the seeds, for train faces as the last epoch saw them.
    """
    teachers = ("tough", "tolerant")
    heads = " | ".join(f"{teacher}: {region}" for teacher in teachers for region in REGIONS)
    lines = [
        f"| student | beyond both teachers | {heads} |",
        "|---|---|" + "---|" * len(teachers) * len(REGIONS),
    ]
    for row, records in protocol.rows.items():
        found = [record["regions"]["views"] for record in records if record.get("regions")]
        if not found:
            continue
        cells = [_percent(of["beyond_all"] for of in found)]
        cells += [
            _percent(of[teacher][region] for of in found)
            for teacher in teachers
            for region in REGIONS
        ]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _percent(shares: Iterable[float]) -> str:
    return f"{100 * np.mean(list(shares)):.0f}"


def blocks(protocols: Iterable[Protocol]) -> Mapping[str, str]:
    """Return the blocks of docs/reproduction.md that are made from records."""
    scores, regions = [], []
    for protocol in protocols:
        for subset in protocol.subsets():
            n = protocol.errors(next(iter(protocol.rows)), subset).shape[1]
            scores += [f"**{protocol.title()}; test: {subset}, n = {n}**", ""]
            scores += [score_table(protocol, subset), ""]
        table = region_table(protocol)
        if table.count("\n") > 1:
            regions += [f"**{protocol.title()}**", "", table, ""]
    return {"reproduction": "\n".join(scores), "reproduction regions": "\n".join(regions)}
