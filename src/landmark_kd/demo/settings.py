"""What the page is told, so that no number of the detector, tracker and drawing stands twice."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from landmark_kd.imaging.face_detector import SAME_FACE
from landmark_kd.inference import detector, face_detector, looks, smoothing, tracking, yunet
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.turned_boxes import place
from landmark_kd.landmarks import uncertainty
from landmark_kd.visualization import overlay


def page_settings(network: LandmarkDetector, *, has_face_detector: bool) -> dict[str, Any]:
    """Return what `settings.json` holds for a network: JSON values, in the modules' own words.

    The page finds faces where there is a face detector and the network's boxes can be told from
    what that finds.
    """
    info = network.info
    wanted = place("yunet", info.box_in_haar, info.box_in_yunet)
    return {
        "source": network.source,
        "info": asdict(info),
        "finds_faces": has_face_detector and info.knows_detectors,
        "faces": {
            "least_score": yunet.LEAST_SCORE,
            "overlap": yunet.OVERLAP,
            "longer_sides": face_detector.LONGER_SIDES,
            "smallest_seen": face_detector.SMALLEST_SEEN,
            "sure_score": face_detector.SURE_SCORE,
            "sure_roll": float(face_detector.SURE_ROLL),
            "turns": face_detector.TURNS.tolist(),
            "closer": face_detector.CLOSER,
            "closer_pixels": face_detector.CLOSER_PIXELS,
            "clear_score": face_detector.CLEAR_SCORE,
            "upright": face_detector.UPRIGHT,
            "landmark_box": face_detector.LANDMARK_BOX.tolist(),
        },
        "landmarks": {
            "largest_refinement": detector.LARGEST_REFINEMENT,
            "tilted": float(detector.TILTED),
            "parallel": detector.PARALLEL,
            "quarters": detector.QUARTERS,
            "surely_there": detector.SURELY_THERE,
            "trusted": detector.TRUSTED,
            "surely_trusted": detector.SURELY_TRUSTED,
            "far": looks.FAR,
            "larger": looks.LARGER,
            "more_tilted": float(looks.MORE_TILTED),
            "place": None if wanted is None else wanted.tolist(),
            "half": uncertainty.HALF,
            "steepness": uncertainty.STEEPNESS,
        },
        "tracking": {
            "lowest_score": tracking.LOWEST_SCORE,
            "detect_every": tracking.DETECT_EVERY,
            "remembered": tracking.REMEMBERED,
            "same_face": SAME_FACE,
            "twice": tracking.TWICE,
            "near": tracking.NEAR,
            "swift": tracking.SWIFT,
            "largest_change": tracking.LARGEST_CHANGE,
        },
        "smoothing": {**asdict(smoothing.OneEuro()), "jump": smoothing.JUMP},
        "drawing": {
            "sure": overlay.SURE,
            "faintest": overlay.FAINTEST / np.iinfo(np.uint8).max,
        },
    }
