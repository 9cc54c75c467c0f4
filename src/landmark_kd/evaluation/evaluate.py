"""Evaluates the networks on the test faces: metrics, intervals, tables."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from landmark_kd.config.params import BoxJitterParams
from landmark_kd.core.errors import UserError
from landmark_kd.evaluation.bootstrap import LEVEL, compare, mean_intervals
from landmark_kd.evaluation.cost import cpu_name, network_cost, network_time
from landmark_kd.evaluation.scores import MEASURES, deciding_sentences, rates, rounded, scores
from landmark_kd.faces.prepared import Faces
from landmark_kd.landmarks import metrics, uncertainty
from landmark_kd.landmarks.missing import mean_present
from landmark_kd.models.network import LandmarkNet, load_network, predict_faces_with_sigma

NETWORKS = ("tough", "tolerant", "baseline", "kd")
# The predictor that knows nothing but the box: the floor for every network.
FLOOR = "mean_shape"

CED_LARGEST_ERROR = 10.0
CED_STEPS = 200

Table = dict[str, dict[str, dict[str, float | int]]]


@dataclass(frozen=True)
class Evaluation:
    """Predictions of all networks, and of the floor, for the test faces.

    Attributes:
        faces: N test faces.
        jitter: shift and scale of the boxes they were predicted in, see `jittered_faces`.
        teacher_size: side of the crops that the teachers saw; the students' is the faces'.
        predictions: (N, K, 2) of each network, pixels of the original images.
        errors: (N,) NME of each network by the data set's normaliser, percent.
        further_errors: {measure: the same by another normaliser}: nme_pupil, the pupils'
            distance, where the landmarks have pupils; nme_box, the root of their box's area.
        sigmas: (N, K) of each network that says how far off it may be, pixels of the images.
        regions: (L,) of each such network, multiples of sigma that are to cover the shares
            `landmarks.uncertainty.LEVELS` of the landmarks.
    """

    faces: Faces
    jitter: BoxJitterParams
    teacher_size: int
    predictions: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    further_errors: dict[str, dict[str, np.ndarray]]
    sigmas: dict[str, np.ndarray]
    regions: dict[str, np.ndarray]

    @classmethod
    def of(
        cls,
        faces: Faces,
        predictions: dict[str, np.ndarray],
        jitter: BoxJitterParams,
        teacher_size: int,
        *,
        sigmas: dict[str, np.ndarray] | None = None,
        regions: dict[str, np.ndarray] | None = None,
    ) -> Evaluation:
        """Measure the errors of predictions; arguments as the attributes.

        Raises:
            ValueError: a face has no extent, or a prediction is not finite (`metrics.nme`).
            UserError: no face has the normaliser's points.
        """
        true, scheme = faces.landmarks, faces.info.scheme

        def errors(normalizer: np.ndarray) -> dict[str, np.ndarray]:
            return {name: metrics.nme(p, true, normalizer) for name, p in predictions.items()}

        further = {"nme_box": errors(metrics.box_size(true))}
        if scheme.pupils is not None:
            further["nme_pupil"] = errors(metrics.interpupil(true, scheme))
        distance = metrics.normalizing_distance(true, scheme)
        if np.isnan(distance).all():
            raise UserError(
                f"none of the {len(true)} test faces has both {scheme.normalizer_name} "
                "(normalizer), so that no error can be measured; choose points that faces have."
            )
        return cls(
            faces,
            jitter,
            teacher_size,
            predictions,
            errors(distance),
            further,
            sigmas or {},
            regions or {},
        )


def load_networks(models: Path, device: torch.device) -> dict[str, LandmarkNet]:
    """Load every network of the pipeline from the folder that holds their folders."""
    return {name: load_network(models / name, device) for name in NETWORKS}


def predict_all(
    train: Faces, tests: Sequence[Faces], networks: Mapping[str, LandmarkNet]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Predict the test faces with every network and with the train faces' mean shape.

    Args:
        tests: the same faces in every size that a network sees, their boxes jittered or not.

    Returns:
        (N, K, 2) of each network, pixels of the original images, and the sigmas (N, K) of those
        that say any, in the same unit.

    Raises:
        UserError: a network sees none of the sizes.
    """
    by_size = {faces.info.crop_size: faces for faces in tests}
    found, sigmas = {}, {}
    for name, net in networks.items():
        test = by_size.get(net.config.size)
        if test is None:
            raise UserError(
                f"the network {name} sees crops of {net.config.size} pixels, but the test faces "
                f"have {' or '.join(map(str, by_size))}; run `dvc repro` to make both anew."
            )
        points, sigma = predict_faces_with_sigma(net, test)
        found[name] = test.to_image(points)
        if net.uncertainty.fitted:
            sigmas[name] = sigma * test.crop_sides()[:, None]
    test = tests[-1]
    mean = mean_present(train.crop_landmarks()[train.train_rows()], axis=0)
    # A landmark that no train face has is nowhere better than in the middle.
    mean = np.nan_to_num(mean)
    found[FLOOR] = test.to_image(np.broadcast_to(mean, test.landmarks.shape))
    return found, sigmas


def metrics_table(evaluation: Evaluation) -> Table:
    """Return {network: {subset: {nme, fr8, fr10, auc8, auc10, …, n, n_published}}}.

    All but the counts are percent, by the data set's normaliser. `nme_pupil` is there where the
    landmarks have pupils; `nme_visible` and `nme_occluded`, the mean errors of all visible and of
    all occluded landmarks, where the data set marks these; `cover50` and `cover90`, the shares of
    landmarks in the regions that are to cover 50 and 90 %, where the network says such.
    `n_measured` is there where not all `n` faces have an error, since the normaliser's points are
    missing; the means are of those.
    `n_published` is there where the data
    set's authors gave a count; numbers of fewer faces cannot be compared with theirs.
    """
    published = evaluation.faces.info.published
    by_visibility = _landmark_errors_by_visibility(evaluation)
    pupil = evaluation.further_errors.get("nme_pupil")
    table: Table = {}
    for name, errors in evaluation.errors.items():
        table[name] = {}
        for subset, rows in evaluation.faces.subset_rows().items():
            found = scores(errors[rows])
            if pupil is not None and not np.isnan(pupil[name][rows]).all():
                found["nme_pupil"] = mean_present(pupil[name][rows])
            for key, of_landmarks in by_visibility[name].items():
                if not np.isnan(of_landmarks[rows]).all():
                    found[key] = np.nanmean(of_landmarks[rows])
            found |= _covered(evaluation, name, rows)
            found["n"] = len(rows)
            if (measured := int((~np.isnan(errors[rows])).sum())) < len(rows):
                found["n_measured"] = measured
            if published.get(subset) is not None:
                found["n_published"] = published[subset]
            table[name][subset] = rounded(found)
    return table


def protocol(evaluation: Evaluation, seed: int) -> dict[str, Any]:
    """Return what the numbers were measured on and how: faces, boxes, normaliser.

    Args:
        seed: of the box jitter.
    """
    info, jitter = evaluation.faces.info, evaluation.jitter
    occluded = evaluation.faces.occluded
    deciding = deciding_faces(evaluation)
    other_size = {"teacher_crop_size": evaluation.teacher_size}
    return {
        "dataset": info.dataset,
        "subsets": {
            name: {"n": len(rows), "n_published": info.published.get(name)}
            for name, rows in evaluation.faces.subset_rows().items()
        },
        "test_faces": faces_fingerprint(evaluation.faces),
        "missing": info.missing,
        **({"deciding_faces": deciding} if deciding else {}),
        "points": info.points,
        **({"missing_landmarks": info.missing_landmarks} if info.missing_landmarks else {}),
        "occluded_landmarks": None if occluded is None else round(float(occluded.mean()), 4),
        "normalizer": info.scheme.normalizer_name,
        "crop_size": info.crop_size,
        **(other_size if evaluation.teacher_size != info.crop_size else {}),
        "margin": info.margin,
        "box": info.box,
        "box_jitter": {"shift": jitter.shift, "scale": jitter.scale, "seed": seed},
    }


def faces_fingerprint(faces: Faces) -> str:
    """Return a hash of which faces these are: names, subsets, validation, hard-landmarks.

    It does not change with the crops' size and margin, so that runs which differ in these are
    known to be of the same faces.
    """
    total = hashlib.sha256(faces.table.to_csv(index=False).encode())
    total.update(np.ascontiguousarray(faces.landmarks).tobytes())
    return total.hexdigest()


def protocol_line(evaluation: Evaluation) -> str:
    """Return box, margin, normaliser and jitter in one line, for tables and diagrams."""
    info, jitter = evaluation.faces.info, evaluation.jitter
    line = f"box: {info.box}, margin {info.margin:g}; normaliser: {info.scheme.normalizer_name}"
    if jitter.shift or jitter.scale:
        line += f"; boxes jittered: shift {jitter.shift:g}, scale {jitter.scale:g}"
    return line


def summary(evaluation: Evaluation, table: Table) -> str:
    """Return `metrics_table`'s result and its protocol as lines to read in a terminal."""
    measured = {key for subsets in table.values() for found in subsets.values() for key in found}
    further = ("nme_pupil", "nme_visible", "nme_occluded")
    keys = [*MEASURES, *(key for key in further if key in measured)]
    heads = [key.removeprefix("nme_") for key in keys]
    lines = [
        protocol_line(evaluation),
        f"{'network':12} {'subset':14} {'n':>12}  " + "".join(f"{head:>10}" for head in heads),
    ]
    for name, subsets in table.items():
        for subset, found in subsets.items():
            counts = str(found["n"])
            if "n_published" in found:
                counts += f" of {found['n_published']}"
            if "n_measured" in found:
                counts = f"{found['n_measured']} of {counts}"
            numbers = "".join(_number(found.get(key)) for key in keys)
            lines.append(f"{name:12} {subset:14} {counts:>12}  {numbers}")
    lines += [f"one face decides: {sentence}" for sentence in deciding_faces(evaluation)]
    return "\n".join(lines)


def _number(value: float | int | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:10.2f}"


def deciding_faces(evaluation: Evaluation) -> list[str]:
    """Return a sentence for each test face that a network's mean error hangs on."""
    faces = evaluation.faces
    distance = metrics.normalizing_distance(faces.landmarks, faces.info.scheme)
    names = faces.table["name"].tolist()
    return deciding_sentences(evaluation.errors, faces.subset_rows(), names, distance)


def intervals(evaluation: Evaluation, *, resamples: int, seed: int) -> dict[str, Any]:
    """Return how sure the metrics are: bootstrap intervals, `kd` against `baseline`, protocol.

    Returns:
        `protocol`: what the numbers were measured on and how; `networks`: {network: {subset:
        {measure: {value, low, high}}}}; `kd_against_baseline`: {subset: {difference, ratio,
        better}}, on the NME of the same faces.
    """
    values = {name: _face_values(evaluation, name) for name in evaluation.errors}
    networks: dict[str, dict[str, Any]] = {name: {} for name in values}
    paired = {}
    for subset, rows in evaluation.faces.subset_rows().items():
        # All networks at once: their resamples are drawn only once.
        columns = {
            (name, key): v[rows]
            for name, of in values.items()
            for key, v in of.items()
            if not np.isnan(v[rows]).all()
        }
        if not columns:  # no face of the subset can be measured
            continue
        found = mean_intervals(columns, resamples=resamples, seed=seed)
        for (name, measure), interval in found.items():
            networks[name].setdefault(subset, {})[measure] = interval
        kd, baseline = (evaluation.errors[name][rows] for name in ("kd", "baseline"))
        measured = ~np.isnan(kd)
        if measured.any():
            kd, baseline = kd[measured], baseline[measured]
            paired[subset] = compare(kd, baseline, resamples=resamples, seed=seed)
    how = protocol(evaluation, seed) | {"seed": seed, "bootstrap": resamples, "level": LEVEL}
    found_all = {"networks": networks, "kd_against_baseline": paired}
    return {"protocol": how, **rounded(found_all)}


def costs(networks: Mapping[str, LandmarkNet]) -> dict[str, dict[str, int]]:
    """Return {network: {parameters, macs}}, as `network_cost` counts them."""
    return {name: network_cost(net) for name, net in networks.items()}


def times(networks: Mapping[str, LandmarkNet]) -> dict[str, Any]:
    """Time every network on this machine's CPU.

    Returns:
        {network: {median, p10, p90}} in milliseconds a face, and `machine`: {cpu, threads}.
    """
    found = {name: network_time(net) for name, net in networks.items()}
    machine = {"cpu": cpu_name(), "threads": torch.get_num_threads()}
    return {**rounded(found), "machine": machine}


def error_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return a row for each test face: name, subsets, and each network's NME (percent)."""
    return pd.concat(
        [evaluation.faces.table[["name", "subsets"]], pd.DataFrame(evaluation.errors)], axis=1
    )


def ced_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return the CED over all test faces: `error` (percent) and each network's share (0 to 1)."""
    errors = np.linspace(0, CED_LARGEST_ERROR, CED_STEPS + 1)
    shares = {name: metrics.ced(e[~np.isnan(e)], errors) for name, e in evaluation.errors.items()}
    return pd.DataFrame({"error": errors, **shares})


def reliability_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return the shares that regions are to cover and do cover: `level`, and each network's."""
    shares = {
        name: uncertainty.coverage(_pixel_errors(evaluation, name), sigma, evaluation.regions[name])
        for name, sigma in evaluation.sigmas.items()
    }
    return pd.DataFrame({"level": uncertainty.LEVELS, **shares})


def per_landmark_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return a row for each landmark: index, name, each network's mean error (percent)."""
    scheme = evaluation.faces.info.scheme
    true = evaluation.faces.landmarks
    distance = metrics.normalizing_distance(true, scheme)
    errors = {
        name: metrics.per_landmark(pred, true, distance)
        for name, pred in evaluation.predictions.items()
    }
    head = {"landmark": np.arange(scheme.points), "name": scheme.names}
    return pd.DataFrame({**head, **errors})


def faces_title(evaluation: Evaluation) -> str:
    """Say in two lines which faces the diagrams show, and by which protocol."""
    faces = evaluation.faces
    parts = ", ".join(
        f"{name} {len(rows)}" + _of_published(len(rows), faces.info.published.get(name))
        for name, rows in faces.subset_rows().items()
    )
    return f"{faces.info.dataset}, test faces: {parts}\n{protocol_line(evaluation)}"


def _landmark_errors_by_visibility(
    evaluation: Evaluation,
) -> dict[str, dict[str, np.ndarray]]:
    """Return {network: {nme_visible, nme_occluded: (N, K)}}, NaN where a landmark is not such."""
    faces = evaluation.faces
    if faces.occluded is None:
        return {name: {} for name in evaluation.errors}
    distance = metrics.normalizing_distance(faces.landmarks, faces.info.scheme)
    errors = {
        name: metrics.landmark_errors(pred, faces.landmarks, distance)
        for name, pred in evaluation.predictions.items()
    }
    return {
        name: {
            "nme_visible": np.where(faces.occluded, np.nan, found),
            "nme_occluded": np.where(faces.occluded, found, np.nan),
        }
        for name, found in errors.items()
    }


def _pixel_errors(evaluation: Evaluation, name: str) -> np.ndarray:
    """Return a network's distances (N, K) from the hard-landmarks, pixels of the images."""
    return np.linalg.norm(evaluation.predictions[name] - evaluation.faces.landmarks, axis=-1)


def _covered(evaluation: Evaluation, name: str, rows: np.ndarray) -> dict[str, float]:
    """Return {cover50, cover90} in percent; nothing of a network that says no uncertainty."""
    if name not in evaluation.sigmas:
        return {}
    errors = _pixel_errors(evaluation, name)
    at = [uncertainty.LEVELS.index(level) for level in uncertainty.SHOWN_LEVELS]
    multiples = evaluation.regions[name][at]
    found = uncertainty.coverage(errors[rows], evaluation.sigmas[name][rows], multiples)
    return {
        f"cover{level:.0%}".removesuffix("%"): 100 * float(share)
        for level, share in zip(uncertainty.SHOWN_LEVELS, found, strict=True)
    }


def _face_values(evaluation: Evaluation, name: str) -> dict[str, np.ndarray]:
    """Return numbers (N,) of each face whose means are a network's measures."""
    errors = evaluation.errors[name]
    further = {measure: found[name] for measure, found in evaluation.further_errors.items()}
    return {"nme": errors, **further, **rates(errors)}


def _of_published(found: int, published: int | None) -> str:
    return f" of {published}" if published is not None and published != found else ""
