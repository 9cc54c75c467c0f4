"""Measures what the constants of the face search rest on, on 300-W train faces.

    python -m tools.measure_face_search /where/300w/lies --yunet FILE [--model NAME] [--every 8]

The tool changes nothing. It prints, for every eighth face, numbers beside the constants of
`landmark_kd.inference` that they speak for or against:

- trust: how often the network trusts looks that are right or wrong (SURELY_TRUSTED, TRUSTED). A
  look is wrong where its landmarks are off by more than WRONG. Each face is looked at in its box
  turned by LOOKS, as it is and made small and blurred;
- other boxes: how much further off the landmarks are in a box that lies elsewhere (FAR, LARGER,
  MORE_TILTED), and by how much landmarks' boxes differ from those looked at (LARGEST_REFINEMENT);
- lines between mirrored landmarks (PARALLEL);
- YuNet's scores in images upright and turned (SURE_SCORE, SURE_ROLL, SURELY_THERE);
- turns of the closer look that are right, with and without preferring upright ones (UPRIGHT,
  CLEAR_SCORE), and how many there are of each.

The networks that come with the package have learnt from these faces, so right looks are trusted
more than on others. The tool never reads test folders.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.end_to_end.photos import Photo, rotated
from landmark_kd.data.datasets.pts import read_pts
from landmark_kd.imaging.crops import sample
from landmark_kd.imaging.images import read_image
from landmark_kd.inference.boxes import around, centre_half
from landmark_kd.inference.detector import (
    LARGEST_REFINEMENT,
    PARALLEL,
    SURELY_THERE,
    SURELY_TRUSTED,
    TRUSTED,
    LandmarkDetector,
)
from landmark_kd.inference.face import Face
from landmark_kd.inference.face_detector import (
    CLEAR_SCORE,
    SURE_ROLL,
    SURE_SCORE,
    UPRIGHT,
    FoundFaces,
    YuNetDetector,
    face_axes,
    likeliest,
)
from landmark_kd.inference.looks import FAR, LARGER, MORE_TILTED
from landmark_kd.inference.turned_boxes import wrapped
from landmark_kd.landmarks import geometry, metrics
from landmark_kd.landmarks.scheme import IBUG_68
from tools.measure_face_detector import POINTS, image_of, train_files

# Percent of the distance of the outer eye corners, beyond which a look has gone wrong.
WRONG = 10.0
# Degrees by which the boxes of looks are turned.
LOOKS = (0, 30, 60, 90, 135, 180)
THRESHOLDS = (TRUSTED, 0.9, 0.95, SURELY_TRUSTED, 0.995)
# Longer side of the landmarks' box in pixels (None: as it is), and sigma of a blur.
KINDS: dict[str, tuple[int | None, float]] = {
    "as it is": (None, 0.0),
    "40 px": (40, 0.0),
    "40 px, blurred": (40, 1.5),
    "24 px": (24, 0.0),
    "24 px, blurred": (24, 1.5),
}
# The image around a face: so many times as wide as its box, in so many pixels at most.
AROUND = 3.0
MOST_PIXELS = 600
# Shares of the box's side by which it is moved, factors of its size, degrees of its turn.
MOVES = (0.05, FAR, 0.15, 0.2)
FACTORS = (1.1, LARGER, 1.25, 1.4)
TILTS = (5.0, float(np.degrees(MORE_TILTED)), 15.0, 20.0)
# Degrees by which images are turned, and the best turn may be off.
TURNED = (0, 60, 90, 180)
NEAR = 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the constants of the face search.")
    parser.add_argument("root", type=Path, help="300-W in its official layout")
    parser.add_argument("--yunet", type=Path, required=True, help="file of YuNet")
    parser.add_argument("--model", help="name or file of the network (default: accurate)")
    parser.add_argument("--every", type=int, default=8, help="take one face in so many")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    network = LandmarkDetector.load(arguments.model, threads=1, face_detector="haar")
    yunet = YuNetDetector(arguments.yunet, threads=1)
    files = train_files(arguments.root)
    faces = files[:: arguments.every]
    print(f"{len(faces)} of {len(files)} train faces; network: {network.source}")
    measure_trust(network, faces)
    measure_boxes(network, faces)
    measure_lines(network, files)
    measure_scores(yunet, faces)
    measure_turns(yunet, faces)


def measure_trust(network: LandmarkDetector, files: Sequence[Path]) -> None:
    """Print how many right and wrong looks the network trusts, for each kind of faces."""
    print(f"\ntrust: % of looks that have at least as much; wrong: error above {WRONG:g} %")
    print(f"(SURELY_TRUSTED = {SURELY_TRUSTED}, TRUSTED = {TRUSTED})")
    print(f"{'':22}{'looks':>7}" + "".join(f"{threshold:>8g}" for threshold in THRESHOLDS))
    for kind in KINDS:
        errors, trust = [], []
        for photo in _faces(files, kind):
            box, roll = _upright(network, photo)
            rolls, boxes = np.radians(LOOKS) + roll, np.tile(box, (len(LOOKS), 1))
            found = network.predict([photo.image] * len(LOOKS), boxes, rolls)
            errors.append(_errors(found.landmarks, photo))
            trust.append(found.trust)
        wrong, of = np.concatenate(errors) > WRONG, np.concatenate(trust)
        for name, rows in (("right", ~wrong), ("wrong", wrong)):
            shares = "".join(f"{_percent(of[rows] >= threshold):>8}" for threshold in THRESHOLDS)
            print(f"{kind + ', ' + name:22}{rows.sum():>7}{shares}")


def measure_boxes(network: LandmarkDetector, files: Sequence[Path]) -> None:
    """Print how much further off the landmarks are in boxes that lie elsewhere."""
    changes = [
        *((f"moved by {move:g} of the side", (move, 1.0, 0.0)) for move in MOVES),
        *((f"{factor:g} times as large", (0.0, factor, 0.0)) for factor in FACTORS),
        *((f"{factor:g} times as small", (0.0, 1 / factor, 0.0)) for factor in FACTORS),
        *((f"turned by {tilt:g} degrees", (0.0, 1.0, tilt)) for tilt in TILTS),
    ]
    generator = np.random.default_rng(1)
    errors, moved, refined = [], [], []
    for photo in _faces(files, "as it is"):
        box, roll = _upright(network, photo)
        centre, half = centre_half(box)
        boxes, rolls = [box], [roll]
        for _, (move, factor, tilt) in changes:
            away = geometry.turned(np.array([move, 0.0]), generator.uniform(0, 2 * np.pi))
            boxes.append(around(centre + away * 2 * half.max(), half * factor))
            rolls.append(roll + np.radians(tilt) * generator.choice((-1, 1)))
        found = network.predict([photo.image] * len(boxes), np.array(boxes), np.array(rolls))
        errors.append(_errors(found.landmarks, photo))
        moved.append(_errors(found.landmarks, Photo(photo.image, found.landmarks[:1]), photo))
        own = geometry.landmarks_box(geometry.turned(found.landmarks[0], -roll))
        refined.append(centre_half(own)[1].max() / half.max())
    error, movement = np.array(errors), np.array(moved)
    tilted = np.degrees(MORE_TILTED)
    print(f"\nother boxes (FAR = {FAR}, LARGER = {LARGER}, MORE_TILTED = {tilted:g} degrees)")
    print(f"  NME in the landmarks' own box {error[:, 0].mean():.2f} %")
    for i, (name, _) in enumerate(changes, 1):
        ratio = error[:, i].mean() / error[:, 0].mean()
        middle, most = np.percentile(movement[:, i], (50, 95))
        print(f"  {name:28} NME x {ratio:.3f}; landmarks move by {middle:.2f} % (95th: {most:.2f})")
    low, high = np.percentile(refined, (0.5, 99.5))
    print(
        f"  side of the landmarks' box / of the box: 99 in 100 from {low:.2f} to {high:.2f}", end=""
    )
    print(f" (LARGEST_REFINEMENT = {LARGEST_REFINEMENT})")


def measure_lines(network: LandmarkDetector, files: Sequence[Path]) -> None:
    """Print how parallel lines between mirrored landmarks are, of faces and random points."""
    flip = np.asarray(network.info.flip)

    def parallel(points: np.ndarray) -> float:
        across = points[flip] - points
        across = across[across[:, 0] > 0]
        return float(np.linalg.norm(across.sum(axis=0)) / np.linalg.norm(across, axis=1).sum())

    faces = [parallel(read_pts(path, POINTS)) for path in files]
    generator = np.random.default_rng(1)
    chance = [parallel(generator.uniform(size=(POINTS, 2))) for _ in range(1000)]
    middle, most = np.percentile(chance, (50, 99))
    print(
        f"\nlines (PARALLEL = {PARALLEL}): all faces 1st percentile {np.percentile(faces, 1):.3f}"
    )
    print(f"  random points median {middle:.3f}, 99th percentile {most:.3f}")


def measure_scores(yunet: YuNetDetector, files: Sequence[Path]) -> None:
    """Print YuNet's highest scores in images as they are turned."""
    roll = np.degrees(SURE_ROLL)
    print(f"\nYuNet, heads tilted by at most {roll:g} degrees, in images turned: % of faces found,")
    print("of faces taken for surely upright, and of images with any face that is surely there")
    print(f"(SURE_SCORE = {SURE_SCORE}, SURE_ROLL = {roll:g}, SURELY_THERE = {SURELY_THERE})")
    for degrees in TURNED:
        found, sure, there = [], [], []
        for upright in _photos(files):
            _, _, (tilt,), _ = face_axes(_five(upright.landmarks))
            if abs(tilt) > SURE_ROLL:
                continue
            photo = rotated(upright, degrees)
            seen = yunet.find(photo.image)
            there.append((seen.scores >= SURELY_THERE).any())
            of_face = _of_face(seen, photo.landmarks[0])
            found.append(of_face is not None)
            sure.append(of_face is not None and seen.upright[of_face])
        shares = "".join(f"{_percent(np.array(of)):>8}" for of in (found, sure, there))
        print(f"  turned by {degrees:3}:{shares}  (n = {len(found)})")


def measure_turns(yunet: YuNetDetector, files: Sequence[Path]) -> None:
    """Print how often the best turn of the closer look is right, with and without UPRIGHT."""
    print(
        f"\ncloser look: % of best turns within {NEAR:g} degrees, with UPRIGHT = {UPRIGHT}, without"
    )
    print(f"(% of faces in which it counts: none scores CLEAR_SCORE = {CLEAR_SCORE})")
    for kind in KINDS:
        line = []
        for degrees in TURNED:
            right, unclear = [], []
            for upright in _faces(files, kind):
                photo = rotated(upright, degrees)
                box = geometry.landmarks_box(photo.landmarks[0])
                _, points, scores = yunet.look_at_turns(photo.image, box[None])
                if not len(points):
                    right.append((False, False))
                    continue
                _, _, rolls, _ = face_axes(points)
                _, _, (true,), _ = face_axes(_five(photo.landmarks))
                best = [likeliest(rolls, scores, prefer) for prefer in (UPRIGHT, 0.0)]
                near = np.abs(wrapped(rolls[best] - true)) <= np.radians(NEAR)
                right.append((bool(near[0]), bool(near[1])))
                unclear.append(scores.max() < CLEAR_SCORE)
            with_it, without = np.mean(right, axis=0) * 100
            line.append(f"{degrees}: {with_it:.1f}, {without:.1f} ({_percent(np.array(unclear))})")
        print(f"  {kind:16}" + "; ".join(line))


def _photos(files: Sequence[Path]) -> Iterator[Photo]:
    for path in files:
        yield Photo(read_image(image_of(path)), read_pts(path, POINTS)[None])


def _faces(files: Sequence[Path], kind: str) -> Iterator[Photo]:
    """Yield the images around the faces, made small and blurred as the kind says."""
    wanted, blur = KINDS[kind]
    for photo in _photos(files):
        box = geometry.landmarks_box(photo.landmarks[0])
        side = wanted or float((box[2:] - box[:2]).max())
        size = min(round(AROUND * side), MOST_PIXELS)
        to_face = geometry.square_crop(box, AROUND - 1, size)
        image = sample(photo.image, to_face, size)
        if blur:
            image = cv2.GaussianBlur(image, (0, 0), blur)
        yield Photo(image, geometry.apply(to_face, photo.landmarks))


def _upright(network: LandmarkDetector, photo: Photo) -> tuple[np.ndarray, float]:
    """Return the upright box (4,) of a face's landmarks and its roll in radians."""
    points = photo.landmarks[0]
    face = Face(geometry.landmarks_box(points), points, 1.0)
    boxes, rolls = network.upright_boxes([face])
    return boxes[0], float(np.radians(rolls[0]))


def _errors(landmarks: np.ndarray, photo: Photo, unit: Photo | None = None) -> np.ndarray:
    """Return the NME (M,) of looks (M, 68, 2) at a face, in percent of `unit`'s eye distance."""
    true = np.broadcast_to(photo.landmarks, landmarks.shape)
    distance = metrics.normalizing_distance((unit or photo).landmarks, IBUG_68)
    return metrics.nme(landmarks, true, np.repeat(distance, len(landmarks)))


def _of_face(found: FoundFaces, landmarks: np.ndarray) -> int | None:
    """Return which of the faces found has its box's centre within landmarks (K, 2), or None."""
    box = geometry.landmarks_box(landmarks)
    centre, _ = centre_half(found.boxes)
    inside = np.flatnonzero(((centre > box[:2]) & (centre < box[2:])).all(axis=1))
    return int(inside[0]) if len(inside) else None


def _five(landmarks: np.ndarray) -> np.ndarray:
    """Return YuNet's five points (1, 5, 2) of 68 landmarks (1, 68, 2)."""
    eyes = landmarks[:, 36:42].mean(axis=1), landmarks[:, 42:48].mean(axis=1)
    return np.stack([*eyes, landmarks[:, 30], landmarks[:, 48], landmarks[:, 54]], axis=1)


def _percent(which: np.ndarray) -> str:
    return f"{100 * which.mean():.1f}" if len(which) else "none"


if __name__ == "__main__":
    main()
