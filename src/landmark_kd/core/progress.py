"""The progress bar of everything that takes long."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


class ProgressBar(tqdm):
    """tqdm's bar without the thread with which tqdm watches over bars that get slow.

    Also a hidden bar starts that thread, and where memory is short its failure is told in lines
    that help nobody, before the sentence that does. Arguments are tqdm's.
    """

    monitor_interval = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Without the watcher a bar must look at the clock at each step: steps that get slower
        # than the first ones would be shown late.
        super().__init__(*args, **{"miniters": 1, **kwargs})
