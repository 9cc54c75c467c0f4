"""Faces and their landmarks in images, from an exported ONNX file and without torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from landmark_kd import __version__
from landmark_kd.core.errors import UserError
from landmark_kd.imaging.face_detector import SAME_FACE
from landmark_kd.inference.arguments import checked_boxes, checked_image, checked_rolls
from landmark_kd.inference.boxes import around, centre_half
from landmark_kd.inference.face import Face
from landmark_kd.inference.face_detector import FaceDetector, FoundFaces, make_detector
from landmark_kd.inference.looks import Looks, apart
from landmark_kd.inference.network import ExportedNetwork
from landmark_kd.inference.shipped import DEFAULT, names_file
from landmark_kd.inference.turned_boxes import moved, place, turned_back, wrapped
from landmark_kd.landmarks import geometry

# What the following rest on is printed by `python -m tools.measure_face_search 300W --yunet FILE
# --every 16`: numbers of 126 of 300-W's train faces, from which the shipped network has learnt.

# The landmarks' box replaces the one that they were predicted in where its side is within this
# factor of it; beyond, the prediction has gone wrong and would lead the next one astray.
LARGEST_REFINEMENT = 1.5
# Radians of tilt up to which a face in a given box is left as it is.
TILTED = np.radians(15)
# Length of the sum of all lines between mirrored landmarks, as a share of the sum of their lengths:
# 0.66 of random points, and 0.99 and more of 99 in 100 of 300-W's train faces (2012).
PARALLEL = 0.8
# A face that is trusted less may be tilted otherwise than its first look supposed. Of 2825 looks
# that were wrong one was trusted as much, of right ones 86 % (40 pixels high: 77 %, 24: 45 %).
SURELY_TRUSTED = 0.99
# The landmarks of a face that is trusted less tell neither box nor tilt; and where no face has as
# high a score, there may be one in the image turned.
TRUSTED = 0.5
# A face that the detector is as sure of is no reason to turn the image, even if the network does
# not trust it: of 300-W train images turned by 90 degrees more than half have no such face, and of
# upright ones all but 5 in 100.
SURELY_THERE = 0.85
# By how many quarters an image is turned clockwise then.
QUARTERS = (1, 2, 3)


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
            self._faces = make_detector(*wanted, threads)

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
        known: np.ndarray | None = None,
    ) -> list[Face]:
        """Return the faces of an image; none is an empty list.

        Without `boxes` faces are looked for. The network looks at each in the face detector's box;
        where it does not trust what it sees, once more as a closer look of the face detector says;
        and, if it was trained on the landmarks' boxes, in the upright box of its landmarks where
        that lies elsewhere.

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
            known: (M, 4) boxes around the landmarks of faces that are not looked for, since they
                are known. Without `boxes` only.

        Raises:
            ValueError: `image`, `boxes`, `rolls` or `known` is not as said, or the model was
                trained on a data set's boxes, whose place around the landmarks is not known, and
                `boxes` is None.
            UserError: the network cannot be run.
        """
        (faces,) = self.detect_batch(
            [image],
            None if boxes is None else [boxes],
            None if rolls is None else [rolls],
            min_face=min_face,
            turn=turn,
            known=None if known is None else [known],
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
        known: Sequence[np.ndarray] | None = None,
    ) -> list[list[Face]]:
        """Return the faces of each of several images, as `detect` does.

        The network runs on the faces of all images at once, `network.MOST_AT_ONCE` in a run, so the
        landmarks are those of `detect` but for the last bits, which the size of a batch changes.
        All images are in memory.

        Args:
            images: each as `detect` takes it; they may differ in size.
            boxes, rolls, known: of each image, or None; see `detect`.
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
            looks = self._looked_at(seen, found, angles)
            if rolls is None and self.info.box == "landmarks":
                looks = self._straightened(seen, looks)
            return _split(looks.faces(np.ones(len(found))), counts)
        if not self.info.knows_detectors:
            raise ValueError(
                f"the model was trained on the boxes of {self.info.dataset}; give boxes"
            )
        left_out = [np.empty((0, 4))] * len(images)
        if known is not None:
            left_out = [checked_boxes(of_image) for of_image in known]
            if len(left_out) != len(images):
                raise ValueError(
                    f"there are {len(images)} images and {len(left_out)} arrays of known boxes; "
                    "give one for an image"
                )
        best, sure = self._found(images, left_out, 0, min_face)
        for quarters in QUARTERS if turn else ():
            unsure = [
                i
                for i in range(len(images))
                if _surest(best[i]) < TRUSTED and sure[i] < SURELY_THERE
            ]
            again = self._found(
                [images[i] for i in unsure], [left_out[i] for i in unsure], quarters, min_face
            )
            for i, faces, score in zip(unsure, *again, strict=True):
                best[i], sure[i] = max(best[i], faces, key=_surest), score
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
        boxes, rolls = self._refined(boxes, rolls, landmarks)
        return boxes, np.degrees(rolls)

    @property
    def face_detector(self) -> FaceDetector:
        """The face detector, made when it is asked for."""
        if self._faces is None:
            self._faces = make_detector(*self._wanted, self._opened[2])
        return self._faces

    def _found(
        self,
        images: Sequence[np.ndarray],
        known: Sequence[np.ndarray],
        quarters: int,
        min_face: float | None,
    ) -> tuple[list[list[Face]], list[float]]:
        """Return the faces of images turned by so many quarters, and the detector's best scores.

        The score is 0 where there is no face.
        """
        if not images:
            return [], []
        detector = self.face_detector
        found = []
        for image, boxes in zip(images, known, strict=True):
            turned = np.ascontiguousarray(np.rot90(image, -quarters)) if quarters else image
            of_image = turned_back(detector.find(turned, min_face), quarters, image.shape)
            if len(boxes):
                overlaps = np.array([geometry.overlap(of_image.seen, box) for box in boxes])
                of_image = of_image.at(np.flatnonzero(overlaps.max(axis=0) < SAME_FACE))
            found.append(of_image)
        counts = [len(of_image.boxes) for of_image in found]
        seen = _repeated(images, counts)
        looks = self._looked_at(seen, *self._boxes_of(found))
        looks = self._turned(images, found, looks)
        looks = self._looked_closer(seen, looks)
        scores = [of_image.scores for of_image in found]
        faces = _split(looks.faces(np.concatenate(scores)), counts)
        return faces, [float(of_image.max(initial=0)) for of_image in scores]

    def _boxes_of(self, found: Sequence[FoundFaces]) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes (M, 4), as the network knows them, and rolls (M,) of all faces found."""
        boxes = np.concatenate([of_image.boxes for of_image in found])
        rolls = np.concatenate([of_image.rolls for of_image in found])
        info = self.info
        wanted = place(self.face_detector.name, info.box_in_haar, info.box_in_yunet)
        return boxes if wanted is None else moved(boxes, rolls, wanted), rolls

    def _turned(
        self, images: Sequence[np.ndarray], found: Sequence[FoundFaces], looks: Looks
    ) -> Looks:
        """Let the face detector look closer at faces that may be tilted otherwise.

        It tells the turn better than the network, which now and then trusts a blurred face most
        where it lies wrongly.
        """
        if self.info.typical_sigma is None:  # a network that trusts all alike
            doubted = ~np.concatenate([of_image.upright for of_image in found])
        else:
            doubted = looks.predicted.trust < SURELY_TRUSTED
        closer, start = [], 0
        for image, of_image in zip(images, found, strict=True):
            end = start + len(of_image.boxes)
            closer.append(self.face_detector.look_closer(image, of_image.at(doubted[start:end])))
            start = end
        boxes, rolls = self._boxes_of(closer)
        rows = np.flatnonzero(doubted)
        elsewhere = apart(looks.boxes[rows], looks.rolls[rows], boxes, rolls)
        rows, boxes, rolls = rows[elsewhere], boxes[elsewhere], rolls[elsewhere]
        seen = _repeated(images, [len(of_image.boxes) for of_image in found])
        return looks.replaced(rows, self._looked_at([seen[int(i)] for i in rows], boxes, rolls))

    def _looked_closer(self, seen: Sequence[np.ndarray], looks: Looks) -> Looks:
        """Look again at faces whose landmarks lie otherwise than the box supposed."""
        if self.info.box != "landmarks":
            return looks
        boxes, rolls = self._refined(looks.boxes, looks.rolls, looks.predicted.landmarks)
        elsewhere = apart(looks.boxes, looks.rolls, boxes, rolls)
        rows = np.flatnonzero(elsewhere & (looks.predicted.trust >= TRUSTED))
        again = self._looked_at([seen[int(i)] for i in rows], boxes[rows], rolls[rows])
        kept = again.predicted.trust >= TRUSTED
        return looks.replaced(rows[kept], again.at(kept))

    def _looked_at(
        self, images: Sequence[np.ndarray], boxes: np.ndarray, rolls: np.ndarray
    ) -> Looks:
        return Looks(boxes, rolls, self.predict(images, boxes, rolls))

    def _refined(
        self, boxes: np.ndarray, rolls: np.ndarray, landmarks: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the upright boxes (M, 4) of landmarks and their rolls (M,), in radians.

        Boxes and rolls stay as they are where those of the landmarks cannot be right.
        """
        boxes, rolls = boxes.copy(), rolls.copy()
        for i, points in enumerate(landmarks):
            # As they lie in the crop.
            roll = rolls[i] + self._roll(geometry.turned(points, -rolls[i]))
            centre, half = centre_half(geometry.landmarks_box(geometry.turned(points, -roll)))
            change = half.max() / centre_half(boxes[i])[1].max()
            if 1 / LARGEST_REFINEMENT < change < LARGEST_REFINEMENT:
                boxes[i], rolls[i] = around(geometry.turned(centre, roll), half), roll
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

    def _straightened(self, seen: Sequence[np.ndarray], looks: Looks) -> Looks:
        """Look once more at those of the faces in given boxes whose heads are tilted."""
        boxes, rolls = self._refined(looks.boxes, looks.rolls, looks.predicted.landmarks)
        rows = np.flatnonzero(np.abs(wrapped(rolls)) > TILTED)
        again = self._looked_at([seen[int(i)] for i in rows], boxes[rows], rolls[rows])
        # A network that says no uncertainty trusts all alike.
        kept = again.predicted.trust >= looks.predicted.trust[rows] * (1 - 1e-9)
        return looks.replaced(rows[kept], again.at(kept))


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
