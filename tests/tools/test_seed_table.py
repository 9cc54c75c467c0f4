"""The table over seeds: means, the paired comparison, and its refusal of other faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from landmark_kd.core.errors import UserError
from tools.seed_table import markdown, read_experiment, summarise


def run_of(seed: int, kd_shift: float, faces: int = 40) -> dict[str, Any]:
    """An experiment whose kd errors are the baseline's plus a shift."""
    baseline = np.random.default_rng(seed).uniform(3, 5, faces)
    errors = pd.DataFrame(
        {
            "name": [f"face_{i}" for i in range(faces)],
            "subsets": "common|full",
            "tough": 2.0,
            "tolerant": 3.0,
            "baseline": baseline,
            "kd": baseline + kd_shift,
            "mean_shape": 9.0,
        }
    )
    networks = ("tough", "tolerant", "baseline", "kd", "mean_shape")
    further = {"nme_pupil": 6.0 + seed, "nme_occluded": 8.0}
    metrics = {name: {"common": further, "full": {"nme_pupil": 6.0}} for name in networks}
    return {"name": f"run-{seed}", "seed": seed, "errors": errors, "metrics": metrics}


def test_the_comparison_is_paired_within_each_seed_and_over_their_means() -> None:
    part = summarise([run_of(1, -0.5), run_of(2, 0.1)])["subsets"]["common"]
    found = part["kd_against_baseline"]
    # A constant difference on every face has an interval of no width, though errors vary.
    assert found["seed_1"]["difference"] == {"value": -0.5, "low": -0.5, "high": -0.5}
    assert found["seed_2"]["difference"] == {"value": 0.1, "low": 0.1, "high": 0.1}
    assert found["mean_of_seeds"]["difference"]["value"] == pytest.approx(-0.2)
    assert found["seed_1"]["better"]["value"] == 1
    assert found["seed_2"]["better"]["value"] == 0


def test_each_network_has_its_mean_over_seeds_and_its_rates() -> None:
    runs = [run_of(1, 0.0), run_of(2, 0.0)]
    part = summarise(runs)["subsets"]["common"]
    means = [run["errors"]["baseline"].mean() for run in runs]
    baseline = part["networks"]["baseline"]
    assert part["n"] == 40
    assert baseline["nme_of_seeds"] == pytest.approx(means, abs=1e-4)
    assert baseline["nme"]["value"] == pytest.approx(np.mean(means), abs=1e-4)
    assert part["networks"]["mean_shape"]["fr8"] == 100
    assert part["networks"]["mean_shape"]["auc10"] == pytest.approx(10)


def test_the_markdown_names_every_network_and_seed() -> None:
    text = markdown(summarise([run_of(1, 0.0), run_of(2, 0.0)]))
    for name in ("tough", "tolerant", "baseline", "kd", "mean_shape", "seed 1", "mean of seeds"):
        assert f"| {name} |" in text


def test_a_face_counts_in_each_of_its_subsets() -> None:
    parts = summarise([run_of(1, 0.0), run_of(2, 0.0)])["subsets"]
    assert {name: part["n"] for name, part in parts.items()} == {"common": 40, "full": 40}


def test_measures_that_a_subset_has_besides_are_means_over_the_seeds() -> None:
    results = summarise([run_of(1, 0.0), run_of(2, 0.0)])
    kd = results["subsets"]["common"]["networks"]["kd"]
    assert kd["nme_pupil"] == pytest.approx(7.5)
    assert kd["nme_occluded"] == pytest.approx(8.0)
    common, full = markdown(results).split("full, n = 40")
    assert "NME, pupils | NME, occluded |" in common
    assert "NME, occluded" not in full


def test_experiments_on_other_faces_are_refused() -> None:
    with pytest.raises(UserError, match="have other test faces"):
        summarise([run_of(1, 0.0), run_of(2, 0.0, faces=30)])


@pytest.mark.seconds
def test_a_folder_in_which_the_stages_ran_is_read_as_an_experiment(tmp_path: Path) -> None:
    run = run_of(3, 0.1)
    folder = tmp_path / "run-3"
    (folder / "reports/evaluation").mkdir(parents=True)
    (folder / "params.yaml").write_text("base: {seed: 1}\nstudent: {seed: 3}\n")
    (folder / "reports/metrics.json").write_text(json.dumps(run["metrics"]))
    with pytest.raises(UserError, match="cannot be read"):
        read_experiment(str(folder))
    run["errors"].to_csv(folder / "reports/evaluation/errors.csv", index=False)
    found = read_experiment(str(folder))
    assert summarise([found]) == summarise([run])
