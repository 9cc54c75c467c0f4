"""Work done by a few threads while its results come back in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Results that may wait for their turn, per thread: bounds the memory.
# joblib 1.6 does not: its generator works on, with any pre_dispatch, while nobody takes results.
AHEAD = 2


def threaded_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Generator[Result, None, None]:
    """Yield `function(item)` of each item, in order; only a few are worked on ahead.

    Threads are enough for images: OpenCV lets go of the interpreter's lock while it decodes.

    Args:
        workers: number of threads; None takes the number of cores.
    """
    workers = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Whoever stops early (an error, Ctrl-C) does not wait for the rest.
            pool.shutdown(wait=True, cancel_futures=True)
