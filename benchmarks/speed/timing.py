"""Times contestants side by side on a machine whose speed varies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

DECIMALS = 4
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

# Name of a contestant -> clock -> what it did a second, a number a round.
Rates = dict[str, dict[str, np.ndarray]]


def contest(contestants: Mapping[str, Callable[[], int]], rounds: int, seed: int = 0) -> Rates:
    """Let each contestant work for a short block a round, in an order drawn anew each round.

    Whatever else the machine does hits all blocks of a round alike, so that a ratio of two blocks
    of one round says more than a ratio of means. A first round, not counted, warms up.

    Args:
        contestants: functions by name; each does one block and returns how much it did.

    Returns:
        By wall clock, and by this process's own CPU time (all its threads, no other process),
        which other programs hardly touch.
    """
    rng = np.random.default_rng(seed)
    rates: dict[str, dict[str, list[float]]] = {
        name: {clock: [] for clock in CLOCKS} for name in contestants
    }
    for number in range(rounds + 1):
        for name in rng.permutation(list(contestants)).tolist():
            before = {clock: now() for clock, now in CLOCKS.items()}
            done = contestants[name]()
            for clock, now in CLOCKS.items():
                if number:
                    rates[name][clock].append(done / (now() - before[clock]))
    return {
        name: {clock: np.array(values) for clock, values in of_name.items()}
        for name, of_name in rates.items()
    }


def quartiles(rates: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Return median, low and high quartile by clock."""
    return {clock: spread(values) for clock, values in rates.items()}


def ratio(rates: Rates, one: str, other: str) -> dict[str, dict[str, float]]:
    """Return the quartiles, by clock, of one's rate to the other's in the same round."""
    return {clock: spread(rates[one][clock] / rates[other][clock]) for clock in CLOCKS}


def spread(values: np.ndarray) -> dict[str, float]:
    """Return median, low and high quartile."""
    low, median, high = np.percentile(values, [25, 50, 75]).round(DECIMALS).tolist()
    return {"median": median, "low": low, "high": high}


def told(found: Mapping[str, Any]) -> str:
    """Return nested results in one line, without the quartiles of rates."""
    words = []
    for name, value in found.items():
        if not isinstance(value, Mapping):
            words.append(f"{name} {value}")
        elif "median" in value:
            words.append(f"{name} {value['median']:.3f} [{value['low']:.3f}, {value['high']:.3f}]")
        else:
            words.append(f"{name} ({told(value)})")
    return ", ".join(words)
