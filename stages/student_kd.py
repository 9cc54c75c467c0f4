"""Train the student with KD-Loss, with the budget, seed and first weights of the baseline.

In: data/faces/train, data/faces/unlabelled, data/teacher_predictions, models/tough,
models/tolerant. Out: models/kd, reports/curves/kd.
Params: base, augment, student, kd, unlabelled.
"""

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.distillation.task import kd_task
from landmark_kd.faces.prepared import load_faces
from landmark_kd.training.tasks import student_seed
from landmark_kd.training.train import train
from stages import run_stage


def main() -> None:
    params = load_params()
    faces, task = kd_task(
        params.kd,
        load_faces(paths.TRAIN_FACES),
        load_faces(paths.UNLABELLED_FACES),
        keep=params.unlabelled.keep,
        predictions=paths.TEACHER_PREDICTIONS,
        models=paths.MODELS,
    )
    train(
        "kd",
        faces,
        task,
        network=params.student,
        augment=params.augment,
        base=params.base,
        seed=student_seed(params),
        model_folder=paths.MODELS / "kd",
        curves_folder=paths.CURVES / "kd",
    )


if __name__ == "__main__":
    run_stage(main)
