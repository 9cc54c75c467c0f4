"""The pipeline's stages, each run as `python -m stages.<name>` from the project's top folder.

`dvc exp run --temp` and `--queue` run in a copy of the project, while an editable install still
points to the original `src/`. Running a module of this package imports this file first, and it
puts the `src/` beside it before everything else, so that a copy runs its own code.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

# Read by OpenMP when torch loads it: threads that wait must not burn the cores that others need.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_OWN_SOURCE = str(Path(__file__).resolve().parents[1] / "src")
if sys.path[0] != _OWN_SOURCE:
    sys.path.insert(0, _OWN_SOURCE)


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main` as `core.errors.run_main` does, and note how long it took.

    The note is a file in reports/durations, which the page shows. No result depends on it, so
    neither git nor DVC keeps it, and a stage that failed leaves the one of before.
    """
    from landmark_kd.config import paths
    from landmark_kd.core.errors import run_main
    from landmark_kd.core.files import write_json

    def timed() -> None:
        start = time.monotonic()
        main()
        name = "_".join([Path(sys.argv[0]).stem, *sys.argv[1:]])
        took = {
            "seconds": round(time.monotonic() - start, 1),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with suppress(OSError):
            write_json(paths.DURATIONS / f"{name}.json", took)

    run_main(timed)
