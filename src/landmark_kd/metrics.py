"""Error measures of the field, percent of a normaliser."""

from landmark_kd.landmarks.metrics import auc, ced, failure_rate, nme

__all__ = ["auc", "ced", "failure_rate", "nme"]
