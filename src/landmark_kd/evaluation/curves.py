"""Curves of validation NME that the trainings left, and the epochs whose weights were kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from landmark_kd.core.errors import UserError
from landmark_kd.evaluation.evaluate import NETWORKS
from landmark_kd.evaluation.scores import rounded


def validation_curve(folder: Path) -> pd.DataFrame:
    """Read a network's curve: `step`, the epoch from 0, and `nme` after it (percent).

    Args:
        folder: the network's dvclive folder.

    Raises:
        UserError: the curve is missing or damaged.
    """
    path = folder / "plots/metrics/val/nme.tsv"
    try:
        curve = pd.read_csv(path, sep="\t")[["step", "nme"]].astype(float)
        if curve.empty:
            raise ValueError("it has no epoch")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except (ValueError, KeyError) as error:
        raise UserError(
            f"{path} is damaged ({error}); run `dvc checkout` or `dvc repro -f` to restore it."
        ) from None
    return curve


def validation_curves(folder: Path) -> dict[str, pd.DataFrame]:
    """Read each network's curve, as `validation_curve` does.

    Args:
        folder: holds each network's dvclive folder.
    """
    return {name: validation_curve(folder / name) for name in NETWORKS}


def best_epochs(curves: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, float | int]]:
    """Return {network: {val_nme, epoch}}: the lowest validation NME (percent) and when it was.

    Epochs count from 1. Of these epochs are the weights that a training keeps.
    """
    found: dict[str, dict[str, float | int]] = {}
    for name, curve in curves.items():
        nme = curve["nme"].to_numpy()
        best = int(nme.argmin())
        found[name] = {
            "val_nme": rounded(float(nme[best])),
            "epoch": int(curve["step"].to_numpy()[best]) + 1,
        }
    return found
