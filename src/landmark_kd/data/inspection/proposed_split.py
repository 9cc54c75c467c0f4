"""What the columns of annotations suggest for the split: the author's own, people, or images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from landmark_kd.data.datasets.custom.annotations import in_short
from landmark_kd.data.datasets.custom.split import Use, uses_of

TEST_SHARE = 0.2
# Columns that commonly say whose face it is, the most telling first.
PERSON_COLUMNS = ("person", "subject", "identity", "individual", "name", "actor", "id", "video")
# Fewer groups than these, of a column with another name, are too few for a fair choice.
ENOUGH_GROUPS = 5
# Columns of which the values are listed.
COLUMNS_LISTED = 6
_YES, _NO = {"1", "true", "yes", "t", "y"}, {"0", "false", "no", "f", "n"}


@dataclass(frozen=True)
class ProposedSplit:
    """How to tell test and validation faces, as in landmark-kd.yaml, and why."""

    column: str | None
    test: float | list[str]
    validation: list[str] | None
    note: str


def propose_split(columns: Mapping[str, Sequence[str]]) -> ProposedSplit:
    """Propose how to tell test faces: as a column says, by people, or by images.

    Args:
        columns: the values, face by face, of what the faces could be split by.
    """
    proposed = _authors_split(columns) or _by_people(columns)
    others = {
        name: values
        for name, values in columns.items()
        if name != proposed.column and len(set(values)) > 1
    }
    if not others:
        return proposed
    listed = [
        f"{name} ({len(set(values))} values: {in_short(sorted(set(values) - {''}), 4)})"
        for name, values in others.items()
    ]
    note = f"{proposed.note} One could split by {in_short(listed, COLUMNS_LISTED, longest=120)}."
    return ProposedSplit(proposed.column, proposed.test, proposed.validation, note)


def _authors_split(columns: Mapping[str, Sequence[str]]) -> ProposedSplit | None:
    """Return the split that a column or the folders say in words, where one does."""
    found: list[tuple[str, dict[str, Use]]] = []
    for name, values in columns.items():
        uses = uses_of(sorted(set(values))) or _yes_or_no(name, set(values))
        unknown = set(values) - set(uses) - {""}
        if len(set(uses.values())) > 1 and "train" in uses.values() and len(unknown) <= len(uses):
            found.append((name, uses))
    if not found:
        return None
    # All three rather than two of them.
    name, uses = max(found, key=lambda one: len(set(one[1].values())))
    counts = Counter(columns[name])
    saying: dict[Use, list[str]] = {"train": [], "validation": [], "test": []}
    for value in filter(None, counts):
        saying[uses.get(value, "train")].append(value)
    said = ", ".join(
        f"{sum(counts[value] for value in said_so)} for {use} ({in_short(said_so)})"
        for use, said_so in saying.items()
        if said_so
    )
    note = f"{name} says {said}."
    if guessed := [value for value in counts if value and value not in uses]:
        note += f" That {in_short(guessed)} means train is a guess."
    if not saying["test"]:
        note += (
            f" No value says test, so {100 * TEST_SHARE:g} % of the train faces are drawn; or make "
            f"the validation faces the test faces: test: [{', '.join(saying['validation'])}], "
            "validation: null."
        )
    elif not saying["validation"]:
        note += " Validation faces are drawn from the train faces (prepare.validation)."
    return ProposedSplit(name, saying["test"] or TEST_SHARE, saying["validation"] or None, note)


def _yes_or_no(name: str, values: set[str]) -> dict[str, Use]:
    """Return what the two values of a column such as is_test say."""
    use = uses_of([name]).get(name)
    yes = next((value for value in values if value.casefold() in _YES), None)
    no = next((value for value in values if value.casefold() in _NO), None)
    if use is None or yes is None or no is None or len(values) != 2:
        return {}
    return {yes: use, no: "test" if use == "train" else "train"}


def _by_people(columns: Mapping[str, Sequence[str]]) -> ProposedSplit:
    """Return a drawn split, by people where a column tells them."""
    usable = {
        name: groups
        for name, values in columns.items()
        if "" not in values and 2 <= len(groups := set(values)) < len(values)
    }
    chosen = [name for wanted in PERSON_COLUMNS for name in usable if name.lower() == wanted]
    chosen += [
        name
        for name, groups in usable.items()
        if len(groups) >= ENOUGH_GROUPS and not all(map(_is_number, groups))
    ]
    if chosen:
        note = f"{chosen[0]} has {len(usable[chosen[0]])} values, taken for people."
        return ProposedSplit(chosen[0], TEST_SHARE, None, note)
    note = "where people are in several images, say which column tells them."
    return ProposedSplit(None, TEST_SHARE, None, note)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
