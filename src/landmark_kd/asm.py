"""Active shape model: `ShapeModel`."""

from landmark_kd.soft_landmarks.shape_model import ShapeModel

__all__ = ["ShapeModel"]
