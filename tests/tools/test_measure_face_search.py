"""The tool that the constants of the face search rest on: it tells right looks from wrong ones."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from landmark_kd.inference.yunet_file import FILE
from tools import measure_face_search

pytestmark = pytest.mark.seconds


def test_wrong_looks_are_trusted_less_and_turned_faces_are_not_taken_for_upright(
    shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure_face_search, "KINDS", {"as it is": (None, 0.0)})
    yunet = str(shared / "peers" / FILE)
    arguments = [str(shared / "data/300w"), "--yunet", yunet, "--every", "300"]
    monkeypatch.setattr(sys, "argv", ["measure_face_search", *arguments])
    measure_face_search.main()
    said = capsys.readouterr().out
    assert said.startswith("7 of 2012 train faces")
    right, wrong = (
        [float(number) for number in re.findall(rf"{name}((?: +[\d.]+)+)", said)[0].split()]
        for name in ("right", "wrong")
    )
    # Six looks at each of the seven faces.
    assert right[0] + wrong[0] == 42
    assert right[1] > 50 > wrong[1]
    near, far = (
        float(re.findall(rf"moved by {move} of the side +NME x ([\d.]+)", said)[0])
        for move in ("0.05", "0.2")
    )
    assert near < far
    sure = dict(re.findall(r"turned by +(\d+): +[\d.]+ +([\d.]+)", said))
    assert float(sure["0"]) > 50
    assert sure["90"] == sure["180"] == "0.0"
    turns = re.findall(r"(\d+): ([\d.]+), [\d.]+ \([\d.]+\)", said)
    assert [degrees for degrees, _ in turns] == ["0", "60", "90", "180"]
    assert all(float(share) > 80 for _, share in turns)
