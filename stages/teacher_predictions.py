"""Predict train faces and unlabelled ones with both teachers, once for all student runs.

In: data/faces/teacher_train, data/faces/teacher_unlabelled, models/tough, models/tolerant.
Out: data/teacher_predictions. Params: base.
"""

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.distillation.teacher_predictions import write_predictions
from landmark_kd.faces.prepared import load_faces
from landmark_kd.models.device import setup
from stages import run_stage


def main() -> None:
    params = load_params()
    device = setup(params.base)
    write_predictions(
        load_faces(paths.TEACHER_TRAIN_FACES),
        load_faces(paths.TEACHER_UNLABELLED_FACES),
        paths.MODELS,
        paths.TEACHER_PREDICTIONS,
        device,
    )


if __name__ == "__main__":
    run_stage(main)
