"""Every path the stages read and write, relative to the project's top folder.

dvc.yaml names the same paths as outs and deps; a test holds the two together.
"""

from __future__ import annotations

from pathlib import Path

TEACHERS = ("tough", "tolerant")
# What the stage teacher_predictions says of unlabelled faces; named here, so that students who read
# it do not depend on the code that writes it.
UNLABELLED_FILE = "unlabelled_{teacher}.npy"
DISAGREEMENT_FILE = "unlabelled_disagreement.npy"

RAW = Path("data/raw")
FACES = Path("data/faces")
TRAIN_FACES = FACES / "train"
TEST_FACES = FACES / "test"
# The same faces in the size that the teachers see.
TEACHER_TRAIN_FACES = FACES / "teacher_train"
TEACHER_TEST_FACES = FACES / "teacher_test"
# The folder within RAW of further sets whose train faces join, numbered from 0.
EXTRA = "extra"
# Faces without landmarks, which may be none. Their name is also that of the folder within RAW (no
# data.name is the same), and what they are counted in.
UNLABELLED = "unlabelled"
UNLABELLED_FACES = FACES / UNLABELLED
TEACHER_UNLABELLED_FACES = FACES / "teacher_unlabelled"
SOFT_LANDMARKS = Path("data/soft_landmarks")
TEACHER_PREDICTIONS = Path("data/teacher_predictions")
MODELS = Path("models")
ONNX_MODEL = Path("models/landmarks.onnx")
FLOAT16_MODEL = Path("models/landmarks_fp16.onnx")
INT8_MODEL = Path("models/landmarks_int8.onnx")

METRICS = Path("reports/metrics.json")
COST = Path("reports/cost.json")
SOFT_LANDMARK_METRICS = Path("reports/soft_landmarks.json")
EXPORT_METRICS = Path("reports/export.json")
EXPORT_TIMES = Path("reports/export_times.json")
# Each network's best epoch, whose weights are kept, and its validation NME.
TRAINING_METRICS = Path("reports/training.json")
# Milliseconds are of the machine and the moment, so neither git nor DVC keeps this file and
# EXPORT_TIMES.
TIMES = Path("reports/times.json")
# How long each stage took when it last ran in this folder; kept by nobody, too.
DURATIONS = Path("reports/durations")
CURVES = Path("reports/curves")
ASM_REPORT = Path("reports/asm")
EVALUATION_REPORT = Path("reports/evaluation")
KD_LOSS_REPORT = Path("reports/kd_loss")
# The page to look at.
PAGE = Path("reports/index.html")
