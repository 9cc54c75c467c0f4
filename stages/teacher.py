"""Train one teacher: `python -m stages.teacher tough` or `… tolerant`.

In: data/faces/teacher_train, data/soft_landmarks. Out: models/<teacher>,
reports/curves/<teacher>.
Params: base, augment, teacher.
"""

import sys

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.config.paths import TEACHERS
from landmark_kd.core.errors import UserError
from landmark_kd.faces.prepared import load_faces
from landmark_kd.training.tasks import teacher_task
from landmark_kd.training.train import train
from stages import run_stage


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in TEACHERS:
        raise UserError(f"name one teacher: python -m stages.teacher {' | '.join(TEACHERS)}")
    name = sys.argv[1]
    params = load_params()
    faces = load_faces(paths.TEACHER_TRAIN_FACES)
    train(
        name,
        faces,
        teacher_task(name, faces, paths.SOFT_LANDMARKS, params.teacher.loss),
        network=params.teacher,
        augment=params.augment,
        base=params.base,
        seed=params.base.seed,
        model_folder=paths.MODELS / name,
        curves_folder=paths.CURVES / name,
    )


if __name__ == "__main__":
    run_stage(main)
