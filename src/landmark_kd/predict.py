"""Landmarks from an image, without torch."""

from landmark_kd.inference.detector import Face, LandmarkDetector

__all__ = ["Face", "LandmarkDetector"]
