"""Brings the data set into the project, and the unlabelled faces.

In: data.path, where the set is not made here; unlabelled.path. Out: data/raw.
Params: base, data, synthetic, unlabelled.
"""

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.data.fetching.fetch import fetch
from stages import run_stage


def main() -> None:
    """Fetch what params.yaml names."""
    params = load_params()
    fetch(
        params.data,
        params.synthetic,
        params.base.seed,
        unlabelled=params.unlabelled.path,
        unlabelled_box=params.unlabelled.box,
        out=paths.RAW,
    )


if __name__ == "__main__":
    run_stage(main)
