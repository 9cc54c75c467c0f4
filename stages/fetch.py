"""Brings the data set into the project.

In: data.path, where the set is not made here. Out: data/raw. Params: base, data, synthetic.
"""

from landmark_kd import paths
from landmark_kd.errors import run_main
from landmark_kd.fetch import fetch
from landmark_kd.params import load_params


def main() -> None:
    """Fetch the data set that params.yaml names."""
    params = load_params()
    fetch(params.data, params.synthetic, params.base.seed, paths.RAW)


if __name__ == "__main__":
    run_main(main)
