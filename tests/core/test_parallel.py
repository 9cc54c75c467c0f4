from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator

import pytest

from landmark_kd.core.parallel import AHEAD, threaded_map


def test_results_come_in_order_whichever_is_done_first() -> None:
    def slow_when_small(value: int) -> int:
        time.sleep(0.002 * (10 - value))
        return value

    assert list(threaded_map(slow_when_small, range(10), workers=4)) == list(range(10))


def test_several_threads_work_and_only_a_few_results_wait() -> None:
    both = threading.Barrier(2, timeout=10)
    assert len(list(threaded_map(lambda _: both.wait(), range(4), workers=2))) == 4
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(1000):
            taken.append(i)
            yield i

    results = threaded_map(lambda i: i, items(), workers=2)
    assert isinstance(results, Generator)
    next(results)
    assert len(taken) <= 2 * AHEAD + 1
    results.close()
    assert len(taken) < 20


def test_an_error_reaches_the_caller_and_ends_the_work() -> None:
    done: list[int] = []

    def fail_at_three(value: int) -> int:
        if value == 3:
            raise ValueError("three")
        done.append(value)
        return value

    with pytest.raises(ValueError, match="three"):
        list(threaded_map(fail_at_three, range(1000), workers=2))
    assert len(done) < 20
