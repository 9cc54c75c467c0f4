"""Faces and their landmarks in images, from an exported ONNX file and without torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from landmark_kd import __version__
from landmark_kd.core.errors import UserError
from landmark_kd.inference.arguments import checked_boxes, checked_image, checked_rolls
from landmark_kd.inference.face import Face
from landmark_kd.inference.face_detector import FaceDetector, make_detector
from landmark_kd.inference.network import ExportedNetwork, Predictions
from landmark_kd.inference.shipped import DEFAULT, names_file
from landmark_kd.inference.turned_boxes import moved, turned_back, wrapped
from landmark_kd.landmarks import geometry

# The first prediction's box replaces the detector's where its side is within this factor of it;
# beyond, the prediction has gone wrong and would lead the second one astray.
LARGEST_REFINEMENT = 1.5
# Radians of tilt up to which a face in a given box is left as it is.
TILTED = np.radians(15)
# Length of the sum of all lines between mirrored landmarks, as a share of the sum of their lengths:
# 0.64 of random points, and 0.98 and more of 99 in 100 of 300-W's faces.
PARALLEL = 0.8
# Turns of a face whose tilt the detector says: it may have taken it for one the other way round.
QUARTERS = np.array([np.pi, np.pi / 2, -np.pi / 2])
# A face that the detector is as sure of is no reason to turn the image, even if the network does
# not trust it: of 300-W train images turned by 90 degrees more than half have no such face, and of
# upright ones all but 5 in 100.
SURELY_THERE = 0.85
# A face that is trusted less may be tilted otherwise; and where no face has as high a score, there
# may be one in the image turned.
TRUSTED = 0.5
# A turn is taken where its landmarks are trusted as much: turns are tried of faces that the network
# does not know well, and one crop in a hundred that is turned wrongly is trusted by chance, while
# 19 in 20 of the faces that lie right have more.
SURELY_TURNED = 0.9


class LandmarkDetector(ExportedNetwork):
    """Finds faces and their landmarks; made by `LandmarkDetector.load()`.

    It can be copied, pickled and sent to another process, also a spawned one: the copy opens the
    same network again, a file from where it lies, with as many threads.

    Attributes:
        info: what the ONNX file says about itself: point names, contours, data set, licence, …
        source: which network it is: the path it was loaded from, or a shipped one's name.
    """

    def __init__(
        self,
        model: Path | bytes | str,
        source: str,
        threads: int | None,
        wanted: tuple[str, str | Path | None],
    ) -> None:
        super().__init__(model, source, threads)
        self._wanted = wanted
        self._faces: FaceDetector | None = None
        # What is asked for by name is to be there; `auto` is looked for when faces are.
        if wanted[0] != "auto" or wanted[1] is not None:
            self._faces = make_detector(*wanted)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"wanted": self._wanted, "faces": self._faces}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._wanted, self._faces = state["wanted"], state["faces"]

    @classmethod
    def load(
        cls,
        path_or_name: str | Path | None = None,
        *,
        threads: int | None = None,
        face_detector: str = "auto",
        face_detector_model: str | Path | None = None,
    ) -> LandmarkDetector:
        """Open a network that comes with the package, or an ONNX file of the `export` stage.

        Args:
            path_or_name: `accurate` or another network of `inference.shipped.shipped_names`, or
                such a file: a text that ends in .onnx or has a separator of folders in it, or a
                Path. None is `accurate`. What lies in the working folder makes no difference.
            threads: CPU threads of one prediction; None leaves their number to onnxruntime.
            face_detector: auto, yunet or haar, see `inference.face_detector.make_detector`.
            face_detector_model: file of YuNet; None looks for it in the user's cache.

        Raises:
            UserError: there is none of that name; the file is missing, no ONNX file, not one of
                landmark-kd, or does not fit what it says of itself.
        """
        wanted = face_detector, face_detector_model
        model = DEFAULT if path_or_name is None else path_or_name
        if isinstance(model, str) and not names_file(model):
            return cls(model, f"{model}, shipped with landmark-kd {__version__}", threads, wanted)
        path = Path(model)
        if path.is_dir():
            held = sorted(path.glob("*.onnx")) or [path / "landmarks.onnx"]
            raise UserError(
                f"the model {path} is a folder; give the ONNX file itself, as {held[0]}."
            )
        # Absolute, so that a copy finds it from another working folder.
        return cls(path.absolute(), str(path), threads, wanted)

    @classmethod
    def from_bytes(
        cls, content: bytes, source: str, *, threads: int | None = None
    ) -> LandmarkDetector:
        """Open an ONNX file that is in memory; `source` names it, else as `load`."""
        return cls(content, source, threads, ("auto", None))

    def detect(
        self,
        image: np.ndarray,
        boxes: np.ndarray | None = None,
        rolls: np.ndarray | None = None,
        *,
        min_face: float | None = None,
        turn: bool = True,
    ) -> list[Face]:
        """Return the faces of an image; none is an empty list.

        Without `boxes` faces are looked for. A network that was trained on the landmarks' boxes
        predicts in the detector's once, and once more in the upright box of that first prediction,
        which lies closer.

        Boxes that are given are taken as they are, but for heads that are tilted: where the first
        landmarks lie tilted by more than TILTED, the face is looked at once more in the landmarks'
        upright box, and that is taken if the network trusts it no less. Landmarks tell the tilt up
        to about 45 degrees; `rolls` say any, and then nothing of that is done.

        Args:
            image: (H, W, 3) uint8 BGR as OpenCV reads it, or (H, W) uint8 grey.
            boxes: (M, 4) x0, y0, x1, y1 around the landmarks (68 points: brows to chin), in
                pixels of `image`; a face is returned for each, in this order.
            rolls: (M,) degrees by which the boxes are turned about their centres, see `Face.roll`.
            min_face: height in pixels of the smallest face to look for; None leaves it to the face
                detector. Without `boxes` only.
            turn: where no face is sure look for one in the image turned by 90, 180 and 270
                degrees. Without `boxes` only.

        Raises:
            ValueError: `image`, `boxes` or `rolls` is not as said, or the model was trained on a
                data set's boxes, whose place around the landmarks is not known, and `boxes` is
                None.
            UserError: the network cannot be run.
        """
        (faces,) = self.detect_batch(
            [image],
            None if boxes is None else [boxes],
            None if rolls is None else [rolls],
            min_face=min_face,
            turn=turn,
        )
        return faces

    def detect_batch(
        self,
        images: Sequence[np.ndarray],
        boxes: Sequence[np.ndarray] | None = None,
        rolls: Sequence[np.ndarray] | None = None,
        *,
        min_face: float | None = None,
        turn: bool = True,
    ) -> list[list[Face]]:
        """Return the faces of each of several images, as `detect` does.

        The network runs on the faces of all images at once, so the landmarks are those of `detect`
        but for the last bits, which the size of a batch changes. All images are in memory.

        Args:
            images: each as `detect` takes it; they may differ in size.
            boxes, rolls: of each image, or None; see `detect`.
            min_face, turn: see `detect`.

        Raises:
            ValueError, UserError: see `detect`.
        """
        images = [checked_image(image) for image in images]
        if boxes is not None:
            given = [checked_boxes(of_image) for of_image in boxes]
            counts = [len(of_image) for of_image in given]
            turned = [None] * len(given) if rolls is None else rolls
            if not len(images) == len(given) == len(turned):
                raise ValueError(
                    f"there are {len(images)} images, {len(given)} arrays of boxes and "
                    f"{len(turned)} of rolls; give one of each for an image"
                )
            found = np.concatenate([np.empty((0, 4)), *given])
            angles = np.concatenate(
                [np.empty(0), *(checked_rolls(*pair) for pair in zip(turned, counts, strict=True))]
            )
            seen = _repeated(images, counts)
            predicted = self.predict(seen, found, angles)
            if rolls is None and self.info.box == "landmarks":
                found, angles, predicted = self._straightened(seen, found, predicted)
            faces = _faces(found, angles, np.ones(len(found)), predicted)
            return _split(faces, counts)
        if self.info.box == "dataset" and self.info.box_in_haar is None:
            raise ValueError(
                f"the model was trained on the boxes of {self.info.dataset}; give boxes"
            )
        if not images:
            return []
        results = self._found(images, 0, min_face)
        best = [faces for faces, _ in results]
        for i, image in enumerate(images):
            sure = results[i][1]
            for quarters in range(1, 4 if turn else 1):
                if _surest(best[i]) >= TRUSTED or sure >= SURELY_THERE:
                    break
                ((faces, sure),) = self._found([image], quarters, min_face)
                best[i] = max(best[i], faces, key=_surest)
        return best

    def upright_boxes(self, faces: Sequence[Face]) -> tuple[np.ndarray, np.ndarray]:
        """Return where to look for faces in a next frame, from their landmarks.

        Returns:
            boxes: (M, 4) around the landmarks, upright as the heads are.
            rolls: (M,) degrees by which they are turned, as `detect` takes them.
        """
        boxes = np.array([face.box for face in faces], dtype=np.float64).reshape(-1, 4)
        rolls = np.radians([face.roll for face in faces])
        landmarks = np.array([face.landmarks for face in faces])
        # Those of a face that is followed are trusted, else it is looked for anew.
        boxes, rolls = self._refined(boxes, rolls, landmarks, np.ones(len(faces), bool))
        return boxes, np.degrees(rolls)

    @property
    def face_detector(self) -> FaceDetector:
        """The face detector, made when it is asked for."""
        if self._faces is None:
            self._faces = make_detector(*self._wanted)
        return self._faces

    def _found(
        self, images: Sequence[np.ndarray], quarters: int, min_face: float | None
    ) -> list[tuple[list[Face], float]]:
        """Return the faces of images turned by so many quarters, and the detector's best score.

        The score is 0 where there is no face.
        """
        found = [
            self.face_detector.find(
                np.ascontiguousarray(np.rot90(image, -quarters)) if quarters else image, min_face
            )
            for image in images
        ]
        counts = [len(of_image.boxes) for of_image in found]
        back = [
            turned_back(of_image, quarters, image.shape)
            for of_image, image in zip(found, images, strict=True)
        ]
        boxes = np.concatenate([of_image[0] for of_image in back])
        rolls = np.concatenate([of_image[1] for of_image in back])
        if self.info.box_in_haar is not None:
            boxes = moved(boxes, rolls, self.info.box_in_haar)
        seen = _repeated(images, counts)
        predicted = self.predict(seen, boxes, rolls)
        if self.info.box == "landmarks" and len(boxes):
            rolls, landmarks, trusted = self._best_turned(seen, boxes, rolls, predicted)
            boxes, rolls = self._refined(boxes, rolls, landmarks, trusted)
            predicted = self.predict(seen, boxes, rolls)
        scores = [of_image.scores for of_image in found]
        faces = _split(_faces(boxes, rolls, np.concatenate(scores), predicted), counts)
        surest = [float(of_image.max(initial=0)) for of_image in scores]
        return list(zip(faces, surest, strict=True))

    def _best_turned(
        self,
        images: Sequence[np.ndarray],
        boxes: np.ndarray,
        rolls: np.ndarray,
        first: Predictions,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Turn the boxes of faces that are not trusted, where a turn is.

        A face that is trusted in no turn is one that the network does not know well, such as a
        blurred one, and no turn is better than another.

        Returns:
            rolls (M,), landmarks (M, K, 2) and whether the face is trusted (M,).
        """
        rolls, landmarks, trusted = rolls.copy(), first.landmarks.copy(), first.trust >= TRUSTED
        for i in np.flatnonzero(~trusted):
            angles = rolls[i] + QUARTERS
            seen = [images[int(i)]] * len(angles)
            turned = self.predict(seen, np.repeat(boxes[[i]], len(angles), axis=0), angles)
            best = int(turned.trust.argmax())
            if turned.trust[best] >= SURELY_TURNED:
                rolls[i], landmarks[i], trusted[i] = angles[best], turned.landmarks[best], True
        return rolls, landmarks, trusted

    def _refined(
        self, boxes: np.ndarray, rolls: np.ndarray, landmarks: np.ndarray, trusted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the upright boxes (M, 4) of landmarks and their rolls (M,), in radians.

        Boxes and rolls stay as they are where those of the landmarks cannot be right; rolls where
        the landmarks are not trusted (M,).
        """
        boxes, rolls = boxes.copy(), rolls.copy()
        for i, points in enumerate(landmarks):
            # As they lie in the crop.
            lying = geometry.turned(points, -rolls[i])
            roll = rolls[i] + (self._roll(lying) if trusted[i] else 0.0)
            upright = geometry.turned(points, -roll)
            tight = geometry.landmarks_box(upright)
            centre = geometry.turned((tight[:2] + tight[2:]) / 2, roll)
            half = (tight[2:] - tight[:2]) / 2
            change = half.max() / (boxes[i, 2:] - boxes[i, :2]).max() * 2
            if 1 / LARGEST_REFINEMENT < change < LARGEST_REFINEMENT:
                boxes[i], rolls[i] = np.concatenate([centre - half, centre + half]), roll
        return boxes, rolls

    def _roll(self, landmarks: np.ndarray) -> float:
        """Return the tilt (radians, clockwise) of landmarks (K, 2) that lie roughly upright.

        It is the direction of all lines from a landmark to the one that mirrors it.
        """
        flip = np.asarray(self.info.flip)
        across = landmarks[flip] - landmarks
        # Each pair is there twice, in both directions: the one to the right counts.
        across = across[across[:, 0] > 0]
        x, y = across.sum(axis=0)
        # On a face they are parallel; where they are not the prediction is no face.
        if not np.hypot(x, y) > PARALLEL * np.linalg.norm(across, axis=1).sum():
            return 0.0
        return float(np.arctan2(y, x))

    def _straightened(
        self, images: Sequence[np.ndarray], boxes: np.ndarray, first: Predictions
    ) -> tuple[np.ndarray, np.ndarray, Predictions]:
        """Look once more at those of the faces in given boxes whose heads are tilted."""
        sure = np.ones(len(boxes), bool)
        closer, angles = self._refined(boxes, np.zeros(len(boxes)), first.landmarks, sure)
        rolls = np.zeros(len(boxes))
        tilted = np.flatnonzero(np.abs(wrapped(angles)) > TILTED)
        if not len(tilted):
            return boxes, rolls, first
        again = self.predict([images[int(i)] for i in tilted], closer[tilted], angles[tilted])
        # A network that says no uncertainty trusts all alike.
        kept = again.trust >= first.trust[tilted] * (1 - 1e-9)
        into, taken = tilted[kept], np.flatnonzero(kept)
        boxes = boxes.copy()
        boxes[into], rolls[into] = closer[into], angles[into]
        landmarks, trust = first.landmarks.copy(), first.trust.copy()
        landmarks[into], trust[into] = again.landmarks[taken], again.trust[taken]
        sigma = first.sigma
        if sigma is not None and again.sigma is not None:
            sigma = sigma.copy()
            sigma[into] = again.sigma[taken]
        return boxes, rolls, Predictions(landmarks, sigma, trust)


def _faces(
    boxes: np.ndarray, rolls: np.ndarray, scores: np.ndarray, predicted: Predictions
) -> list[Face]:
    return [
        Face(
            boxes[i],
            predicted.landmarks[i],
            float(scores[i] * predicted.trust[i]),
            None if predicted.sigma is None else predicted.sigma[i],
            float(np.degrees(wrapped(rolls[i]))),
        )
        for i in range(len(boxes))
    ]


def _repeated(images: Sequence[np.ndarray], counts: Sequence[int]) -> list[np.ndarray]:
    """Return the image of each face, of images with so many faces each."""
    return [image for image, count in zip(images, counts, strict=True) for _ in range(count)]


def _split(faces: list[Face], counts: Sequence[int]) -> list[list[Face]]:
    """Return the faces of each image, of faces one image after the other."""
    ends = np.cumsum([0, *counts])
    return [faces[start:end] for start, end in pairwise(ends.tolist())]


def _surest(faces: list[Face]) -> float:
    """Return the highest score of faces; below that of any face where there is none."""
    return max((face.score for face in faces), default=-1.0)
