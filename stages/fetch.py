"""Brings the data set into the project, and the unlabelled faces.

In: data.path, where the set is not made here; unlabelled.path. Out: data/raw.
Params: base, data, synthetic, unlabelled.
"""

from landmark_kd import paths
from landmark_kd.errors import run_main
from landmark_kd.fetch import fetch
from landmark_kd.params import load_params


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
    run_main(main)
