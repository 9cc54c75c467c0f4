"""Evaluates an exported network on the faces of a data set on disk; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from landmark_kd.core.boxes import BoxName
from landmark_kd.core.errors import UserError
from landmark_kd.core.parallel import threaded_map
from landmark_kd.core.progress import ProgressBar
from landmark_kd.data.datasets.base import (
    BadFaces,
    Dataset,
    FaceRecord,
    Split,
    check_landmarks,
    rows_by_image,
)
from landmark_kd.evaluation.box_jitter import jitter_boxes
from landmark_kd.imaging.face_detector import SAME_FACE
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.metadata import ModelInfo
from landmark_kd.landmarks import geometry, metrics
from landmark_kd.landmarks.geometry import overlap
from landmark_kd.landmarks.scheme import SCHEMES, LandmarkScheme, convert

# Landmarks (K, 2), None where the detector did not find the face, or why the face is broken.
Prediction = np.ndarray | UserError | None


@dataclass(frozen=True)
class BoxJitter:
    """How much known boxes are moved and scaled; see `box_jitter.jitter_boxes`."""

    shift: float = 0.0
    scale: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class OnnxEvaluation:
    """Errors of an exported network on the faces of one split.

    Attributes:
        info: what the network says of itself.
        dataset: the data set of the faces.
        split: train or test.
        scheme: the scheme that errors are measured in, the network's.
        box: where the faces' boxes come from.
        jitter: how these boxes were moved and scaled.
        faces: N good faces.
        true: (N, K, 2) their landmarks in `scheme`, pixels of the images; NaN where missing.
        pred: (N, K, 2) the predicted ones; NaN where the detector did not find the face.
        errors: (N,) NME in percent; infinite where the detector did not find the face, NaN where
            it cannot be measured since the normaliser's points are missing.
        left_out: a sentence for each broken face, which is not among `faces`.
    """

    info: ModelInfo
    dataset: Dataset
    split: Split
    scheme: LandmarkScheme
    box: BoxName
    jitter: BoxJitter
    faces: list[FaceRecord]
    true: np.ndarray
    pred: np.ndarray
    errors: np.ndarray
    left_out: list[str]


def evaluate_onnx(
    detector: LandmarkDetector,
    dataset: Dataset,
    folder: Path,
    *,
    split: Split,
    box: BoxName | None,
    jitter: BoxJitter,
) -> OnnxEvaluation:
    """Predict the landmarks of all faces of a split and measure the errors.

    A network of 68 points is evaluated on 98-point faces by turning these into 68 points.

    Args:
        folder: where the data set lies.
        box: landmarks: the bounding box of the face's landmarks in the network's scheme; dataset:
            the box that the set brings; detector: faces are looked for as `landmark-kd predict`
            does, and the one that overlaps the landmarks' box most, by SAME_FACE at least, is
            taken. None takes what the network was trained on.
        jitter: of known boxes. A face draws by its place among the split's faces as they are read.

    Raises:
        UserError: network and faces are of different schemes, the boxes asked for are not to be
            had, jitter is asked for where the detector finds the boxes, or no face of the split
            is good.
    """
    scheme = _common_scheme(detector.info, dataset)
    source = _box_source(detector.info, dataset, box)
    if source == "detector" and (jitter.shift or jitter.scale):
        raise UserError(
            "--shift and --scale move boxes that are known, but with --box detector they are "
            "found in each image; leave them out or take another --box."
        )
    bad = BadFaces("skip")
    records = [r for r in dataset.read(folder, bad) if r.split == split]
    if records:
        true = convert(np.stack([r.landmarks for r in records]), dataset.scheme, scheme)
        boxes = None if source == "detector" else _boxes(records, true, source)
        if boxes is not None:
            boxes = jitter_boxes(boxes, jitter.shift, jitter.scale, jitter.seed)
        predictions = _predict(_Run(detector, dataset.scheme, records, true, boxes))
        for record, prediction in zip(records, predictions, strict=True):
            if isinstance(prediction, UserError):
                bad.add(record.part, prediction)
        good = [i for i, p in enumerate(predictions) if not isinstance(p, UserError)]
    left_out = bad.sentences(split)
    if not records or not good:
        why = f": all are broken, the first because {left_out[0]}" if left_out else "."
        raise UserError(f"{folder} has no good {split} face of {dataset.name}{why}")
    found = np.array([predictions[i] is not None for i in good])
    pred = np.full_like(true[good], np.nan)
    for row in np.flatnonzero(found):
        pred[row] = cast(np.ndarray, predictions[good[row]])
    return OnnxEvaluation(
        info=detector.info,
        dataset=dataset,
        split=split,
        scheme=scheme,
        box=source,
        jitter=jitter,
        faces=[records[i] for i in good],
        true=true[good],
        pred=pred,
        errors=_errors(pred, true[good], found, scheme),
        left_out=left_out,
    )


@dataclass(frozen=True)
class _Run:
    """Predicts the faces of an image; several threads may do so at once.

    Attributes:
        given: the scheme of the records' landmarks.
        true: (N, K, 2) landmarks of the records in the network's scheme.
        boxes: (N, 4) of the records, None where the detector is to find them.
    """

    detector: LandmarkDetector
    given: LandmarkScheme
    records: Sequence[FaceRecord]
    true: np.ndarray
    boxes: np.ndarray | None

    def __call__(self, rows: list[int]) -> dict[int, Prediction]:
        """Predict the faces `rows`, all of one image."""
        try:
            image = self.records[rows[0]].image.read()
        except UserError as error:
            return dict.fromkeys(rows, error)
        height, width = image.shape[:2]
        found: dict[int, Prediction] = {}
        for row in rows:
            try:
                check_landmarks(self.records[row], self.given, width=width, height=height)
            except UserError as error:
                found[row] = error
        good = [row for row in rows if row not in found]
        if self.boxes is None:
            return {**found, **self._looked_for(image, good)}
        faces = self.detector.detect(image, self.boxes[good])
        return {**found, **{row: f.landmarks for row, f in zip(good, faces, strict=True)}}

    def _looked_for(self, image: np.ndarray, rows: list[int]) -> dict[int, Prediction]:
        faces = self.detector.detect(image) if rows else []
        if not faces:
            return dict.fromkeys(rows)
        boxes = np.stack([face.box for face in faces])
        found: dict[int, Prediction] = {}
        for row in rows:
            overlaps = overlap(boxes, geometry.landmarks_box(self.true[row]))
            best = int(overlaps.argmax())
            found[row] = faces[best].landmarks if overlaps[best] >= SAME_FACE else None
        return found


def _predict(run: _Run) -> list[Prediction]:
    """Return the prediction of each record; each image is read once."""
    predictions: dict[int, Prediction] = {}
    with ProgressBar(
        total=len(run.records), desc="predicting", unit="face", disable=None
    ) as progress:
        for of_image in threaded_map(run, rows_by_image(run.records)):
            predictions.update(of_image)
            progress.update(len(of_image))
    return [predictions[row] for row in range(len(run.records))]


def _errors(
    pred: np.ndarray, true: np.ndarray, found: np.ndarray, scheme: LandmarkScheme
) -> np.ndarray:
    """Return the NME of each face (N,), percent; infinite where it was not found."""
    errors = np.full(len(true), np.inf)
    distance = metrics.normalizing_distance(true, scheme)
    if np.isnan(distance).all():
        raise UserError(
            f"none of the {len(true)} faces has both {scheme.normalizer_name}, in whose distance "
            "errors are measured (normalizer)."
        )
    if found.any():
        errors[found] = metrics.nme(pred[found], true[found], distance[found])
    # Whether it was found or not, a face without the unit has no error.
    return np.where(np.isnan(distance), np.nan, errors)


def _boxes(records: Sequence[FaceRecord], true: np.ndarray, source: BoxName) -> np.ndarray:
    """Return the faces' known boxes (N, 4)."""
    if source == "landmarks":
        return geometry.landmarks_box(true)
    without = next((record.name for record in records if record.box is None), None)
    if without is not None:
        raise UserError(f"--box is dataset, but {without} has no box; take --box landmarks.")
    return np.stack([cast(np.ndarray, record.box) for record in records])


def _common_scheme(info: ModelInfo, dataset: Dataset) -> LandmarkScheme:
    """Return the network's scheme, into which the data set's landmarks can be turned."""
    given = dataset.scheme
    if info.points == given.points:
        if list(info.flip) != given.flip.tolist():
            raise UserError(
                f"the model and {dataset.name} both have {info.points} landmarks, but mirror them "
                "differently: they number them by different schemes; take a model that was "
                "trained on faces of this one."
            )
        return given
    scheme = SCHEMES.get(info.points)
    if scheme is not None and list(info.flip) == scheme.flip.tolist():
        try:
            convert(np.zeros((given.points, 2)), given, scheme)
            return scheme
        except UserError:  # said below with the names of both
            pass
    raise UserError(
        f"the model, trained on {info.dataset}, has {info.points} landmarks, but {dataset.name} "
        f"has {given.points}; only WFLW's 98 can be turned into 300-W's 68, so take a model of "
        f"{given.points} landmarks."
    )


def _box_source(info: ModelInfo, dataset: Dataset, box: BoxName | None) -> BoxName:
    source = box or info.box
    if source == "dataset" and not dataset.boxes:
        chosen = "--box is dataset" if box else "the model was trained on a data set's own boxes"
        raise UserError(
            f"{chosen}, but {dataset.name} brings none; take --box landmarks or --box detector."
        )
    if source == "detector" and not info.knows_detectors:
        raise UserError(
            f"the model was trained on the boxes of {info.dataset}, and it is not known where "
            "these lie in a detector's; take --box dataset or --box landmarks."
        )
    return cast(BoxName, source)
