"""The progress bar shows each step and starts no thread."""

from __future__ import annotations

import io

import pytest
from tqdm import tqdm

from landmark_kd.core.progress import ProgressBar


@pytest.mark.parametrize("disable", [False, True])
def test_a_bar_starts_no_thread(monkeypatch: pytest.MonkeyPatch, disable: bool) -> None:
    monkeypatch.setattr(tqdm, "monitor", None)
    assert list(ProgressBar(range(3), disable=disable, file=io.StringIO())) == [0, 1, 2]
    assert ProgressBar.monitor is None


def test_steps_that_get_slow_are_shown_nevertheless() -> None:
    """tqdm alone would wait for as many steps as were quick before."""
    shown = io.StringIO()
    bar = ProgressBar(total=1002, file=shown, mininterval=0.05)
    bar.update(1000)
    for _ in range(2):
        bar.last_print_t -= 1.0
        bar.update()
    assert "1002/1002" in shown.getvalue()
    bar.close()


def test_what_is_asked_for_is_passed_on() -> None:
    shown = io.StringIO()
    with ProgressBar(total=4, desc="faces", mininterval=0, miniters=10, file=shown) as bar:
        bar.update(4)
        assert "4/4" not in shown.getvalue()
    assert "faces" in shown.getvalue()
