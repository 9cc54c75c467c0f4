"""What others published, to stand beside a run's numbers; NME in percent of the outer eye corners.

Each number names its source. They are of the data sets' official test faces; a run on other faces
is not to be compared with them, and the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One published number.

    Attributes:
        who: the network, in words.
        dataset, subset: what it was measured on, as `data.name` and metrics.json call it.
        faces: the subset's published number of faces.
        nme: percent.
        source: where it stands.
        low, high: 95 % interval over the faces, where there is one.
    """

    who: str
    dataset: str
    subset: str
    faces: int
    nme: float
    source: str
    low: float | None = None
    high: float | None = None


PAPER = "Fard & Mahoor 2022, KD-Loss"
ASMNET = "Fard, Abdollahi & Mahoor 2021, ASMNet"
MEASURED = "measured by python -m benchmarks.pfld.compare: reports/references"
KD_STUDENT = "paper's KD student"
PAPERS_BASELINE = "paper's student without KD"

PUBLISHED = (
    Published(KD_STUDENT, "300w", "common", 554, 3.56, PAPER),
    Published(KD_STUDENT, "300w", "challenging", 135, 6.13, PAPER),
    Published(KD_STUDENT, "300w", "full", 689, 4.06, PAPER),
    Published(KD_STUDENT, "cofw", "cofw", 507, 4.11, PAPER),
    Published(KD_STUDENT, "wflw", "all", 2500, 8.57, PAPER),
    Published(PAPERS_BASELINE, "300w", "common", 554, 3.93, ASMNET),
    Published(PAPERS_BASELINE, "300w", "challenging", 135, 7.52, ASMNET),
    Published(PAPERS_BASELINE, "300w", "full", 689, 4.70, ASMNET),
    Published(PAPERS_BASELINE, "wflw", "all", 2500, 9.57, ASMNET),
    Published("PFLD", "300w", "common", 554, 3.2911, MEASURED, 3.213, 3.3719),
)


def published(dataset: str, subset: str) -> list[Published]:
    """Return what was published of a subset; of 300-W's Common where nothing was."""
    found = [of for of in PUBLISHED if (of.dataset, of.subset) == (dataset, subset)]
    return found or [of for of in PUBLISHED if (of.dataset, of.subset) == ("300w", "common")]
