"""Run many short trainings side by side on one machine, such as a GPU lent for minutes.

    python tools/trials.py reports/accurate/trials.txt --jobs 16 --work /dev/shm/trials \
        --out found --seconds 530 --common "data.name=300w data.path=$FACES crop.size=144 …"

`dvc exp run --queue` needs DVC, a cache and some seconds for each run; this needs neither. A line
of the file is `name | what | needs | parameters`:

    what: tough | tolerant | baseline | kd, the network to train
    needs: for kd, the lines that train its teachers: tough=NAME tolerant=NAME. A network without a
        folder of its own is taken from the tough one's. Any other word=NAME waits for that line
    parameters: as `dvc exp run -S` takes them, beside those of --common; $NAME stands for an
        environment variable

Each line runs the project's stages in a folder of its own under --work; faces are prepared once for
all lines that see the same. Lines start in their order as soon as what they need is there, and end
with the time. --out gets results.csv, a row a line, and logs.tgz; networks stay in --work.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from landmark_kd.errors import UserError, run_main

ROOT = Path(__file__).resolve().parents[1]
# What faces and soft-landmarks depend on.
FACES_SECTIONS = ("data", "synthetic", "prepare", "crop", "unlabelled")
STAGES = {
    "tough": ("teacher tough",),
    "tolerant": ("teacher tolerant",),
    "baseline": ("student_baseline",),
    "kd": ("teacher_predictions", "student_kd"),
}
TEACHERS = ("tough", "tolerant")
POLL_SECONDS = 0.3
REPORT_SECONDS = 20.0


@dataclass
class Trial:
    """A line of the file and how it goes."""

    name: str
    what: str
    needs: dict[str, str]
    overrides: list[str]
    params: dict[str, Any]
    state: str = "waits"  # runs, done, failed, cut
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    seconds: float = 0.0
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def faces(self) -> str:
        """Folder of its faces, the same for all trials that see the same."""
        return f"faces-{_digest([self.params[s] for s in FACES_SECTIONS], self._seed)}"

    @property
    def soft(self) -> str:
        """Folder of its soft-landmarks."""
        return f"soft-{_digest(self.faces, self.params['asm'])}"

    @property
    def _seed(self) -> int:
        return self.params["base"]["seed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--jobs", type=int, required=True, help="trainings at a time")
    parser.add_argument("--work", type=Path, required=True, help="folder to train in, new")
    parser.add_argument("--out", type=Path, required=True, help="folder for results.csv, logs.tgz")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="then all is cut off")
    parser.add_argument("--common", default="", help="parameters of all lines")
    arguments = parser.parse_args()
    common = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    common = overridden(common, arguments.common.split())
    trials = read_trials(arguments.file, common)
    arguments.out.mkdir(parents=True, exist_ok=True)
    work = arguments.work.resolve()
    try:
        work.mkdir(parents=True)
    except FileExistsError:
        raise UserError(f"{work} is there already; name a folder that is not.") from None
    run(trials, work, arguments.out, arguments.jobs, arguments.seconds)
    with tarfile.open(arguments.out / "logs.tgz", "w:gz") as archive:
        for path in sorted([*work.glob("*/log"), *work.glob("*/reports/curves")]):
            archive.add(path, path.relative_to(work))


def read_trials(path: Path, common: dict[str, Any]) -> list[Trial]:
    """Read the lines of a file; those that are empty or begin with # are left out.

    Raises:
        UserError: a line is not understood, or needs what no earlier line trains.
    """
    trials: dict[str, Trial] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 4 or parts[1] not in STAGES:
            raise UserError(
                f"{where}: expected `name | {' or '.join(STAGES)} | needs | parameters`."
            )
        name, what, needs, own = parts
        own = os.path.expandvars(own)
        needed = dict(word.split("=", 1) for word in needs.split())
        for other in needed.values():
            if other not in trials:
                raise UserError(f"{where}: no earlier line is named {other}.")
        if what == "kd" and "tough" not in needed:
            raise UserError(f"{where}: kd needs the line of its tough teacher, tough=NAME.")
        if name in trials:
            raise UserError(f"{where}: another line is named {name}, too; choose another name.")
        try:
            params = overridden(common, own.split())
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        trials[name] = Trial(name, what, needed, own.split(), params)
    return list(trials.values())


def overridden(params: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Return a copy of parameters with `section.key=value` put in.

    Raises:
        UserError: there is no such key.
    """
    changed: dict[str, Any] = json.loads(json.dumps(params))
    for override in overrides:
        path, _, value = override.partition("=")
        *sections, key = path.split(".")
        at: Any = changed
        for section in sections:
            at = at.get(section) if isinstance(at, dict) else None
        if not isinstance(at, dict) or key not in at:
            raise UserError(f"params.yaml has no {path}; take one of its keys.")
        at[key] = yaml.safe_load(value)
    return changed


def run(trials: list[Trial], work: Path, out: Path, jobs: int, seconds: float) -> None:
    """Run all trials, as far as time allows; write results.csv after each."""
    began = said = time.monotonic()
    by_name = {trial.name: trial for trial in trials}
    preparing: dict[str, subprocess.Popen[bytes]] = {}
    while True:
        running = [trial for trial in trials if trial.state == "runs"]
        for trial in running:
            assert trial.process is not None
            if trial.process.poll() is not None:
                trial.state = "failed" if trial.process.returncode else "done"
                finish(trial, work)
                print(f"{trial.state} {trial.name} {trial.metrics.get('best_val_nme', '')}")
                write_results(trials, out)
        running = [trial for trial in running if trial.state == "runs"]
        waiting = [trial for trial in trials if trial.state == "waits"]
        if not running and not waiting:
            return
        if time.monotonic() - began > seconds:
            for process in [*preparing.values(), *(t.process for t in running if t.process)]:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
            for trial in running:
                trial.state = "cut"
                finish(trial, work)
            write_results(trials, out)
            return
        for trial in waiting:
            if trial.soft not in preparing:
                preparing[trial.soft] = prepare(trial, work)
            prepared = preparing[trial.soft].poll()
            needed = [by_name[name].state for name in trial.needs.values()]
            if prepared or "failed" in needed:
                trial.state = "failed"
            elif prepared == 0 and set(needed) <= {"done"} and len(running) < jobs:
                start(trial, work)
                running.append(trial)
        if time.monotonic() - said > REPORT_SECONDS:
            said = time.monotonic()
            print(f"{said - began:.0f} s: {len(running)} run, {len(waiting)} wait", flush=True)
        time.sleep(POLL_SECONDS)


def prepare(trial: Trial, work: Path) -> subprocess.Popen[bytes]:
    """Start to fetch and prepare the faces, once for all who see them, and the soft-landmarks."""
    for name in (trial.faces, trial.soft):
        if not (work / name).is_dir():
            _lay_out(work / name, trial.params)
    (work / trial.soft / "data/faces").symlink_to(work / trial.faces / "data/faces")
    command = (
        f"cd {work / trial.faces} && flock lock sh -c "
        f"'[ -e done ] || ({_stage('fetch')} && {_stage('prepare')} && touch done)' && "
        f"cd {work / trial.soft} && {_stage('soft_landmarks')}"
    )
    return _started(command, work / trial.soft, work)


def start(trial: Trial, work: Path) -> None:
    """Start the stages of a trial in its own folder."""
    folder = work / trial.name
    _lay_out(folder, trial.params)
    (folder / "models").mkdir()
    (folder / "data/faces").symlink_to(work / trial.faces / "data/faces")
    (folder / "data/soft_landmarks").symlink_to(work / trial.soft / "data/soft_landmarks")
    if trial.what == "kd":
        for teacher in TEACHERS:
            source = work / trial.needs.get(teacher, trial.needs["tough"]) / "models"
            (folder / "models" / teacher).symlink_to(next(source.iterdir()))
    command = " && ".join(_stage(stage) for stage in STAGES[trial.what])
    trial.process = _started(command, folder, work)
    trial.started = time.monotonic()
    trial.state = "runs"


def finish(trial: Trial, work: Path) -> None:
    """Take a trial's time and what it measured."""
    trial.seconds = round(time.monotonic() - trial.started, 1)
    path = work / trial.name / "reports/curves" / trial.what / "metrics.json"
    if path.is_file():
        trial.metrics = json.loads(path.read_text(encoding="utf-8"))


def write_results(trials: list[Trial], out: Path) -> None:
    """Write a row for each trial that has started."""
    with open(out / "results.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["name", "what", "state", "best_val_nme", "best_epoch", "seconds", "needs", "params"]
        )
        for trial in trials:
            if trial.started:
                best = [trial.metrics.get(key, "") for key in ("best_val_nme", "best_epoch")]
                needs = " ".join(f"{key}={name}" for key, name in trial.needs.items())
                own = " ".join(trial.overrides)
                writer.writerow(
                    [trial.name, trial.what, trial.state, *best, trial.seconds, needs, own]
                )


def _lay_out(folder: Path, params: dict[str, Any]) -> None:
    (folder / "data").mkdir(parents=True)
    for name in ("stages", "src"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def _stage(name: str) -> str:
    return f"{sys.executable} -m stages.{name}"


def _started(command: str, folder: Path, work: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, so that all of it can be ended at once."""
    environment = os.environ | {"LANDMARK_KD_SCRATCH": str(work / "scratch")}
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )


def _digest(*values: Any) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


if __name__ == "__main__":
    run_main(main)
