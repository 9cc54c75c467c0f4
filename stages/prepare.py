"""Cuts all faces into crops, in large arrays, and sets validation faces apart.

In: data/raw. Out: data/faces/{train,test,unlabelled}, and data/faces/teacher_{the same} in the
teachers' size. Params: base, data, prepare, crop, unlabelled.
"""

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.data.preparation.prepare import prepare
from stages import run_stage


def main() -> None:
    """Prepare the faces that `fetch` brought."""
    params = load_params()
    prepare(
        params.data,
        params.prepare.validation,
        params.crop,
        params.base.seed,
        unlabelled_box=params.unlabelled.box,
        unlabelled_limit=params.unlabelled.limit,
        raw=paths.RAW,
        out=paths.FACES,
    )


if __name__ == "__main__":
    run_stage(main)
