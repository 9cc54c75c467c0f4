"""Train the student without teachers: the yardstick of distillation.

In: data/faces/train. Out: models/baseline, reports/curves/baseline.
Params: base, augment, student.
"""

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.faces.prepared import load_faces
from landmark_kd.training.tasks import regression_task, student_seed
from landmark_kd.training.train import train
from stages import run_stage


def main() -> None:
    params = load_params()
    faces = load_faces(paths.TRAIN_FACES)
    train(
        "baseline",
        faces,
        regression_task(faces.crop_landmarks(), params.student.loss),
        network=params.student,
        augment=params.augment,
        base=params.base,
        seed=student_seed(params),
        model_folder=paths.MODELS / "baseline",
        curves_folder=paths.CURVES / "baseline",
    )


if __name__ == "__main__":
    run_stage(main)
