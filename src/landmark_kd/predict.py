"""Landmarks from an image or a video, without torch."""

from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.face import Face
from landmark_kd.inference.smoothing import OneEuro, OneEuroFilter
from landmark_kd.inference.tracking import FaceTracker, TrackedFace

__all__ = ["Face", "FaceTracker", "LandmarkDetector", "OneEuro", "OneEuroFilter", "TrackedFace"]
