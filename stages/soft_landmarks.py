"""Make the tolerant teacher's soft-landmarks with a shape model of the train faces.

In: data/faces/teacher_train. Out: data/soft_landmarks, reports/asm, reports/soft_landmarks.json.
Params: asm.
"""

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.faces.prepared import load_faces
from landmark_kd.soft_landmarks.soften import write_soft_landmarks
from stages import run_stage


def main() -> None:
    params = load_params()
    write_soft_landmarks(
        load_faces(paths.TEACHER_TRAIN_FACES),
        params.asm,
        out=paths.SOFT_LANDMARKS,
        report=paths.ASM_REPORT,
        scores=paths.SOFT_LANDMARK_METRICS,
    )


if __name__ == "__main__":
    run_stage(main)
