"""dvc.yaml against the code: what its stages declare is what they read, import and make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from landmark_kd import paths
from landmark_kd.params import CropParams, SyntheticParams
from tests.conftest import PROJECT
from tests.declared_stages import STAGES, outs
from tests.pipeline_imports import project_files, read_params


@pytest.mark.parametrize("name", STAGES)
def test_every_project_module_that_a_stage_imports_is_in_its_deps(name: str) -> None:
    declared = {dep for dep in STAGES[name]["deps"] if dep.startswith(("src/", "stages/"))}
    assets = {dep for dep in declared if dep.startswith("src/landmark_kd/assets/")}
    assert declared - assets == project_files(PROJECT / "stages" / f"{name}.py")


@pytest.mark.parametrize("name", STAGES)
def test_every_parameter_that_a_stage_reads_is_declared(name: str) -> None:
    declared = STAGES[name]["params"]
    # What is read through a property or a whole section, and what of it counts.
    spelled_out = {
        "student_seed": ["base.seed", "student.seed"],
        "base": ["base.device", "base.deterministic", "base.threads"],
        "data": ["data.name"],
        "crop": [f"crop.{key}" for key in CropParams.model_fields],
        "synthetic": [f"synthetic.{key}" for key in SyntheticParams.model_fields],
    }
    for read in read_params(PROJECT / "stages" / f"{name}.py"):
        for value in spelled_out.get(read, [read]):
            covered = any(value == d or value.startswith(d + ".") for d in declared)
            assert covered, f"{name} reads {value}"


@pytest.mark.parametrize("name", STAGES)
def test_no_declared_section_has_a_key_that_the_run_cache_takes_no_notice_of(name: str) -> None:
    """DVC leaves out such keys at any depth: another crop.size would bring back the old faces."""

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
        if isinstance(value, Path):
            path = value.as_posix()
            related = (
                o == path or o.startswith(path + "/") or path.startswith(o) for o in declared
            )
            assert any(related), name
