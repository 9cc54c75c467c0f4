"""The page of a run: its numbers are those of the reports, its names do no harm, it is small."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.core.errors import UserError
from landmark_kd.evaluation.bootstrap import compare
from landmark_kd.faces.prepared import load_faces
from landmark_kd.html_report.material import load_material
from landmark_kd.html_report.page import LARGEST
from landmark_kd.html_report.provenance import provenance
from landmark_kd.html_report.report import headline, write_report
from landmark_kd.html_report.run import load_run
from tests.conftest import PROJECT
from tests.support.made_up_run import made_up_run, write_page

pytestmark = pytest.mark.seconds

# What a data set may call its images; each would be a mark-up or end a script if it were let.
EVIL = [
    '<img src=x onerror="alert(1)">',
    "</script><script>alert(2)</script>",
    "<!--<script>",
    '"><b>bold</b>',
    "{{ 7 * 7 }}",
    "it's & all",
    "line\u2028separator",
    "Gesicht Ü 顔.jpg",
    "a" * 200,
    "javascript:alert(3)",
    "\\u003c/script>",
    "plain.jpg",
]


class Page(HTMLParser):
    """What of a page a browser would take for elements and their values."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: dict[tuple[str, str, str], str] = {}
        self.headline = ""
        self._subset = self._network = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = {key: value or "" for key, value in attrs}
        self._subset = found.get("data-subset", self._subset)
        self._network = found.get("data-network", self._network)
        if "data-measure" in found:
            self.cells[self._network, self._subset, found["data-measure"]] = found["data-value"]
        if found.get("id") == "kd-nme":
            self.headline = found["data-value"]


def embedded(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    made_up_run(root)
    return root


@pytest.fixture(scope="module")
def page(run_folder: Path) -> str:
    return write_page(run_folder).read_text(encoding="utf-8")


def test_every_number_of_the_tables_is_that_of_metrics_json(run_folder: Path, page: str) -> None:
    metrics = json.loads((run_folder / paths.METRICS).read_text())
    cells = Page(page).cells
    assert {network for network, _, _ in cells} == set(metrics)
    assert {subset for _, subset, _ in cells} == {"common", "challenging", "full"}
    shown = [(key, text) for key, text in cells.items() if text != "None"]
    assert len(shown) >= 5 * 3 * 6
    for (network, subset, measure), text in shown:
        assert float(text) == metrics[network][subset][measure]


def test_the_headline_is_kds_number_on_the_largest_subset(run_folder: Path, page: str) -> None:
    metrics = json.loads((run_folder / paths.METRICS).read_text())
    assert float(Page(page).headline) == metrics["kd"]["full"]["nme"]
    intervals = json.loads((run_folder / paths.EVALUATION_REPORT / "intervals.json").read_text())
    ends = intervals["networks"]["kd"]["full"]["nme"]
    assert f"{ends['low']:.2f} to {ends['high']:.2f}" in page
    found = headline(load_run(run_folder))
    assert (
        found["gains"]["baseline"]["difference"]
        == (intervals["kd_against_baseline"]["full"]["difference"])
    )


def test_a_gain_over_the_control_is_computed_where_the_evaluation_says_none(
    run_folder: Path,
) -> None:
    run = load_run(run_folder)
    run.metrics["control"] = run.metrics["baseline"]
    run.errors["control"] = 1.1 * run.errors["baseline"]
    gain = headline(run)["gains"]["control"]
    expected = compare(
        run.errors["kd"].to_numpy(), run.errors["control"].to_numpy(), resamples=100, seed=1
    )
    assert gain["difference"]["low"] == pytest.approx(expected.difference.low, abs=1e-6)
    assert gain["percent"] == pytest.approx(100 * (1 - expected.ratio.value), abs=1e-3)


def test_names_of_images_are_text_and_nothing_else(tmp_path: Path) -> None:
    made_up_run(tmp_path, names=EVIL)
    text = write_page(tmp_path).read_text(encoding="utf-8")
    assert embedded(text)["faces"]["names"] == EVIL
    parsed = Page(text)
    assert "b" not in set(parsed.tags[parsed.tags.index("footer") :])
    assert parsed.tags.count("script") == 3
    assert "img" not in parsed.tags
    assert "alert(2)</script>" not in text


def test_the_page_may_load_nothing(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert "http" not in policy[1]
    without_data = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.S)
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", without_data)
    assert not re.search(r"url\(\s*[\"']?https?:", without_data)


def test_every_face_has_its_image_and_each_networks_points(run_folder: Path, page: str) -> None:
    data = embedded(page)
    faces = load_faces(run_folder / paths.TEST_FACES)
    assert list(data["shown"]) == [str(row) for row in range(len(faces))]
    entry = data["shown"]["0"]
    assert set(entry) == {"image", "hard", "tough", "tolerant", "baseline", "kd"}
    assert all(len(entry[name]) == 4 * 68 for name in set(entry) - {"image"})


def test_the_worst_faces_are_those_with_the_largest_errors(run_folder: Path, page: str) -> None:
    data = embedded(page)
    errors = load_run(run_folder).errors["kd"].to_numpy()
    assert data["picked"]["worst"][0] == int(errors.argmax())
    assert data["picked"]["best"][0] == int(errors.argmin())


def test_reports_of_other_faces_are_refused_and_the_old_page_stays(tmp_path: Path) -> None:
    made_up_run(tmp_path)
    old = write_page(tmp_path)
    before = old.read_bytes()
    table = tmp_path / paths.EVALUATION_REPORT / "errors.csv"
    table.write_text(table.read_text().replace("face_003", "face_777"))
    with pytest.raises(UserError, match="other faces than data/faces/test"):
        write_page(tmp_path)
    assert old.read_bytes() == before
    assert [path.name for path in old.parent.glob(".*")] == []


def test_metrics_and_intervals_of_two_runs_are_refused(tmp_path: Path) -> None:
    made_up_run(tmp_path)
    path = tmp_path / paths.METRICS
    metrics = json.loads(path.read_text())
    metrics["baseline"]["full"]["nme"] += 0.01
    path.write_text(json.dumps(metrics))
    with pytest.raises(UserError, match="NME of baseline on full"):
        write_page(tmp_path)


def test_many_faces_fit_into_the_page_and_all_have_their_numbers(tmp_path: Path) -> None:
    made_up_run(tmp_path, faces=3000)
    path = write_page(tmp_path)
    assert path.stat().st_size < LARGEST
    data = embedded(path.read_text(encoding="utf-8"))
    assert len(data["faces"]["names"]) == 3000
    shown = np.array(sorted(int(row) for row in data["shown"]))
    assert 300 < len(shown) < 3000
    assert set(data["picked"]["worst"]) <= set(shown.tolist())
    # They are spread over the errors, not the best or worst alone.
    errors = np.array(data["faces"]["errors"]["kd"])
    assert np.median(errors[shown]) == pytest.approx(np.median(errors), rel=0.05)


def test_the_same_run_gives_the_same_page_but_for_the_moment(run_folder: Path) -> None:
    run, kd = load_run(run_folder), load_params(PROJECT / "params.yaml").kd
    material, origin = load_material(kd, run_folder), provenance(run_folder)
    first, second = run_folder / "a.html", run_folder / "b.html"
    write_report(run, material, origin, first)
    write_report(run, material, origin, second)
    assert first.read_bytes() == second.read_bytes()
