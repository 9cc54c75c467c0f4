"""Writes down one trained network of this folder: its test errors, its curve, KD-Loss's regions.

    python -m benchmarks.reproduction.record kd reports/reproduction

Run it in the project's folder after the stage that trained the network. The file is named after
what params.yaml says of the training, so that another run of the same settings and seed takes its
place. `python -m benchmarks.reproduction.report` makes tables and diagrams from all files.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.reproduction.regions import histogram, region_shares
from landmark_kd.config import paths
from landmark_kd.config.params import Params, TrainingParams, load_params
from landmark_kd.core.errors import run_main
from landmark_kd.core.files import write_json
from landmark_kd.evaluation.cost import cpu_name
from landmark_kd.evaluation.curves import validation_curve
from landmark_kd.evaluation.evaluate import NETWORKS
from landmark_kd.evaluation.scores import rounded
from landmark_kd.faces.prepared import Faces, landmarks_file, load_faces
from landmark_kd.landmarks import metrics
from landmark_kd.models.network import LandmarkNet, load_network, predict, predict_faces
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.loader import AugmentedFaces
from landmark_kd.training.tasks import student_seed

# Of errors in percent, and of shares from 0 to 1.
DECIMALS, SHARE_DECIMALS = 3, 6
# Faces whose augmented views lie in memory at a time.
BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("out", type=Path, help="folder to write the file to")
    arguments = parser.parse_args()
    params = load_params()
    torch.set_num_threads(params.base.threads)
    record = recorded(arguments.network, params)
    path = arguments.out / f"{file_name(record)}.json"
    write_json(path, record)
    means = ", ".join(f"{name} {np.mean(e):.3f}" for name, e in record["errors"].items())
    print(f"{path}: {record['row']}, seed {record['seed']}, NME {means}")


def recorded(network: str, params: Params) -> dict[str, Any]:
    """Return what is written down of a network that lies in models/.

    Returns:
        `row`: see `row_name`; `protocol`: the settings that rows of one table share; `seed`;
        `errors`: {subset: NME (n,) of its test faces, percent}; `validation_nme`: of each epoch;
        of a teacher `distances`, of a student `student_errors` and, where teachers have been
        trained, `regions` and the `beta` that they go by (`benchmarks.reproduction.regions`), for
        train faces as they are ("crops") and as the last epoch saw them ("views").

    Raises:
        UserError: the network, its curve or its faces are missing.
    """
    teacher = network in paths.TEACHERS
    net = load_network(paths.MODELS / network)
    test = load_faces(paths.TEACHER_TEST_FACES if teacher else paths.TEST_FACES)
    train = load_faces(paths.TEACHER_TRAIN_FACES if teacher else paths.TRAIN_FACES)
    curve = validation_curve(paths.CURVES / network)["nme"].tolist()
    record = {
        "row": row_name(network, params),
        "protocol": {
            "dataset": train.info.dataset,
            "resolution": train.info.crop_size,
            "train_faces": len(train.train_rows()),
            "teacher": _length(params.teacher),
            "student": _length(params.student),
        },
        "seed": params.base.seed if teacher else student_seed(params),
        "errors": test_errors(net, test),
        "validation_nme": rounded(curve, DECIMALS),
        "machine": {"cpu": cpu_name(), "threads": params.base.threads, "torch": torch.__version__},
    }
    if teacher:
        distances = np.abs(predict_faces(net, train) - train.crop_landmarks())
        rows = {"train": train.train_rows(), "validation": train.validation_rows()}
        found = {name: histogram(distances[of_split]) for name, of_split in rows.items()}
        return record | {"distances": rounded(found, SHARE_DECIMALS)}
    return record | _against_teachers(net, train, params)


def row_name(network: str, params: Params) -> str:
    """Return what tables call a network: all that settings of one protocol may differ in."""
    if network in paths.TEACHERS:
        return f"{network} teacher"
    if network == "baseline":
        return f"no teacher, {params.student.loss.upper()}"
    weights = params.kd.weights
    if not weights.tolerant:
        teachers = "tough teacher alone"
    elif not weights.tough:
        teachers = "tolerant teacher alone"
    else:
        teachers = "both teachers"
    if params.kd.variant == "points":
        return f"points, {teachers}"
    return f"KD-Loss, {params.kd.variant}'s form, {teachers}"


def file_name(record: dict[str, Any]) -> str:
    """Return the name of a record's file, without its ending."""
    protocol = record["protocol"]
    teacher, student = protocol["teacher"], protocol["student"]
    words = (
        f"{protocol['dataset']} {protocol['resolution']}px {teacher['backbone']} "
        f"{student['backbone']} {student['epochs']}e {record['row']} s{record['seed']}"
    )
    return "_".join(words.replace(",", "").replace("'", "").lower().split())


def test_errors(net: LandmarkNet, test: Faces) -> dict[str, list[float]]:
    """Return the NME of each test face in percent of the normaliser, by subset."""
    distance = metrics.normalizing_distance(test.landmarks, test.info.scheme)
    found = metrics.nme(test.to_image(predict_faces(net, test)), test.landmarks, distance)
    return {
        name: rounded(found[rows].tolist(), DECIMALS) for name, rows in test.subset_rows().items()
    }


def _length(settings: TrainingParams) -> dict[str, Any]:
    return {key: getattr(settings, key) for key in ("backbone", "epochs", "batch_size")}


def _against_teachers(net: LandmarkNet, train: Faces, params: Params) -> dict[str, Any]:
    rows = train.train_rows()
    hard = train.crop_landmarks()
    files = {name: paths.TEACHER_PREDICTIONS / f"{name}.npy" for name in paths.TEACHERS}
    teachers = {name: landmarks_file(path, train) for name, path in files.items() if path.exists()}
    targets = np.stack([hard, *teachers.values()], axis=1)
    augmenter = Augmenter(
        params.augment, train.info.crop_size, train.info.border, train.info.scheme.flip
    )
    views = AugmentedFaces(train.images, targets, augmenter, student_seed(params))
    last = params.student.epochs - 1
    of_views = []
    for start in range(0, len(rows), BATCH):
        batch = views.__getitems__([(last, int(row)) for row in rows[start : start + BATCH]])
        seen = predict(net, batch.images.numpy())
        of_views.append(_distances(seen, batch.targets.double().numpy()))
    distances = {
        "crops": _distances(predict_faces(net, train, rows), targets[rows]),
        "views": np.concatenate(of_views, axis=1),
    }
    found: dict[str, Any] = {
        "student_errors": {kind: histogram(values[0]) for kind, values in distances.items()}
    }
    if teachers:
        beta = params.kd.beta
        regions = {
            kind: region_shares(values[0], dict(zip(teachers, values[1:], strict=True)), beta)
            for kind, values in distances.items()
        }
        found |= {"beta": beta, "regions": regions}
    return rounded(found, SHARE_DECIMALS)


def _distances(found: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return |found - hard| and |teacher - hard| for each teacher, (1 + T, N, K, 2)."""
    hard = targets[:, 0]
    return np.abs(np.stack([found, *np.moveaxis(targets[:, 1:], 1, 0)]) - hard)


if __name__ == "__main__":
    run_main(main)
