"""KD-Loss and its parts against the student's error, from the loss that trains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from landmark_kd.losses import KDLoss, PointsLoss

# The teachers' distances from the hard-landmark, in shares of the crop's side: one pixel in a
# hundred for the tough teacher, twice that for the tolerant one, which learns soft-landmarks.
TEACHER_DISTANCES = {"tough": 0.01, "tolerant": 0.02}
LARGEST_ERROR = 0.03
STEPS = 300


def kd_loss_curve(loss: KDLoss | PointsLoss) -> pd.DataFrame:
    """Evaluate the loss of one coordinate for errors from 0 to LARGEST_ERROR.

    Returns:
        Columns `error` (share of the crop's side), `total`, and the weighted parts `main`,
        `tough` and `tolerant`, whose sum the total is.
    """
    errors = np.linspace(0, LARGEST_ERROR, STEPS + 1)
    hard = torch.zeros(1, 1, 1, dtype=torch.float64)
    tough, tolerant = (
        torch.full_like(hard, TEACHER_DISTANCES[name]) for name in ("tough", "tolerant")
    )
    rows = []
    for error in errors:
        total, parts = loss(torch.full_like(hard, error), hard, tough, tolerant)
        weighted = {name: float(value) for name, value in parts.items()}
        rows.append({"error": float(error), "total": float(total), **weighted})
    return pd.DataFrame(rows)
