"""The pipeline's stages, each run as `python -m stages.<name>` from the project's top folder.

`dvc exp run --temp` and `--queue` run in a copy of the project, while an editable install still
points to the original `src/`. Running a module of this package imports this file first, and it
puts the `src/` beside it before everything else, so that a copy runs its own code.
"""

import sys
from pathlib import Path

_OWN_SOURCE = str(Path(__file__).resolve().parents[1] / "src")
if sys.path[0] != _OWN_SOURCE:
    sys.path.insert(0, _OWN_SOURCE)
