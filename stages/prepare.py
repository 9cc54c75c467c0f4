"""Cuts all faces into crops, in large arrays, and sets validation faces apart.

In: data/raw. Out: data/faces/{train,test}, and data/faces/teacher_{train,test} in the
teachers' size. Params: base, data, prepare, crop.
"""

from landmark_kd import paths
from landmark_kd.errors import run_main
from landmark_kd.params import load_params
from landmark_kd.prepare import prepare


def main() -> None:
    """Prepare the faces that `fetch` brought."""
    params = load_params()
    prepare(
        params.data,
        params.prepare.validation,
        params.crop,
        params.base.seed,
        raw=paths.RAW,
        out=paths.FACES,
    )


if __name__ == "__main__":
    run_main(main)
