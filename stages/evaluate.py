"""Measure all networks on the test faces, and report.

In: data/faces/{train,test,teacher_test}, models/{tough,tolerant,baseline,kd}, reports/curves/*.
Out: reports/metrics.json, reports/training.json, reports/cost.json, reports/evaluation,
reports/kd_loss; beside them, and of this machine alone, reports/times.json.
Params: base, kd, evaluate.
"""

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.core.files import write_json
from landmark_kd.distillation.losses import distillation_loss
from landmark_kd.evaluation.box_jitter import jittered_faces
from landmark_kd.evaluation.curves import best_epochs, validation_curves
from landmark_kd.evaluation.evaluate import (
    Evaluation,
    costs,
    intervals,
    load_networks,
    metrics_table,
    predict_all,
    summary,
    times,
)
from landmark_kd.evaluation.report import write_evaluation_report, write_kd_loss_report
from landmark_kd.faces.prepared import load_faces
from landmark_kd.models.device import setup
from stages import run_stage


def main() -> None:
    params = load_params()
    device = setup(params.base)
    curves = validation_curves(paths.CURVES)
    train, test = load_faces(paths.TRAIN_FACES), load_faces(paths.TEST_FACES)
    teacher_test = load_faces(paths.TEACHER_TEST_FACES)
    jitter, seed = params.evaluate.box_jitter, params.base.seed
    # Of one size alone where the teachers see what the students see.
    sizes = {faces.info.crop_size: faces for faces in (teacher_test, test)}
    seen = [jittered_faces(faces, jitter, seed) for faces in sizes.values()]
    networks = load_networks(paths.MODELS, device)
    predictions, sigmas = predict_all(train, seen, networks)
    evaluation = Evaluation.of(
        test,
        predictions,
        jitter,
        teacher_test.info.crop_size,
        sigmas=sigmas,
        regions={name: networks[name].uncertainty.multiples() for name in sigmas},
    )
    table = metrics_table(evaluation)
    write_json(paths.METRICS, table)
    write_json(paths.TRAINING_METRICS, best_epochs(curves))
    write_json(paths.COST, costs(networks))
    write_json(paths.TIMES, times(networks))
    scores = intervals(evaluation, resamples=params.evaluate.bootstrap, seed=seed)
    write_evaluation_report(evaluation, scores, curves, paths.EVALUATION_REPORT)
    write_kd_loss_report(distillation_loss(params.kd), paths.KD_LOSS_REPORT)
    print(summary(evaluation, table))


if __name__ == "__main__":
    run_stage(main)
