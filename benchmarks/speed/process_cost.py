"""Runs a command and writes what it took, as JSON.

    python -m benchmarks.speed.process_cost cost.json COMMAND ...

This is a process of its own that imports little, since Linux counts the memory of the process that
starts a program as the program's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

MEBIBYTE = 2**20
# Unit of ru_maxrss: Linux counts kibibytes, macOS bytes.
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main() -> int:
    """Return the command's exit status.

    Writes its wall-clock seconds, the CPU seconds of all its processes together, and the largest
    memory (MiB) that one of them had.
    """
    out, *command = sys.argv[1:]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    cost = {
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "memory_mib": round(usage.ru_maxrss * MAXRSS_UNIT / MEBIBYTE, 1),
    }
    process.returncode = os.waitstatus_to_exitcode(status)
    Path(out).write_text(json.dumps(cost), encoding="utf-8")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
