"""dvc.yaml against the code: what its stages declare is what they read, import and make."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from landmark_kd.config import paths
from tests.conftest import PROJECT
from tests.support.declared_stages import STAGES, covers, outs, script
from tests.support.pipeline_imports import project_files, read_params

CODE = ("src/", "stages/")
CONFIG = "src/landmark_kd/config/"
MOMENTARY = (paths.TIMES, paths.EXPORT_TIMES, paths.DURATIONS)


def code_deps(name: str) -> set[str]:
    return {dep for dep in STAGES[name]["deps"] if dep.startswith(CODE)}


def imported(name: str) -> set[str]:
    """What a stage imports, but for what DVC follows otherwise, or that holds no code.

    Values of config/ are tracked as params, its paths as outs; packages' own files are empty.
    """
    files = project_files(script(STAGES[name]))
    return {f for f in files if not f.startswith(CONFIG) and not f.endswith("__init__.py")}


@pytest.mark.parametrize("name", STAGES)
def test_every_project_module_that_a_stage_imports_is_in_its_deps(name: str) -> None:
    missing = {f for f in imported(name) if not any(covers(dep, f) for dep in code_deps(name))}
    assert not missing


@pytest.mark.seconds
@pytest.mark.parametrize("name", STAGES)
def test_no_code_is_a_dep_of_a_stage_that_does_not_import_it(name: str) -> None:
    idle = {dep for dep in code_deps(name) if not any(covers(dep, f) for f in imported(name))}
    assert not idle


def test_packages_and_config_hold_nothing_that_a_result_depends_on() -> None:
    """They are in no stage's deps: an edit of them runs nothing."""
    for path in (PROJECT / "src" / "landmark_kd").rglob("__init__.py"):
        body = ast.parse(path.read_text()).body
        assert all(isinstance(node, ast.Expr | ast.Assign) for node in body), path
    for path in (PROJECT / CONFIG).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                decorators = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
                assert "property" not in decorators, f"{path}: {node.name} computes"


def runs_again(changed: str) -> set[str]:
    """Stages that run when a file or parameter changes, if all that they write changes, too."""
    waiting, found = {changed}, set()
    while waiting:
        new = waiting.pop()
        for name, stage in STAGES.items():
            reads = [*stage["deps"], *stage["params"]]
            if name not in found and any(covers(r, new) or new.startswith(r + ".") for r in reads):
                found.add(name)
                waiting |= set(outs(stage))
    return found


def test_a_change_runs_no_training_that_it_has_no_part_in() -> None:
    trainings = {"teacher_tough", "teacher_tolerant", "student_baseline", "student_kd"}
    room = "src/landmark_kd/"
    cases = {
        "asm.variance": {"teacher_tolerant", "student_kd"},
        f"{room}soft_landmarks/shape_model.py": {"teacher_tolerant", "student_kd"},
        f"{room}distillation/losses.py": {"student_kd"},
        f"{room}distillation/unlabelled.py": {"student_kd"},
        f"{room}distillation/teacher_predictions.py": {"student_kd"},
        f"{room}evaluation/evaluate.py": set(),
        f"{room}config/params.py": set(),
        "kd.beta": {"student_kd"},
        "student.epochs": {"student_baseline", "student_kd"},
        "a_section.that_nobody_reads": set(),
    }
    assert {case: runs_again(case) & trainings for case in cases} == cases


@pytest.mark.parametrize("name", STAGES)
def test_every_parameter_that_a_stage_reads_is_declared(name: str) -> None:
    declared = STAGES[name]["params"]
    # What is read through a function or a whole section, and what of it counts.
    spelled_out = {
        "student_seed": ["base.seed", "student.seed"],
        "base": ["base.device", "base.deterministic", "base.threads"],
        "data": ["data.name"],
    }
    for read in read_params(script(STAGES[name])):
        for value in spelled_out.get(read, [read]):
            covered = any(value == d or value.startswith(d + ".") for d in declared)
            assert covered, f"{name} reads {value}"


@pytest.mark.parametrize("name", STAGES)
def test_no_declared_section_has_a_key_that_the_run_cache_takes_no_notice_of(name: str) -> None:
    """DVC leaves out such keys at any depth: another value would bring back the old outputs."""

    def keys(content: Any) -> set[str]:
        if not isinstance(content, dict):
            return set()
        return set(content).union(*map(keys, content.values()))

    for declared in STAGES[name].get("params", []):
        content = yaml.safe_load((PROJECT / "params.yaml").read_text())
        for key in declared.split("."):
            content = content[key]
        assert not keys(content) & {"size", "nfiles"}, declared


def test_every_path_that_the_code_names_is_an_out_or_holds_outs() -> None:
    declared = {out for stage in STAGES.values() for out in outs(stage)}
    for name, value in vars(paths).items():
        # Times are of a machine and a moment, and kept by nobody.
        if isinstance(value, Path) and value not in MOMENTARY:
            path = value.as_posix()
            related = (
                o == path or o.startswith(path + "/") or path.startswith(o) for o in declared
            )
            assert any(related), name
