"""Averages the weights of networks that were trained from one start.

    python -m tools.average_networks models/average models/baseline runs/2/baseline runs/3/kd

Trainings that begin at the same trained weights and differ in seed, faces or loss end close to one
another, and the mean of their weights is often a better network than any of them, at the cost of
one (Wortsman et al. 2022, "Model soups" and "Robust fine-tuning"). The network that does best on
the validation faces comes first, and each of the others, the better ones first, joins with a half
or a quarter of the weight where that lowers the validation NME. BatchNorm's statistics are measured
anew, on augmented train faces; so is what the network says of its own errors.

The tool needs prepared faces (`dvc repro prepare`) that are those of the networks.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import update_bn

from landmark_kd.config import paths
from landmark_kd.config.params import load_params
from landmark_kd.core.errors import UserError, run_main
from landmark_kd.faces.prepared import Faces, load_faces
from landmark_kd.models.network import LandmarkNet, load_network, save_network
from landmark_kd.training.augment import Augmenter
from landmark_kd.training.loader import AugmentedFaces
from landmark_kd.training.trainer import validation_nme
from landmark_kd.training.uncertainty import fit_uncertainty

# Weights of a network that joins.
SHARES = (0.5, 0.25)
# Faces that BatchNorm's statistics are measured on, and how many at a time.
MEASURED, BATCH = 1024, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="folder for weights.safetensors and network.json")
    parser.add_argument("networks", type=Path, nargs="+", help="folders of trained networks")
    arguments = parser.parse_args()
    faces = load_faces(paths.TRAIN_FACES)
    params = load_params()
    networks = {str(path): load_network(path) for path in arguments.networks}
    check_alike(networks, faces)
    info = faces.info
    augmenter = Augmenter(params.augment, info.crop_size, info.border, info.scheme.flip)
    seed = params.base.seed
    net, shares, nme = greedy_average(networks, faces, views(faces, augmenter, seed))
    if len(shares) > 1:
        fit_uncertainty(net, faces, faces.crop_landmarks(), augmenter, seed)
    save_network(net, arguments.out)
    parts = " + ".join(f"{share:g} {name}" for name, share in shares.items())
    print(f"{arguments.out}: validation NME {nme:.3f}, {parts}")


def check_alike(networks: dict[str, LandmarkNet], faces: Faces) -> None:
    """Raise UserError where networks are of different kinds, or do not fit the faces."""
    first, *others = networks
    kinds = {name: net.config.model_copy(update={"init": ""}) for name, net in networks.items()}
    for name in others:
        if kinds[name] != kinds[first]:
            raise UserError(
                f"{name} is another kind of network than {first}; their network.json may differ "
                "in init alone."
            )
    if kinds[first].size != faces.info.crop_size or kinds[first].points != faces.info.points:
        raise UserError(
            f"{first} takes crops of {kinds[first].size} pixels with {kinds[first].points} points, "
            f"but the prepared faces have {faces.info.crop_size} and {faces.info.points}; set the "
            "parameters of its training and run `dvc repro prepare`."
        )


def views(faces: Faces, augmenter: Augmenter, seed: int) -> np.ndarray:
    """Return augmented crops (n, S, S, 3) uint8 of some train faces, of all parts of the set."""
    rows = faces.train_rows()
    rows = rows[:: max(1, len(rows) // MEASURED)]
    augmented = AugmentedFaces(faces.images, faces.crop_landmarks()[:, None], augmenter, seed)
    return augmented.__getitems__([(0, int(row)) for row in rows]).images.numpy()


def greedy_average(
    networks: dict[str, LandmarkNet], faces: Faces, crops: np.ndarray
) -> tuple[LandmarkNet, dict[str, float], float]:
    """Average what lowers the validation NME; return the network, the weights in it and its NME.

    Args:
        networks: of one kind, by name.
        faces: the train faces, validation faces among them.
        crops: (n, S, S, 3) uint8 that BatchNorm's statistics are measured on.
    """
    truth = faces.crop_landmarks()
    alone = {name: validation_nme(net, faces, truth) for name, net in networks.items()}
    first, *others = sorted(alone, key=lambda name: alone[name])
    net, shares, best = networks[first], {first: 1.0}, alone[first]
    print(f"{first}: validation NME {best:.3f}", flush=True)
    for name in others:
        print(f"{name}: validation NME {alone[name]:.3f}", flush=True)
        before, parts = net, shares
        for share in SHARES:
            tried = averaged(before, networks[name], share, crops)
            nme = validation_nme(tried, faces, truth)
            print(f"  {share:g} of it: {nme:.3f}", flush=True)
            if nme < best:
                net, best = tried, nme
                shares = {one: (1 - share) * part for one, part in parts.items()} | {name: share}
    return net, shares, best


def averaged(net: LandmarkNet, other: LandmarkNet, share: float, crops: np.ndarray) -> LandmarkNet:
    """Return the network with weights between two, its BatchNorm's statistics those of the crops.

    Args:
        share: of the other's weights.
    """
    found = copy.deepcopy(net)
    others = other.state_dict()
    found.load_state_dict(
        {
            name: value.lerp(others[name], share) if value.is_floating_point() else value
            for name, value in net.state_dict().items()
        }
    )
    with torch.no_grad():
        parts = torch.from_numpy(crops).split(BATCH)
        update_bn((found.normalize(part) for part in parts), found)
    return found.eval()


if __name__ == "__main__":
    run_main(main)
