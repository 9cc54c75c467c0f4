"""The pipeline's stages, each run as `python -m stages.<name>` from the project's top folder.

`dvc exp run --temp` and `--queue` run in a copy of the project, while an editable install still
points to the original `src/`. Running a module of this package imports this file first, and it
puts the `src/` beside it before everything else, so that a copy runs its own code.
"""

import os
import sys
from pathlib import Path

# Read by OpenMP when torch loads it: threads that wait must not burn the cores that others need.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_OWN_SOURCE = str(Path(__file__).resolve().parents[1] / "src")
if sys.path[0] != _OWN_SOURCE:
    sys.path.insert(0, _OWN_SOURCE)
