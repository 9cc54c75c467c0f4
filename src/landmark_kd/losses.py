"""Losses of the paper and of plain distillation."""

from landmark_kd.distillation.losses import KDLoss, PointsLoss, assistive_loss

__all__ = ["KDLoss", "PointsLoss", "assistive_loss"]
