"""The training loop that teachers and students share."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvclive import Live
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from landmark_kd.augment import Augmenter
from landmark_kd.checkpoints import (
    Checkpoint,
    Checkpoints,
    random_state,
    restore_random_state,
)
from landmark_kd.errors import UserError
from landmark_kd.failures import explained
from landmark_kd.faces import Faces
from landmark_kd.files import replaced_folder
from landmark_kd.fingerprint import fingerprint
from landmark_kd.learner import Learner, NotFinite, Objective, copies, under
from landmark_kd.loader import Batch, Share, ShuffledBatches, train_loader
from landmark_kd.metrics import nme, normalizing_distance
from landmark_kd.networks import LandmarkNet, build_network, predict_faces, save_network
from landmark_kd.params import AugmentParams, BaseParams, CropParams, TrainingParams
from landmark_kd.runtime import seed_all, training_processes
from landmark_kd.scratch import folder_of, held

