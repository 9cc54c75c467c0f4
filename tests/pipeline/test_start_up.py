"""What stages import before they begin: seconds that everybody waits for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import PROJECT

pytestmark = pytest.mark.seconds

LOADED = """
import sys
import stages.{stage}
from landmark_kd.config.params import load_params
load_params()
print(*sorted({{"torch", "torchvision", "timm", "lightning_fabric"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("stage", ["fetch", "prepare", "soft_landmarks"])
def test_a_stage_that_trains_nothing_imports_neither_torch_nor_timm(stage: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOADED.format(stage=stage)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == ""
