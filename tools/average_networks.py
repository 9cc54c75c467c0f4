"""Averages the weights of networks that were trained from one start.

    python -m tools.average_networks models/average models/baseline runs/2/baseline runs/3/kd

Trainings that begin at the same trained weights and differ in seed, faces or loss end close to one
another, and the mean of their weights is often a better network than any of them, at the cost of
one (Wortsman et al. 2022, "Model soups"). As in their greedy soup the network that does best on the
validation faces comes first, and each of the others, the better ones first, joins the average where
that lowers the validation NME. BatchNorm's statistics are measured anew, on augmented train faces;
so is what the network says of its own errors.

The tool needs prepared faces (`dvc repro prepare`) that are those of the networks.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
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

BATCH = 64


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
    net, names, nme = greedy_average(networks, faces, augmenter, seed)
    if len(names) > 1:
        fit_uncertainty(net, faces, faces.crop_landmarks(), augmenter, seed)
    save_network(net, arguments.out)
    print(f"{arguments.out}: validation NME {nme:.3f}, the average of {' '.join(names)}")


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


def greedy_average(
    networks: dict[str, LandmarkNet], faces: Faces, augmenter: Augmenter, seed: int
) -> tuple[LandmarkNet, list[str], float]:
    """Average what lowers the validation NME; return the network, whose average it is, its NME.

    Args:
        networks: of one kind, by name.
        faces: the train faces, validation faces among them.
        seed: of the views that BatchNorm's statistics are measured on.
    """
    truth = faces.crop_landmarks()
    alone = {name: validation_nme(net, faces, truth) for name, net in networks.items()}
    order = sorted(alone, key=lambda name: alone[name])
    for name in order:
        print(f"{name}: validation NME {alone[name]:.3f}", flush=True)
    names, best = order[:1], alone[order[0]]
    net = networks[order[0]]
    for name in order[1:]:
        tried = averaged([networks[one] for one in (*names, name)], faces, augmenter, seed)
        nme = validation_nme(tried, faces, truth)
        print(f"with {name}: {nme:.3f}", flush=True)
        if nme < best:
            net, best = tried, nme
            names.append(name)
    return net, names, best


def averaged(
    networks: Sequence[LandmarkNet], faces: Faces, augmenter: Augmenter, seed: int
) -> LandmarkNet:
    """Return the network with the mean of all weights, and with BatchNorm's statistics its own."""
    net = LandmarkNet(networks[0].config).to(memory_format=torch.channels_last)
    states = [one.state_dict() for one in networks]
    net.load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(dim=0)
            if value.is_floating_point()
            else value
            for name, value in states[0].items()
        }
    )
    with torch.no_grad():
        update_bn(_views(net, faces, augmenter, seed), _Alone(net))
    return net.eval()


class _Alone(nn.Module):
    """A network without its look at the mirror image, as it was trained."""

    def __init__(self, net: LandmarkNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net.forward_single(inputs)


def _views(net: LandmarkNet, faces: Faces, augmenter: Augmenter, seed: int) -> Iterator[Tensor]:
    """Yield inputs of one augmented view of each train face."""
    views = AugmentedFaces(faces.images, faces.crop_landmarks()[:, None], augmenter, seed)
    rows = faces.train_rows()
    for start in range(0, len(rows), BATCH):
        batch = views.__getitems__([(0, int(row)) for row in rows[start : start + BATCH]])
        yield net.normalize(batch.images)


if __name__ == "__main__":
    run_main(main)
